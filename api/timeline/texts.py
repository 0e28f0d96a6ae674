"""What the page of a timeline says, in Russian and English."""

from __future__ import annotations

from typing import Literal

Lang = Literal["ru", "en"]

PAGE: dict[str, tuple[str, str]] = {
    "title": ("Хронология", "Timeline"),
    "lead": (
        "Что было с заказом, платежом, планом, возвратом: кто просил, что ответили, что проведено, кому сказали.",
        "What happened to an order, payment, plan or refund: who asked, what was answered, booked and told.",
    ),
    "api_key": ("Ключ API", "API key"),
    "key_note": ("Нужно право orders:read. Ключ хранится в этом браузере полчаса.",
                 "It needs orders:read. The key stays in this browser for half an hour."),
    "object_id": ("Номер заказа, платежа, запроса, события, операции НСПК",
                  "Id of an order, a payment, a request, an event, an NSPK operation"),
    "show": ("Показать", "Show"),
    "leave": ("Забыть ключ", "Forget the key"),
    "unknown": ("Такого нет, или оно не ваше.", "There is no such thing, or it is not yours."),
    "refused": ("Ключ не принят: проверьте его и право orders:read.",
                "The key was not accepted: check it, and its scope orders:read."),
    "slow_down": ("Слишком часто. Подождите немного.", "Too often. Wait a little."),
    "trouble": ("Сейчас не получается. Повторите через минуту.", "This does not work just now. Try again in a minute."),
    "all": ("всё", "all"),
    "moments": ("событий", "moments"),
    "objects": ("объектов", "objects"),
    "left_out": ("Середина пропущена: событий слишком много.", "The middle is left out: there are too many moments."),
    "utc": ("Время UTC", "Times are UTC"),
    "languages": ("Язык", "Language"),
    "belongs": ("Всё, что к этому относится", "Everything that belongs to it"),
    "request": ("запрос", "request"),
    "object": ("состояние", "state"),
    "rail": ("рельс", "rail"),
    "entry": ("проводки", "entry"),
    "hold": ("резерв", "hold"),
    "event": ("событие", "event"),
    "webhook": ("уведомление", "webhook"),
    "leaf": ("журнал", "log"),
}  # fmt: skip

WHAT: dict[str, tuple[str, str]] = {
    "order.placed": ("Заказ оформлен", "Order placed"),
    "order.paid": ("Заказ оплачен", "Order paid"),
    "basket.kept": ("Корзина и средства оплаты", "Basket and tenders kept"),
    "tenders.ended": ("Баллы и промокод: итог", "Points and code: how they ended"),
    "card.presented": ("Карта лояльности предъявлена", "Loyalty card presented"),
    "redemption.reserved": ("Промокод зарезервирован", "Promo code reserved"),
    "redemption.confirmed": ("Промокод погашен", "Promo code redeemed"),
    "redemption.ended": ("Погашение отпущено или возвращено", "Redemption released or returned"),
    "points.reserved": ("Баллы отложены", "Points set aside"),
    "points.spending_ended": ("Списание баллов завершено", "Spending of points ended"),
    "points.earned": ("Баллы начислены", "Points earned"),
    "points.returned": ("Баллы возвращены", "Points returned"),
    "item_refund.asked": ("Возврат товаров", "Goods given back"),
    "item_refund.ended": ("Возврат товаров завершён", "Refund of goods ended"),
    "slip.issued": ("Слип выдан", "Slip issued"),
    "attempt.begun": ("Попытка оплаты", "Attempt begun"),
    "attempt.went_elsewhere": ("Рельс выключен, пошли другим", "Rail was off, another was taken"),
    "attempt.unanswered": ("Рельс не ответил, попытка закрыта", "No answer of the rail, attempt given up"),
    "plan.of_attempt": ("Оплата планом", "Paid by a plan"),
    "sbp.link_asked_for": ("СБП: запрошен QR", "SBP: link asked for"),
    "sbp.cash_link_armed": ("СБП: кассовая ссылка взведена", "SBP: cash link armed"),
    "sbp.binding_charged": ("СБП: списание по привязке", "SBP: charged by a binding"),
    "sbp.paid": ("СБП: деньги пришли", "SBP: money came"),
    "sbp.unmatched": ("СБП: деньги без заказа", "SBP: money of no order"),
    "sbp.matched": ("СБП: заказ назван", "SBP: its order was named"),
    "sbp.returned": ("СБП: возвращается покупателю", "SBP: goes back to the buyer"),
    "sbp.refund_asked": ("СБП: попытка возврата", "SBP: refund asked"),
    "refund.asked_for": ("Возврат запрошен", "Refund asked for"),
    "refund.ended": ("Возврат завершён", "Refund ended"),
    "card.charge_asked": ("Карта: запрошено списание", "Card: charge asked"),
    "card.captured": ("Карта: деньги списаны", "Card: captured"),
    "card.ended": ("Карта: без денег", "Card: ended without money"),
    "plan.opened": ("План открыт", "Plan opened"),
    "plan.committed": ("План подтверждён магазином", "Plan committed"),
    "plan.ended": ("План завершён", "Plan ended"),
    "plan.first_payment": ("Первый платёж", "First payment"),
    "plan.first_payment_settled": ("Первый платёж решён", "First payment settled"),
    "plan.charge_asked": ("Списание по графику", "Charge asked"),
    "plan.charge_ended": ("Списание завершено", "Charge ended"),
    "plan.movement": ("Движение по плану", "Movement"),
    "plan.goods_back": ("Товары вернулись", "Goods came back"),
    "plan.credit_refund": ("Возврат переплаты", "Credit refund"),
    "plan.credit_refund_ended": ("Возврат переплаты завершён", "Credit refund ended"),
    "notice.written": ("Уведомление покупателю", "Notice to the buyer"),
    "notice.ended": ("Уведомление: итог", "Notice ended"),
    "dispute.opened": ("Спор открыт", "Dispute opened"),
    "dispute.closed": ("Спор закрыт", "Dispute closed"),
    "relief.granted": ("Послабление", "Relief granted"),
    "receipt.wanted": ("Нужен кассовый чек", "Receipt wanted"),
    "receipt.fetched": ("Чек забрала касса", "Receipt fetched"),
    "receipt.ended": ("Чек: итог", "Receipt ended"),
    "payout.asked_for": ("Выплата продавцу", "Payout to the merchant"),
    "payout.sent": ("Выплата отправлена", "Payout sent"),
    "buyer_payout.asked_for": ("Выплата покупателю", "Payout to a buyer"),
    "buyer_payout.bank_asked": ("Банк спрошен о выплате", "Bank asked to pay"),
    "buyer_payout.ended": ("Выплата покупателю: итог", "Payout to a buyer ended"),
    "contract.yookassa_payment": ("Платёж по договору ЮKassa", "Payment of the contract yookassa"),
    "contract.koshelek_pay_payment": ("Платёж по договору Кошелёк Pay", "Payment of the contract koshelek_pay"),
    "promo_code.made": ("Промокод создан", "Promo code made"),
    "promo_code.ended": ("Промокод закончен", "Promo code ended"),
    "promo_code.rewarded": ("Владелец промокода награждён", "Owner of the promo code rewarded"),
    "webhook.called": ("Уведомление отправлено", "Webhook called"),
    "delivery.delivered": ("Уведомление доставлено", "Delivered"),
    "delivery.pending": ("Уведомление ждёт", "Delivery waits"),
    "delivery.parked": ("Уведомление отложено", "Delivery parked"),
    "audit_log.read": ("Журнал прочитан", "Log read"),
}  # fmt: skip


def say(lang: Lang, name: str) -> str:
    """A word of the page."""
    return PAGE[name][lang == "en"]


def title_of(lang: Lang, what: str) -> str:
    """What a moment is called; the code itself where there is no better word."""
    return WHAT[what][lang == "en"] if what in WHAT else what
