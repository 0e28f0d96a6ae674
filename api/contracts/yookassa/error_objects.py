"""Errors in the form of the contract: the same refusals, told as ``{"type": "error", …}``.

Source: YooKassa API v3, "HTTP response codes" and "Response format".
"""

from __future__ import annotations

import json
from typing import Any

from api.answers import Answer
from api.contracts.yookassa.errors import PaymentProcessing
from api.errors import IdempotencyInProgress, RequestInvalid
from api.problems import STATUS
from ledger import ids
from ledger.errors import KopeykaError
from pci.redaction import redact_text

CODES = {
    400: "invalid_request",
    401: "invalid_credentials",
    403: "forbidden",
    404: "not_found",
    405: "invalid_request",
    415: "invalid_request",
    429: "too_many_requests",
    500: "internal_server_error",
}
"""The contract's code of each status it answers with. For 405 and 415 it documents a status and no code."""
PROCESSING = (IdempotencyInProgress, PaymentProcessing)
RETRY_AFTER_MS = 1_000
KEY = "Idempotence-Key"
KEY_REUSED = "Idempotence key duplicated"
"""What the other side says to a key that named another request; clients compare the text."""
PARAMETERS = {
    "checkout.amount_not_positive": "amount.value",
    "checkout.amount_too_large": "amount.value",
    "checkout.terminal_not_found": "recipient.gateway_id",
    "sbp_gateway.merchant_not_registered": "payment_method_data",
    "sbp_gateway.refund_amount_not_positive": "amount.value",
    "sbp_gateway.refund_above_rest": "amount.value",
    "sbp_gateway.refund_not_covered": "amount.value",
    "sbp_gateway.payment_refunded": "payment_id",
    "sbp_gateway.refund_too_soon": "payment_id",
    "sbp_gateway.invalid_payload": "pos_link_data.link",
    "sbp_gateway.qrc_id_taken": "pos_link_data.link",
    "sbp_gateway.qrc_id_not_reserved": "pos_link_data.link",
    "sbp_gateway.ttl_out_of_range": "pos_link.expires_at",
    "sbp_gateway.activation_live": "pos_link.id",
    "sbp_gateway.activation_paying": "pos_link.id",
    "sbp_gateway.cash_link_elsewhere": "pos_link.id",
    "sbp_gateway.cash_link_not_registered": "pos_link.id",
    "idempotency.key_missing": KEY,
    "idempotency.key_invalid": KEY,
    "idempotency.key_expired": KEY,
    "idempotency.key_reused": KEY,
    "api.unknown_cursor": "cursor",
    "api.key_missing": "Authorization",
    "api.key_unknown": "Authorization",
    "api.key_expired": "Authorization",
}
"""Which parameter a refusal is about, where the error itself does not say."""


def error_answer(error: KopeykaError, request_id: str) -> Answer:
    """An error as the contract tells it; ``processing`` when the same request should be repeated."""
    if isinstance(error, PROCESSING):
        said = {"type": "processing", "description": str(error), "retry_after": RETRY_AFTER_MS}
        return Answer(202, _to_bytes(said))
    status = status_of(error)
    return Answer(status, _to_bytes(error_object(error, status, request_id)))


def status_of(error: KopeykaError) -> int:
    """The contract knows fewer statuses than we do: what it has no word for is a wrong request or an unknown end."""
    status = STATUS.get(error.code, 500)
    if status >= 500:
        return 500
    return status if status in CODES else 400


def error_object(error: KopeykaError, status: int, request_id: str) -> dict[str, Any]:
    """The body of an error."""
    said: dict[str, Any] = {
        "type": "error",
        "id": error_id(request_id),
        "code": CODES[status],
        "description": _description(error),
    }
    if (parameter := parameter_of(error)) is not None:
        said["parameter"] = parameter
    if status == 429:
        said["retry_after"] = int(error.facts.get("retry_after_seconds", 1)) * 1000
    return said


def internal_error(request_id: str) -> Answer:
    """A bug of ours: the outcome is unknown, and the same key may be tried again."""
    said = {
        "type": "error", "id": error_id(request_id), "code": CODES[500],
        "description": "Something broke on our side. Repeat the request with the same Idempotence-Key.",
    }  # fmt: skip
    return Answer(500, _to_bytes(said))


def error_id(request_id: str) -> str:
    """Our request id in the contract's form: a UUID when we made it."""
    try:
        return str(ids.read("req", request_id))
    except ValueError:
        return request_id


def parameter_of(error: KopeykaError) -> str | None:
    """The parameter that an error is about: ``amount.value``."""
    if isinstance(error, RequestInvalid) and error.faults:
        return error.faults[0].pointer.removeprefix("query/").strip("/").replace("/", ".") or None
    named = error.facts.get("parameter")
    return str(named) if named else PARAMETERS.get(error.code)


def _description(error: KopeykaError) -> str:
    if error.code == "idempotency.key_reused":
        return KEY_REUSED
    if isinstance(error, RequestInvalid) and error.faults:
        return redact_text(error.faults[0].detail)
    next_at = error.facts.get("next_allowed_at")
    said = str(error) if next_at is None else f"{error} Try again at {next_at.isoformat(timespec='seconds')}."
    return redact_text(said)


def _to_bytes(said: dict[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
