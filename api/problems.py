"""Problem documents (RFC 9457): one table from our codes to HTTP, and how an error is told.

Nothing that the client sent is repeated: only codes, our own words, and facts passed through redaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.cashier_tips import CASHIER_TIPS as CASHIER_TIPS
from api.errors import (
    DatabaseUnavailable,
    FieldFault,
    HttpRefused,
    JsonInvalid,
    MethodNotAllowed,
    RequestInvalid,
    RouteUnknown,
    VaultRefused,
)
from api.till_statuses import OF_THE_TILL
from ledger.errors import LEDGER_REFUSALS, EntryRejected, KopeykaError, refusal_of
from pci.errors import PciError
from pci.redaction import redact, redact_text
from tokenization.problems import STATUS as VAULT_STATUS
from tokenization.problems import every_error as vault_errors

TOLD_BY_THE_VAULT = frozenset(VAULT_STATUS)
"""Codes that are passed on: the vault's table says their status."""
PROBLEM_JSON = "application/problem+json"
TYPE = "urn:kopeyka:problem:"
RETRY_AFTER_SECONDS = 1
FAULTS_MAX = 50
"""Wrong fields told of at once."""
INTERNAL = "api.internal"

STATUS: dict[str, int] = OF_THE_TILL | {
    # The door
    "api.refused": 400,
    "api.http_refused": 400,
    "api.body_timed_out": 408,
    "api.json_invalid": 400,
    "api.unknown_cursor": 400,
    "api.key_missing": 401,
    "api.key_unknown": 401,
    "api.key_expired": 401,
    "api.scope_missing": 403,
    "api.clock_fixed": 403,
    "api.sandbox_only": 403,
    "api.route_unknown": 404,
    "api.resource_unknown": 404,
    "api.method_not_allowed": 405,
    "api.body_too_large": 413,
    "api.media_type_unsupported": 415,
    "api.request_invalid": 422,
    "api.key_refused": 422,
    "api.address_refused": 422,
    "api.card_number_refused": 422,
    "api.card_secret_refused": 422,
    "api.rate_limited": 429,
    "api.internal": 500,
    "api.card_number_stopped": 500,
    "api.database_unavailable": 503,
    "api.not_ready": 503,
    "vault.refused": 422,
    "vault.unavailable": 503,
    "vault.unknown": 503,
    "vault.not_named": 503,
    "idempotency.refused": 400,
    "idempotency.key_missing": 400,
    "idempotency.key_invalid": 400,
    "idempotency.key_unknown": 404,
    "idempotency.in_progress": 409,
    "idempotency.key_expired": 409,
    "idempotency.key_reused": 422,
    # Webhooks
    "webhooks.rejected": 422,
    "webhooks.webhook_not_found": 404,
    "webhooks.delivery_not_found": 404,
    "webhooks.event_type_unknown": 422,
    "webhooks.too_many": 422,
    "webhooks.replay_range_refused": 422,
    "webhooks.removed": 409,
    "webhooks.suspended": 409,
    "webhooks.key_differs": 409,
    "webhooks.delivery_pending": 409,
    "webhooks.not_configured": 503,
    # The contract of YooKassa, which tells them in its own form
    "yookassa.rejected": 400,
    "yookassa.parameter_invalid": 400,
    "yookassa.payment_not_held": 400,
    "yookassa.url_refused": 400,
    "yookassa.payment_not_found": 404,
    "yookassa.refund_not_found": 404,
    "yookassa.webhook_not_found": 404,
    "yookassa.pos_link_not_found": 404,
    "yookassa.payment_processing": 503,
    # The contract of Долями, which tells them in its own form
    "dolyame.rejected": 400,
    "dolyame.correlation_missing": 400,
    "dolyame.correlation_malformed": 400,
    "dolyame.notification_url_refused": 400,
    "dolyame.certificate_foreign": 403,
    "dolyame.order_not_found": 404,
    "dolyame.correction_ambiguous": 422,
    "dolyame.shop_not_found": 422,
    "dolyame.login_taken": 422,
    "dolyame.login_malformed": 422,
    "dolyame.certificate_refused": 422,
    # Said at the command line, never over HTTP
    "api.start_refused": 500,
    "api.demo_failed": 500,
    # Families
    "kopeyka.error": 500,
    "kopeyka.invariant_broken": 500,
    "kopeyka.rejected": 422,
    "kopeyka.unavailable": 503,
    # The books
    "ledger.unknown_book": 404,
    "ledger.unknown_account": 404,
    "ledger.unknown_commodity": 404,
    "ledger.unknown_hold": 404,
    "ledger.unknown_entry": 404,
    "ledger.account_closed": 409,
    "ledger.account_differs": 409,
    "ledger.book_differs": 409,
    "ledger.commodity_differs": 409,
    "ledger.account_not_empty": 409,
    "ledger.period_closed": 409,
    "ledger.period_not_over": 409,
    "ledger.reference_reused": 409,
    "ledger.entry_id_reused": 409,
    "ledger.version_changed": 409,
    "ledger.hold_not_open": 409,
    "ledger.hold_expired": 409,
    "ledger.hold_not_expired": 409,
    "ledger.already_reversed": 409,
    "ledger.wrong_commodity": 422,
    "ledger.overdrawn": 422,
    "ledger.over_ceiling": 422,
    "ledger.available_too_low": 422,
    "ledger.amount_overflow": 422,
    "ledger.linked_entry_refused": 422,
    "ledger.linked_entry_known": 422,
    "ledger.hold_exceeded": 422,
    "ledger.invalid_entry": 422,
    "ledger.busy": 503,
    # The till
    # Loyalty cards and barcodes
    "checkout.loyalty_rejected": 422,
    "checkout.loyalty_card_not_found": 404,
    "checkout.loyalty_card_blocked": 422,
    "checkout.loyalty_phone_taken": 409,
    "checkout.loyalty_phone_malformed": 422,
    "checkout.programme_malformed": 422,
    "checkout.showing_not_found": 404,
    "checkout.showing_ended": 422,
    "checkout.showings_too_many": 409,
    "checkout.barcode_unreadable": 422,
    "checkout.barcode_not_of_now": 422,
    "checkout.barcode_used": 409,
    "checkout.presentment_not_found": 404,
    "checkout.loyalty_key_missing": 503,
    # SBP
    "sbp_gateway.rejected": 422,
    "sbp_gateway.merchant_not_registered": 422,
    "sbp_gateway.registration_not_found": 404,
    "sbp_gateway.registration_incomplete": 422,
    "sbp_gateway.registration_fixed": 409,
    "sbp_gateway.registration_not_allowed": 409,
    "sbp_gateway.registration_open": 409,
    "sbp_gateway.nspk_merchant_taken": 409,
    "sbp_gateway.invalid_payload": 422,
    "sbp_gateway.invalid_bank_list": 422,
    "sbp_gateway.bank_not_found": 404,
    "sbp_gateway.qr_code_not_found": 404,
    "sbp_gateway.qr_code_not_ready": 409,
    "sbp_gateway.qr_code_over": 409,
    "sbp_gateway.link_kind_not_offered": 422,
    "sbp_gateway.ttl_out_of_range": 422,
    "sbp_gateway.cash_link_not_found": 404,
    "sbp_gateway.cash_link_not_registered": 409,
    "sbp_gateway.cash_link_elsewhere": 409,
    "sbp_gateway.qrc_id_taken": 409,
    "sbp_gateway.qrc_id_not_reserved": 422,
    "sbp_gateway.activation_live": 409,
    "sbp_gateway.activation_paying": 409,
    "sbp_gateway.activation_missing": 409,
    "sbp_gateway.binding_not_found": 404,
    "sbp_gateway.binding_not_bound": 409,
    "sbp_gateway.sticker_not_found": 404,
    "sbp_gateway.sticker_taken": 409,
    "sbp_gateway.unmatched_payment_not_found": 404,
    "sbp_gateway.unmatched_payment_matched": 409,
    "sbp_gateway.unmatched_payment_returned": 409,
    "sbp_gateway.unmatched_amount_differs": 422,
    "sbp_gateway.refused_by_nspk": 422,
    "sbp_gateway.nspk_address_refused": 422,
    "sbp_gateway.notification_unsigned": 403,
    "sbp_gateway.money_unreadable": 422,
    "sbp_gateway.payment_not_found": 404,
    "sbp_gateway.refund_not_found": 404,
    "sbp_gateway.payment_refunded": 409,
    "sbp_gateway.payment_late": 409,
    "sbp_gateway.refund_too_soon": 409,
    "sbp_gateway.refund_amount_not_positive": 422,
    "sbp_gateway.refund_above_rest": 422,
    "sbp_gateway.refund_not_covered": 422,
    "sbp_gateway.refund_not_roubles": 422,
    "sbp_gateway.register_rejected": 422,
    "sbp_gateway.register_profile_unknown": 422,
    "sbp_gateway.register_profile_invalid": 422,
    "sbp_gateway.register_encoding_wrong": 422,
    "sbp_gateway.register_packing_wrong": 422,
    "sbp_gateway.register_header_wrong": 422,
    "sbp_gateway.register_line_malformed": 422,
    "sbp_gateway.register_value_malformed": 422,
    "sbp_gateway.register_day_wrong": 422,
    "sbp_gateway.register_empty": 422,
    "sbp_gateway.register_absent": 422,
    "sbp_gateway.register_not_absent": 422,
    "sbp_gateway.register_too_large": 413,
    "sbp_gateway.register_taken": 409,
    "sbp_gateway.register_not_found": 404,
    "sbp_gateway.nspk_unknown": 503,
    "sbp_gateway.nspk_unavailable": 503,
    "sbp_gateway.buyer_payout_refused": 422,
    "sbp_gateway.invalid_phone": 422,
    "sbp_gateway.buyer_bank_unknown": 422,
    "sbp_gateway.buyer_payout_out_of_range": 422,
    "sbp_gateway.buyer_payout_not_covered": 422,
    "sbp_gateway.buyer_payout_not_found": 404,
    "sbp_gateway.payout_bank_unknown": 503,
    # Tariffs and payouts
    "reconciliation.rejected": 422,
    "reconciliation.no_tariff": 422,
    "reconciliation.bank_tariff_taken": 409,
    "reconciliation.payout_not_found": 404,
    "reconciliation.bank_unknown": 503,
    # Plans
    "installments.rejected": 422,
    "installments.schedule_rejected": 422,
    "installments.movement_rejected": 422,
    "installments.parts_mismatch": 422,
    "installments.price_too_small": 422,
    "installments.too_many_installments": 422,
    "installments.movement_before_plan": 422,
    "installments.undone_movement_unknown": 422,
    "installments.undone_movement_charged_back": 409,
    "installments.chargeback_above_rest": 422,
    "installments.snoozed_already": 409,
    "installments.snooze_not_possible": 422,
    "installments.re_age_not_possible": 422,
    "installments.movement_differs": 409,
    "installments.movement_in_future": 422,
    "installments.clock_went_back": 422,
    "installments.law_rejected": 422,
    "installments.term_above_law": 422,
    "installments.penalty_above_law": 422,
    "installments.bureau_report_required": 422,
    "installments.product_not_effective": 422,
    "installments.merchant_terms_missing": 422,
    "installments.licence_not_active": 422,
    "installments.offer_backdated": 422,
    "installments.product_taken": 409,
    "installments.merchant_terms_taken": 409,
    "installments.licence_taken": 409,
    "installments.not_consumer": 422,
    "installments.price_differs": 422,
    "installments.price_out_of_range": 422,
    "installments.basket_malformed": 422,
    "installments.basket_mismatch": 422,
    "installments.order_number_malformed": 422,
    "installments.order_number_taken": 409,
    "installments.plan_not_found": 404,
    "installments.plan_not_awaiting_commit": 409,
    "installments.plan_canceled": 409,
    "installments.plan_committed": 409,
    "installments.plan_not_committed": 409,
    "installments.plan_expired": 409,
    "installments.acceptance_differs": 409,
    "installments.first_payment_tries_spent": 409,
    "installments.bureau_not_told": 409,
    "installments.bureau_range_not_over": 409,
    "installments.portfolio_day_unknown": 404,
    "installments.register_not_over": 409,
    "installments.register_not_found": 404,
    "installments.plan_document_not_found": 404,
    "installments.plan_document_format_missing": 422,
    "installments.receipt_not_found": 404,
    "installments.receipt_not_fetched": 409,
    "installments.receipt_differs": 409,
    "installments.commit_above_approved": 422,
    "installments.commit_differs": 409,
    "installments.refund_amount_not_positive": 422,
    "installments.refund_above_rest": 422,
    "installments.refund_differs": 422,
    "installments.refund_items_mismatch": 422,
    "installments.correction_above_total": 422,
    "installments.first_payment_busy": 503,
    "installments.nothing_owed": 409,
    "installments.debt_not_written_off": 409,
    "installments.bureau_event_not_found": 404,
    "installments.bureau_event_taken": 409,
    "installments.debt_sale_taken": 409,
    "installments.debt_sale_not_found": 404,
    "installments.debt_sold": 409,
    "installments.no_penalty_owed": 409,
    "installments.goodwill_above_debt": 422,
    "installments.early_payment_out_of_range": 422,
    "installments.no_way_to_collect": 409,
    "installments.dispute_open_already": 409,
    "installments.no_open_dispute": 409,
    "installments.dispute_differs": 409,
    "installments.charge_under_way": 503,
    "installments.return_above_overpaid": 422,
    "installments.card_of_another": 422,
    "installments.card_change_under_way": 409,
    "installments.card_changes_too_often": 429,
    "installments.buyer_not_found": 404,
    "installments.phone_malformed": 422,
    "installments.details_malformed": 422,
    "installments.birth_date_fixed": 409,
    "installments.limit_out_of_range": 422,
    "installments.birth_date_missing": 422,
    "installments.phone_not_verified": 409,
    "installments.buyer_rejected": 422,
    "installments.under_age": 422,
    "installments.stop_listed": 422,
    "installments.buyer_frozen": 422,
    "installments.arrears_recent": 422,
    "installments.limit_exceeded": 422,
    "installments.debt_written_off": 422,
    "installments.too_many_plans": 422,
    "installments.first_plan_too_large": 422,
    "installments.limit_share_exceeded": 422,
    "installments.scoring_rejected": 422,
    "installments.code_rejected": 422,
    "installments.code_wrong": 422,
    "installments.code_expired": 409,
    "installments.code_tries_spent": 409,
    "installments.code_used": 409,
    "installments.code_not_sent": 409,
    "installments.codes_too_often": 429,
    "installments.consent_without_code": 422,
    "installments.consent_differs": 409,
    "installments.stop_list_line_not_found": 404,
    "installments.debt_open": 409,
    "installments.policy_refused": 422,
    "installments.policy_not_found": 404,
    "installments.codes_not_configured": 503,
    "installments.messages_unavailable": 503,
}
"""Every code that we may answer with, and its HTTP status. A test proves that none is missing."""


def every_error(family: type[KopeykaError] = KopeykaError) -> Iterator[type[KopeykaError]]:
    """The class and every class below it."""
    yield family
    for child in family.__subclasses__():
        yield from every_error(child)


@cache
def titles() -> dict[str, str]:
    """What each code says: the refusals of the books, and the first line of each class."""
    errors: list[type[KopeykaError] | type[PciError]] = [*vault_errors(), *every_error()]
    found = {error.code: (error.__doc__ or "").strip().splitlines()[0] for error in errors}
    return {**found, **LEDGER_REFUSALS, INTERNAL: "Something broke on our side; the request may be repeated."}


def status_of(error: KopeykaError) -> int:
    """The HTTP status of an error. A code that the table does not know is our bug."""
    return STATUS.get(error.code) or VAULT_STATUS.get(error.code, 500)


def as_ours(error: BaseException) -> KopeykaError | None:
    """Any exception as an error of ours; nothing if it is a bug."""
    if isinstance(error, KopeykaError):
        return error
    if isinstance(error, RequestValidationError):
        return RequestInvalid(faults_of(error.errors()))
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, DBAPIError) and (refusal := refusal_of(error)) is not None:
        return refusal
    if is_database_away(error):
        return DatabaseUnavailable()
    return None


def is_database_away(error: BaseException) -> bool:
    """Whether PostgreSQL or our share of its connections is what failed, and not the request."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, OperationalError)
    return isinstance(error, (PoolTimeoutError, OperationalError, InterfaceError, ConnectionError))


def faults_of(errors: Any) -> tuple[FieldFault, ...]:
    """FastAPI's findings without what the client sent."""
    return tuple(
        FieldFault(
            pointer_of(error["loc"], error["type"]), redact_text(str(error["msg"]).removeprefix("Value error, "))
        )
        for error in list(errors)[:FAULTS_MAX]
    )


def pointer_of(location: tuple[Any, ...], kind: str) -> str:
    """Where a fault is: a JSON pointer into the body, or ``query/name``. An unknown name is not repeated."""
    head, *rest = location or ("body",)
    names = rest[:-1] if kind == "extra_forbidden" and rest else rest
    path = "/".join(redact_text(str(name))[:64].replace("~", "~0").replace("/", "~1") for name in names)
    if head == "body":
        return f"/{path}" if path else ""
    return f"{head}/{path}"


def document(error: KopeykaError, request_id: str, status: int | None = None) -> dict[str, Any]:
    """The problem document of an error."""
    code = error.code
    found: dict[str, Any] = {
        "type": TYPE + code,
        "title": titles().get(code, "Something broke on our side."),
        "status": status or status_of(error),
        "detail": redact_text(str(error)),
        "code": code,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if faults := _faults(error):
        found["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
    if facts := {name: value for name, value in redact(error.facts).items() if value is not None}:
        found["facts"] = facts
    if tip := CASHIER_TIPS.get(code):
        found["cashier_tip"] = tip
    return found


def problem_bytes(error: KopeykaError, request_id: str, status: int | None = None) -> bytes:
    """The problem document as it goes out."""
    return to_bytes(document(error, request_id, status))


def to_bytes(found: dict[str, Any] | str) -> bytes:
    """JSON as compact as we send it."""
    return _ENCODER.encode(found).encode()


def internal_bytes(request_id: str) -> bytes:
    """The problem document of a bug: nothing about it but where to find it."""
    title = titles()[INTERNAL]
    return to_bytes(
        {
            "type": TYPE + INTERNAL, "title": title, "status": 500, "detail": title, "code": INTERNAL,
            "retryable": True, "request_id": request_id,
        }
    )  # fmt: skip


def retry_after(error: KopeykaError, status: int) -> int | None:
    """Seconds for ``Retry-After``, on what is worth repeating."""
    if status == 429:
        return int(error.facts.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    return RETRY_AFTER_SECONDS if status == 503 or error.retryable else None


def _faults(error: KopeykaError) -> tuple[FieldFault, ...]:
    if isinstance(error, (RequestInvalid, VaultRefused)):
        return error.faults
    if isinstance(error, EntryRejected) and "field" in error.facts:
        return (FieldFault(f"/{error.facts['field']}", str(error.facts.get("expected", ""))),)
    return ()


def _of_http(error: HTTPException) -> KopeykaError:
    if error.status_code == 404:
        return RouteUnknown()
    if error.status_code == 405:
        return MethodNotAllowed()
    return JsonInvalid() if error.status_code == 400 else HttpRefused()


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
