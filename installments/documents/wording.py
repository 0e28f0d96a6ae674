"""How documents say sums, days and names of things, in Russian and English."""

from __future__ import annotations

from datetime import date

from installments.documents.document import DocumentLanguage
from installments.movements import MovementKind
from installments.plan import Standing
from installments.products import Product, RefundPolicy, Step
from ledger.money import roubles

RU, EN = DocumentLanguage.RU, DocumentLanguage.EN
THOUSAND = "\u00a0"

LABELS: dict[str, tuple[str, str]] = {
    "plan": ("Договор", "Agreement"),
    "order": ("Заказ", "Order"),
    "buyer": ("Покупатель", "Buyer"),
    "merchant": ("Продавец", "Seller"),
    "operator": ("Оператор", "Operator"),
    "contract_on": ("День договора", "Day of the agreement"),
    "price": ("Цена", "Price"),
    "prepaid": ("Оплачено бонусами", "Paid by points"),
    "schedule": ("График", "Schedule"),
    "basket": ("Состав заказа", "Basket"),
    "movements": ("Движения", "Movements"),
    "balances": ("Итоги", "Balances"),
    "number": ("№", "No."),
    "due_on": ("День платежа", "Due on"),
    "amount": ("Сумма", "Amount"),
    "paid": ("Оплачено", "Paid"),
    "unpaid": ("Осталось", "Left"),
    "total": ("Итого", "Total"),
    "item": ("Наименование", "Item"),
    "quantity": ("Количество", "Quantity"),
    "unit_price": ("Цена за единицу", "Unit price"),
    "cost": ("Стоимость", "Cost"),
    "happened_on": ("Дата", "Date"),
    "movement": ("Операция", "Operation"),
    "debt": ("Основной долг", "To the debt"),
    "penalty": ("Неустойка", "Penalty"),
    "overpaid": ("Переплата", "Overpaid"),
    "on": ("По состоянию на", "As of"),
    "outstanding": ("Осталось заплатить по графику", "Left to pay by the schedule"),
    "penalty_due": ("Неустойка к уплате", "Penalty due"),
    "penalty_accrued": ("Неустойка начислена", "Penalty charged"),
    "penalty_waived": ("Неустойка прощена", "Penalty forgiven"),
    "penalty_paid": ("Неустойка уплачена", "Penalty paid"),
    "refunded": ("Возвращено товаров на", "Goods returned for"),
    "overpaid_due": ("Переплата к возврату", "Overpayment to be returned"),
    "next_due_on": ("Следующий платёж", "Next payment"),
    "standing": ("Состояние", "Standing"),
    "undone": ("отменено", "undone"),
    "document": ("Документ", "Document"),
    "of": ("от", "of"),
    "page": ("стр.", "page"),
}

MOVEMENTS: dict[MovementKind, tuple[str, str]] = {
    MovementKind.DOWN_PAYMENT: ("Первый платёж", "First payment"),
    MovementKind.INSTALLMENT_PAYMENT: ("Платёж по графику", "Payment by the schedule"),
    MovementKind.EARLY_PAYMENT: ("Досрочный платёж", "Early payment"),
    MovementKind.MERCHANT_REFUND: ("Возврат товара", "Return of goods"),
    MovementKind.PAYOUT_REFUND: ("Возврат от продавца", "Refund by the seller"),
    MovementKind.GOODWILL: ("Прощение части долга", "Part of the debt forgiven"),
    MovementKind.CHARGEBACK: ("Платёж оспорен в банке", "Payment taken back by the bank"),
    MovementKind.CREDIT_REFUND: ("Переплата возвращена", "Overpayment returned"),
    MovementKind.WAIVER: ("Неустойка прощена", "Penalty forgiven"),
    MovementKind.RE_AGE: ("Новый график", "New schedule"),
    MovementKind.RE_AMORTISE: ("Просрочка распределена", "Arrears spread over the rest"),
    MovementKind.SNOOZE: ("Платёж перенесён", "Payment moved"),
    MovementKind.WRITE_OFF: ("Долг списан", "Debt written off"),
    MovementKind.RECOVERY: ("Платёж после списания", "Payment after the write-off"),
    MovementKind.UNDO: ("Отмена операции", "Operation undone"),
}

STANDINGS: dict[Standing, tuple[str, str]] = {
    Standing.NONE: ("не начат", "not begun"),
    Standing.CURRENT: ("без просрочки", "in time"),
    Standing.OVERDUE: ("есть просрочка", "overdue"),
    Standing.REPAID: ("выплачен", "repaid"),
    Standing.WRITTEN_OFF: ("списан", "written off"),
}

REFUNDS: dict[RefundPolicy, tuple[str, str]] = {
    RefundPolicy.PROPORTIONAL: (
        "При возврате товара все платежи уменьшаются на одну и ту же долю; оплаченное сверх новых возвращается вам.",
        "When goods are returned, every payment shrinks by the same share; what was paid above goes back to you.",
    ),
    RefundPolicy.NEXT_FIRST: (
        "При возврате товара уменьшаются сначала просроченные, затем ближайшие платежи.",
        "When goods are returned, overdue payments shrink first, then the next ones.",
    ),
    RefundPolicy.LAST_FIRST: (
        "При возврате товара уменьшаются сначала просроченные, затем последние платежи.",
        "When goods are returned, overdue payments shrink first, then the last ones.",
    ),
    RefundPolicy.REAMORTISE: (
        "При возврате товара уменьшаются сначала просроченные платежи, затем поровну все будущие.",
        "When goods are returned, overdue payments shrink first, then all future ones evenly.",
    ),
}  # fmt: skip


def said(pair: tuple[str, str], language: DocumentLanguage) -> str:
    """One of two wordings."""
    return pair[0] if language is RU else pair[1]


def label(name: str, language: DocumentLanguage) -> str:
    """The word for a field."""
    return said(LABELS[name], language)


def money(kopecks: int, language: DocumentLanguage) -> str:
    """A sum in roubles: ``1 234,56 ₽`` or ``1,234.56 ₽``."""
    whole, cents = roubles(abs(int(kopecks))).split(".")
    groups = f"{int(whole):,}"
    text = f"{groups.replace(',', THOUSAND)},{cents}" if language is RU else f"{groups}.{cents}"
    return f"{'−' if kopecks < 0 else ''}{text}{THOUSAND}₽"


def day(on: date, language: DocumentLanguage) -> str:
    """A day: ``22.11.2026`` or ``22 Nov 2026``."""
    return f"{on:%d.%m.%Y}" if language is RU else f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def percent(basis_points: int) -> str:
    """A share as a percentage without needless zeros: 2000 is ``20``, 690 is ``6.9``."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0") if rest else str(whole)


def periodicity(product: Product, language: DocumentLanguage) -> str:
    """How far the payments are from each other."""
    if product.step is Step.MONTHS:
        ru = "Платежи раз в месяц." if product.every == 1 else f"Между платежами месяцев: {product.every}."
        en = "Payments are monthly." if product.every == 1 else f"Between payments: {product.every} months."
    else:
        ru, en = f"Между платежами {product.every} дней.", f"Between payments: {product.every} days."
    return said((ru, en), language)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
