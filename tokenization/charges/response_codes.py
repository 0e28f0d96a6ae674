"""What the acquirer's two characters mean: our reason, and what the cashier does next.

Source: ISO 8583:1987, field 39 (response code), Annex A; the words for cashiers are ours.
"""

from __future__ import annotations

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a card was not charged, in our words."""

    ASK_ISSUER = "ask_issuer"
    MERCHANT_NOT_SERVED = "merchant_not_served"
    CARD_STOLEN = "card_stolen"
    DECLINED = "declined"
    OPERATION_NOT_POSSIBLE = "operation_not_possible"
    AMOUNT_WRONG = "amount_wrong"
    CARD_UNKNOWN = "card_unknown"
    ISSUER_UNKNOWN = "issuer_unknown"
    NOT_ENOUGH_MONEY = "not_enough_money"
    CARD_EXPIRED = "card_expired"
    LIMIT_REACHED = "limit_reached"
    CARD_RESTRICTED = "card_restricted"
    FRAUD_SUSPECTED = "fraud_suspected"
    CVC_WRONG = "cvc_wrong"
    TOO_MANY_TRIES = "too_many_tries"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ISSUER_AWAY = "issuer_away"
    ACQUIRER_FAILED = "acquirer_failed"
    NOT_SENT = "not_sent"
    """Ours: the acquirer could not be reached, and certainly never heard."""
    ANSWER_LOST = "answer_lost"
    """Ours: no answer came, and the charge was reversed."""
    VOID_REFUSED = "void_refused"
    """Ours: the acquirer will not let the money go; what it has taken can be refunded."""
    ORIGINAL_UNKNOWN = "original_unknown"
    OTHER = "other"


APPROVED = frozenset({"00", "08", "10", "11", "16"})
"""Approved; 10 is "in part", which we never ask for and never take."""
WHOLLY_APPROVED = APPROVED - {"10"}

_REASONS = {
    RefusalReason.ASK_ISSUER: ("01", "02"),
    RefusalReason.MERCHANT_NOT_SERVED: ("03", "58"),
    RefusalReason.CARD_STOLEN: ("04", "07", "41", "43"),
    RefusalReason.DECLINED: ("05", "10"),
    RefusalReason.OPERATION_NOT_POSSIBLE: ("12", "40", "57"),
    RefusalReason.AMOUNT_WRONG: ("13",),
    RefusalReason.CARD_UNKNOWN: ("14",),
    RefusalReason.ISSUER_UNKNOWN: ("15", "92"),
    RefusalReason.ORIGINAL_UNKNOWN: ("25",),
    RefusalReason.CARD_EXPIRED: ("33", "54"),
    RefusalReason.FRAUD_SUSPECTED: ("34", "59", "63"),
    RefusalReason.CARD_RESTRICTED: ("36", "62", "78"),
    RefusalReason.NOT_ENOUGH_MONEY: ("51",),
    RefusalReason.LIMIT_REACHED: ("61", "65"),
    RefusalReason.TOO_MANY_TRIES: ("38", "75"),
    RefusalReason.CVC_WRONG: ("82", "N7"),
    RefusalReason.CONSENT_WITHDRAWN: ("R0", "R1", "R3"),
    RefusalReason.ISSUER_AWAY: ("68", "91"),
    RefusalReason.ACQUIRER_FAILED: ("06", "30", "96"),
}
REASON_OF = {code: reason for reason, codes in _REASONS.items() for code in codes}

CASHIER_TIPS = {
    RefusalReason.ASK_ISSUER: "Банк просит покупателя позвонить ему. Предложите другую карту или СБП.",
    RefusalReason.MERCHANT_NOT_SERVED: "Банк не обслуживает магазин по картам. Сообщите администратору.",
    RefusalReason.CARD_STOLEN: "Оплата этой картой невозможна. Предложите другой способ оплаты.",
    RefusalReason.DECLINED: "Банк отказал без объяснения. Предложите другую карту или СБП.",
    RefusalReason.OPERATION_NOT_POSSIBLE: "Карта не подходит для такой оплаты. Предложите другую.",
    RefusalReason.AMOUNT_WRONG: "Банк не принял сумму. Проверьте её и попробуйте ещё раз.",
    RefusalReason.CARD_UNKNOWN: "Банк не знает такой карты. Проверьте номер или возьмите другую карту.",
    RefusalReason.ISSUER_UNKNOWN: "Банк карты недоступен для оплаты. Предложите другую карту.",
    RefusalReason.NOT_ENOUGH_MONEY: "На карте не хватает денег. Предложите другую карту или СБП.",
    RefusalReason.CARD_EXPIRED: "Срок карты истёк. Попросите другую карту.",
    RefusalReason.LIMIT_REACHED: "Превышен лимит по карте. Покупатель может изменить его в приложении банка.",
    RefusalReason.CARD_RESTRICTED: "Карта ограничена или не активирована. Попросите другую карту.",
    RefusalReason.FRAUD_SUSPECTED: "Банк остановил оплату как подозрительную. Предложите другой способ.",
    RefusalReason.CVC_WRONG: "Неверный код с обратной стороны карты. Попросите ввести его ещё раз.",
    RefusalReason.TOO_MANY_TRIES: "Слишком много попыток. Предложите другую карту.",
    RefusalReason.CONSENT_WITHDRAWN: "Покупатель отозвал согласие на списания. Попросите оплатить заново.",
    RefusalReason.ISSUER_AWAY: "Банк покупателя не отвечает. Повторите через минуту или предложите СБП.",
    RefusalReason.ACQUIRER_FAILED: "Сбой у банка-эквайера. Повторите через минуту или предложите СБП.",
    RefusalReason.NOT_SENT: "Нет связи с банком, деньги не списаны. Повторите или предложите СБП.",
    RefusalReason.ANSWER_LOST: "Ответ банка не пришёл, списание отменено. Можно оплатить ещё раз.",
    RefusalReason.VOID_REFUSED: "Банк не отменил списание. Если деньги списаны, оформите возврат.",
    RefusalReason.ORIGINAL_UNKNOWN: "Банк не нашёл исходную операцию. Сообщите администратору.",
    RefusalReason.OTHER: "Банк отказал. Предложите другую карту или СБП.",
}
"""What the cashier reads."""

MAY_TRY_AGAIN = frozenset(
    {
        RefusalReason.NOT_ENOUGH_MONEY, RefusalReason.LIMIT_REACHED, RefusalReason.ISSUER_AWAY,
        RefusalReason.ACQUIRER_FAILED, RefusalReason.NOT_SENT, RefusalReason.ANSWER_LOST, RefusalReason.DECLINED,
        RefusalReason.CVC_WRONG,
    }
)  # fmt: skip
"""The same card may do later; of the others a plan must ask the buyer for another card."""


def reason_of(response_code: str) -> RefusalReason:
    """Our word for a refusal; a code that is not in the table is a refusal too."""
    return REASON_OF.get(response_code, RefusalReason.OTHER)
