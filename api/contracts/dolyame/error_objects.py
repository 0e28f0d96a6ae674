"""Errors in the form of the contract: ``{code, errorDetailCode, message, correlationId, details}``.

Source: the public clients' error handling; see README.md, "What public sources do not say".
"""

from __future__ import annotations

import json

from starlette.responses import Response

from api.answers import Answer
from api.errors import RequestInvalid
from api.problems import CASHIER_TIPS, STATUS, titles
from ledger.errors import KopeykaError
from pci.redaction import redact, redact_text

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
}
"""The statuses that clients know, and the code of each."""
KNOWN_AS = {
    405: 404,
    408: 400,
    413: 400,
    415: 400,
}
"""Statuses of ours that clients do not know, and what they are told instead. Above 500 everything is 500."""
STATUS_HERE = {
    "api.request_invalid": 400,
    "api.rate_limited": 429,
    "idempotency.in_progress": 409,
    "idempotency.key_reused": 409,
    "installments.plan_not_found": 404,
}
"""Where the contract says another status than our own API."""
RETRY_SECONDS = 1
FACTS_MAX = 20
HIDDEN = frozenset({"differing_fields", "first_request_id", "first_route"})
"""Facts of our own API that mean nothing here."""


class Cased(bytes):
    """The name of a header that keeps its case on the wire: some clients look for it letter by letter."""

    def lower(self) -> Cased:
        return self


def error_answer(error: KopeykaError, correlation_id: str) -> Answer:
    """An error as the contract tells it."""
    status = status_of(error)
    said = {
        "code": CODES[status],
        "errorDetailCode": detail_code(error.code),
        "message": message_of(error),
        "correlationId": correlation_id,
        "details": details_of(error),
    }
    return Answer(status, json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=str).encode())


def internal_error(correlation_id: str) -> Answer:
    """A bug of ours: what happened is unknown, and the same id may be tried again."""
    said = {
        "code": CODES[500], "errorDetailCode": "INTERNAL", "correlationId": correlation_id, "details": {},
        "message": "Внутренняя ошибка. Повторите запрос с тем же X-Correlation-ID.",
    }  # fmt: skip
    return Answer(500, json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def status_of(error: KopeykaError) -> int:
    """The status that clients of the contract know."""
    status = STATUS_HERE.get(error.code) or STATUS.get(error.code, 500)
    status = KNOWN_AS.get(status, status)
    return status if status in CODES else 500


def detail_code(code: str) -> str:
    """Our code as the contract writes codes: ``ORDER_NUMBER_TAKEN``."""
    return code.partition(".")[2].upper()


def message_of(error: KopeykaError) -> str:
    """What went wrong, in the shop's language where we have the words."""
    if isinstance(error, RequestInvalid) and error.faults:
        return redact_text(f"{error.faults[0].pointer.strip('/')}: {error.faults[0].detail}")
    tip = CASHIER_TIPS.get(error.code)
    said = str(error)
    if error.code.startswith("dolyame.") and said != titles().get(error.code):
        return redact_text(said)
    return redact_text(tip or said)


def details_of(error: KopeykaError) -> dict[str, str]:
    """Field by field what is wrong, or the facts of the refusal: always names and texts."""
    if isinstance(error, RequestInvalid):
        return {fault.pointer.strip("/").replace("/", "."): redact_text(fault.detail) for fault in error.faults}
    facts = {name: value for name, value in redact(dict(error.facts)).items() if name not in HIDDEN}
    return {name: str(value) for name, value in list(facts.items())[:FACTS_MAX]}


def with_retry_after(response: Response, seconds: int) -> Response:
    """Say when to come again, under both names that clients look for.

    Source: the official PHP client reads ``X-Retry-After`` letter by letter; the Python client ``Retry-After``.
    """
    said = b"%d" % max(seconds, 1)
    response.raw_headers += [(Cased(b"X-Retry-After"), said), (Cased(b"Retry-After"), said)]
    return response
