"""What the phone's pages say, in Russian and in English."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("ru", "en")

TEXTS: Mapping[str, tuple[str, str]] = {
    "title": ("Телефон покупателя", "The buyer's phone"),
    "sandbox": ("Имитатор СБП. Денег здесь нет.", "SBP simulator. There is no money here."),
    "waiting": ("Ждут оплаты", "Waiting to be paid"),
    "plates": ("Таблички, наклейки и привязки", "Plates, stickers and bindings"),
    "nothing": (
        "Пока ничего. Покажите QR на кассе — ссылка появится здесь сама.",
        "Nothing yet. Show a QR at the till and its link appears here by itself.",
    ),
    "scan": ("Сканировать", "Scan"),
    "scan_label": ("Текст ссылки из QR-кода", "Text of the link in the QR code"),
    "scan_hint": ("https://qr.nspk.ru/…", "https://qr.nspk.ru/…"),
    "bad_link": ("Это не ссылка СБП: проверьте, что скопировали её целиком.", "Not an SBP link: copy all of it."),
    "unknown_link": ("Такой ссылки НСПК не знает.", "NSPK does not know this link."),
    "other_language": ("English", "Русский"),
    "all": ("Все ссылки", "All links"),
    "to_pay": ("К оплате", "To pay"),
    "any_amount": ("Любая сумма", "Any amount"),
    "no_amount": ("Без суммы", "No amount yet"),
    "amount": ("Сумма, ₽", "Amount, ₽"),
    "payee": ("Получатель", "Payee"),
    "payee_bank": ("Банк получателя", "Payee's bank"),
    "link": ("Ссылка", "Link"),
    "operation": ("Операция СБП", "SBP operation"),
    "your_bank": ("Ваш банк", "Your bank"),
    "other_bank": ("Другой банк…", "Another bank…"),
    "pay": ("Оплатить", "Pay"),
    "refuse": ("Отказаться", "Refuse"),
    "pay_late": ("Оплатить с опозданием", "Pay too late"),
    "pay_late_hint": (
        "Деньги придут, когда срок ссылки уже выйдет: так проверяют поздние платежи.",
        "The money moves after the link's time is over: this is how late payments are tried.",
    ),
    "left": ("Осталось", "Time left"),
    "accepted": ("Оплачено", "Paid"),
    "accepted_hint": ("Касса уже знает или узнает через пару секунд.", "The till knows or will know in a moment."),
    "rejected": ("Платёж отклонён", "The payment was refused"),
    "paid_before": ("Последний платёж", "Last payment"),
    "rejected_hint": ("Можно попробовать ещё раз, пока срок не вышел.", "You may try again while time is left."),
    "expired": ("Срок ссылки вышел", "The link's time is over"),
    "expired_hint": ("Банк её уже не примет. Можно только опоздать.", "No bank takes it now. You can only be late."),
    "late": ("Платёж подтверждён и в пути", "Confirmed, and on its way"),
    "late_hint": ("Деньги будут зачислены в", "The money will move at"),
    "not_armed": ("Касса ещё не выставила сумму", "The till has not set an amount yet"),
    "not_armed_hint": ("Страница обновится сама.", "This page looks again by itself."),
    "amount_missing": (
        "Введите сумму от одной копейки до миллиона рублей.",
        "Write an amount up to a million roubles.",
    ),
    "dynamic": ("Ссылка на оплату", "Payment link"),
    "binding": ("Привязка счёта", "Account binding"),
    "bind": ("Привязать счёт", "Bind the account"),
    "unbind": ("Отвязать счёт", "Unbind the account"),
    "bound": ("Счёт привязан", "The account is bound"),
    "bound_hint": ("Магазин может списывать по согласию.", "The shop may charge by this consent."),
    "plate": ("Кассовая ссылка", "Cash link"),
    "sticker": ("Наклейка", "Sticker"),
    "script": ("Заказан сбой", "A fault is ordered"),
    "already_paid": ("Эта ссылка уже оплачена.", "This link is paid already."),
    "in_processing": ("Платёж уже в пути.", "The payment is on its way already."),
    "link_expired": ("Срок ссылки вышел.", "The link's time is over."),
}


def said(word: str, language: str) -> str:
    """A text in a language."""
    return TEXTS[word][LANGUAGES.index(language)]
