"""Errors in the form of the contract: 422 and ``{code, details, hint}``.

``code`` is for the machine, ``details`` is the tip for the cashier in Russian, ``hint`` is for the developer. The codes
of ``PUBLISHED`` are the wallet's own; the others are ours, because the public pages do not go on. Source: the wallet's
developer pages, Pay API, "Responses"; see README.md.
"""

from __future__ import annotations

import json

from api.answers import Answer
from api.errors import RequestInvalid
from api.problems import CASHIER_TIPS, STATUS
from ledger.errors import KopeykaError
from pci.redaction import redact_text

PUBLISHED = {
    "EXTERNAL_PROVIDER_ERROR": "Банк не отвечает. Проверьте статус оплаты через несколько секунд.",
    "UNKNOWN_SESSION_ID": "Код покупателя устарел. Попросите обновить карту на экране и отсканируйте снова.",
    "UNKNOWN_TRANSACTION_ID": "Платёж не найден. Проверьте номер на чеке.",
    "UNKNOWN_PARTNER_ID": "Касса подключена к другому продавцу. Обратитесь в поддержку.",
    "WRONG_TRANSACTION_STATE_CHANGE": "С этим платежом так поступить уже нельзя. Проверьте его статус.",
    "PAYMENT_TRANSACTION_IS_NOT_PAID": "Платёж не оплачен, возвращать нечего.",
    "CANCEL_REFUNDING_BY_BANK": "Банк отклонил возврат. Верните деньги другим способом.",
    "SUBSCRIPTION_IS_NOT_FOUND": "Согласие покупателя на списание не найдено. Попросите оплатить по QR-коду.",
    "PAYMENT_DECLINED_BY_EXTERNAL_PROVIDER": "Банк отказал, деньги не списаны. Предложите другой способ оплаты.",
    "PAYMENT_ORDER_IS_NOT_FOUND": "Заказ не найден. Проверьте номер чека.",
}
"""The codes that the public pages name, each with what a cashier does about it."""
CODES = {
    "api.key_missing": "UNAUTHORIZED",
    "api.key_unknown": "UNAUTHORIZED",
    "api.key_expired": "UNAUTHORIZED",
    "api.scope_missing": "FORBIDDEN",
    "api.rate_limited": "TOO_MANY_REQUESTS",
    "api.request_invalid": "INVALID_REQUEST",
    "api.json_invalid": "INVALID_REQUEST",
    "api.media_type_unsupported": "INVALID_REQUEST",
    "api.body_too_large": "INVALID_REQUEST",
    "api.card_number_refused": "INVALID_REQUEST",
    "api.route_unknown": "UNKNOWN_CALL",
    "api.method_not_allowed": "UNKNOWN_CALL",
    "idempotency.key_reused": "REQUEST_ID_IS_USED",
    "idempotency.key_expired": "REQUEST_ID_IS_USED",
    "idempotency.in_progress": "REQUEST_IN_PROGRESS",
    "koshelek_pay.partner_unknown": "UNKNOWN_PARTNER_ID",
    "koshelek_pay.store_unknown": "UNKNOWN_STORE_ID",
    "koshelek_pay.terminal_unknown": "UNKNOWN_TERMINAL_ID",
    "checkout.terminal_key_refused": "WRONG_TOKEN",
    "koshelek_pay.session_unknown": "UNKNOWN_SESSION_ID",
    "koshelek_pay.payment_unknown": "UNKNOWN_TRANSACTION_ID",
    "koshelek_pay.order_unknown": "PAYMENT_ORDER_IS_NOT_FOUND",
    "koshelek_pay.payment_canceled": "WRONG_TRANSACTION_STATE_CHANGE",
    "koshelek_pay.payment_accepted": "WRONG_TRANSACTION_STATE_CHANGE",
    "koshelek_pay.payment_over": "WRONG_TRANSACTION_STATE_CHANGE",
    "koshelek_pay.payment_not_paid": "PAYMENT_TRANSACTION_IS_NOT_PAID",
    "koshelek_pay.parameter_invalid": "INVALID_REQUEST",
    "koshelek_pay.method_unavailable": "PAYMENT_METHOD_IS_NOT_AVAILABLE",
    "checkout.barcode_unreadable": "UNKNOWN_SESSION_ID",
    "checkout.barcode_not_of_now": "UNKNOWN_SESSION_ID",
    "checkout.barcode_used": "UNKNOWN_SESSION_ID",
    "checkout.showing_ended": "UNKNOWN_SESSION_ID",
    "checkout.loyalty_card_not_found": "UNKNOWN_SESSION_ID",
    "checkout.presentment_used": "UNKNOWN_SESSION_ID",
    "checkout.card_not_as_presented": "UNKNOWN_SESSION_ID",
    "checkout.presentment_not_found": "UNKNOWN_SESSION_ID",
    "checkout.rail_not_rolled_out": "PAYMENT_METHOD_IS_NOT_AVAILABLE",
    "checkout.order_number_taken": "ORDER_ALREADY_EXISTS",
    "checkout.order_not_paid": "PAYMENT_TRANSACTION_IS_NOT_PAID",
    "checkout.order_not_roubles": "CURRENCY_IS_NOT_SUPPORTED",
    "checkout.order_not_open": "WRONG_TRANSACTION_STATE_CHANGE",
    "sbp_gateway.activation_paying": "WRONG_TRANSACTION_STATE_CHANGE",
    "sbp_gateway.binding_not_found": "SUBSCRIPTION_IS_NOT_FOUND",
    "sbp_gateway.binding_not_bound": "SUBSCRIPTION_IS_NOT_FOUND",
    "koshelek_pay.payment_declined": "PAYMENT_DECLINED_BY_EXTERNAL_PROVIDER",
    "koshelek_pay.provider_unavailable": "EXTERNAL_PROVIDER_ERROR",
    "sbp_gateway.refused_by_nspk": "PAYMENT_DECLINED_BY_EXTERNAL_PROVIDER",
}
"""What each refusal of ours is called here; what is not named is our own code in capitals."""
STATUSES = {401: 401, 403: 401, 404: 404, 405: 404, 429: 429, 500: 500}
"""The contract says 200 or 422; ours beside them are told by HTTP's own words. Everything else is 422."""
INTERNAL = "INTERNAL_ERROR"
INTERNAL_TIP = "Ошибка на нашей стороне. Проверьте статус оплаты, прежде чем повторять."


def error_answer(error: KopeykaError, _request_id: str) -> Answer:
    """A refusal as the contract tells it."""
    code = code_of(error)
    return Answer(status_of(error), said(code, tip_of(error, code), hint_of(error)))


def status_of(error: KopeykaError) -> int:
    """401 for who calls, 404 and 429 for the call itself, 500 for a bug, 422 for the rest."""
    status = STATUS.get(error.code, 500)
    if error.code.startswith("api.") and status in (401, 403, 404, 405, 429):
        return STATUSES[status]
    return 500 if status == 500 else 422


def code_of(error: KopeykaError) -> str:
    """The code of the contract, or ours as it writes codes."""
    if error.code in CODES:
        return CODES[error.code]
    if STATUS.get(error.code, 500) >= 500:
        return INTERNAL if STATUS.get(error.code, 500) == 500 else "EXTERNAL_PROVIDER_ERROR"
    return error.code.partition(".")[2].upper()


def tip_of(error: KopeykaError, code: str) -> str:
    """What the cashier is told to do."""
    return CASHIER_TIPS.get(error.code) or PUBLISHED.get(code) or INTERNAL_TIP


def hint_of(error: KopeykaError) -> str:
    """What the developer is told: which field, or which rule."""
    if isinstance(error, RequestInvalid) and error.faults:
        return redact_text(f"{error.faults[0].pointer.strip('/').replace('/', '.')}: {error.faults[0].detail}")
    named = error.facts.get("parameter")
    return redact_text(f"{named}: {error}" if named else str(error))


def internal_error() -> Answer:
    """A bug of ours: the outcome is unknown until the status is asked."""
    return Answer(500, said(INTERNAL, INTERNAL_TIP, "Something broke on our side: ask for the status."))


def said(code: str, details: str, hint: str) -> bytes:
    """The body of an error."""
    return json.dumps({"code": code, "details": details, "hint": hint}, ensure_ascii=False).encode()
