"""Problem documents of the vault (RFC 9457): one table from codes to HTTP, and how an error is told.

Nothing that was sent is repeated: only codes, our own words, and facts passed through redaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from psycopg import InterfaceError as DriverInterfaceError
from psycopg import OperationalError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pci.errors import PciError
from pci.redaction import redact, redact_text
from tokenization.errors import (
    AddressUnknown,
    DatabaseUnavailable,
    JsonInvalid,
    MethodNotAllowed,
    RequestInvalid,
    RequestRefused,
)

PROBLEM_JSON = "application/problem+json"
TYPE = "urn:kopeyka:problem:"
INTERNAL = "vault.internal"
INTERNAL_TITLE = "Something broke in the vault; the request may be repeated."
RETRY_AFTER_SECONDS = 1

STATUS: dict[str, int] = {
    "pci.error": 500,
    "pci.rejected": 422,
    "pci.allow_list_malformed": 422,
    "pci.unavailable": 503,
    "pci.invariant_broken": 500,
    # The vault's door
    "vault.internal": 500,
    "vault.database_unavailable": 503,
    "vault.request_refused": 400,
    "vault.peer_unknown": 403,
    "vault.address_unknown": 404,
    "vault.method_not_allowed": 405,
    "vault.body_too_large": 413,
    "vault.body_too_slow": 408,
    "vault.body_not_json": 415,
    "vault.json_invalid": 400,
    "vault.request_invalid": 422,
    "vault.too_many_requests": 429,
    # Card entry
    "vault.pan_malformed": 422,
    "vault.scheme_unknown": 422,
    "vault.card_entry_rejected": 422,
    "vault.card_session_not_found": 404,
    "vault.card_session_over": 409,
    "vault.card_session_used": 409,
    "vault.card_session_blocked": 409,
    "vault.card_session_taken": 409,
    "vault.origin_refused": 422,
    "vault.origin_foreign": 403,
    "vault.cvc_malformed": 422,
    "vault.cvc_missing": 422,
    "vault.sealed_card_refused": 422,
    "vault.sealed_card_key_unknown": 422,
    "vault.sealed_card_expired": 422,
    "vault.sealed_card_replayed": 409,
    "vault.sealed_card_foreign": 422,
    # Tokens
    "vault.card_refused": 422,
    "vault.card_expired": 422,
    "vault.expiry_malformed": 422,
    "vault.holder_name_malformed": 422,
    "vault.scope_malformed": 422,
    "vault.restrictions_malformed": 422,
    "vault.token_refused": 422,
    "vault.token_not_found": 404,
    "vault.token_expired": 410,
    "vault.token_deleted": 410,
    "vault.token_shredded": 410,
    "vault.use_refused": 403,
    "vault.use_channel_refused": 403,
    "vault.use_host_refused": 403,
    "vault.use_amount_refused": 403,
    "vault.use_currency_refused": 403,
    "vault.use_too_early": 403,
    "vault.use_too_late": 403,
    "vault.card_keys_not_ready": 503,
    "vault.too_many_unknown_tokens": 429,
    "vault.card_tampered": 500,
    "vault.import_refused": 422,
    "vault.import_form_unknown": 422,
    "vault.import_line_malformed": 422,
    "vault.import_reference_malformed": 422,
    "vault.import_advanced": 409,
    "vault.file_not_there": 404,
    "vault.import_not_found": 404,
    "vault.export_refused": 422,
    "vault.export_not_found": 404,
    "vault.export_needs_another": 403,
    "vault.export_key_refused": 422,
    "vault.export_not_running": 409,
    # The log
    "audit.rolled_back": 503,
    "audit.acceptance_refused": 409,
    "audit.leaf_not_found": 404,
    "audit.event_malformed": 500,
    "audit.checkpoint_malformed": 500,
    "audit.signing_key_refused": 500,
    "audit.log_broken": 500,
    # Keys
    "keys.sealed": 503,
    "keys.provider_unavailable": 503,
    "keys.uses_spent": 503,
    "keys.not_found": 404,
    "keys.retired": 409,
    "keys.withdrawn": 410,
    "keys.move_refused": 409,
    "keys.wrong_environment": 409,
    "keys.kek_refused": 409,
    "keys.file_refused": 409,
    "keys.passphrase_wrong": 403,
    "keys.share_refused": 422,
    "keys.custodian_repeated": 409,
    "keys.custodian_refused": 403,
    "keys.rotation_refused": 409,
    "keys.seal_broken": 500,
    # Audit log
    # Access
    "access.rejected": 403,
    "access.sign_in_refused": 401,
    "access.sign_in_needed": 401,
    "access.scope_missing": 403,
    "access.own_request": 403,
    "access.own_account": 403,
    "access.roles_rejected": 422,
    "access.login_taken": 409,
    "access.person_rejected": 422,
    "access.person_unknown": 404,
    "access.person_status_rejected": 409,
    "access.reason_rejected": 422,
    "access.password_weak": 422,
    "access.password_repeated": 422,
    "access.enrolment_refused": 403,
    "access.enrolment_waits": 403,
    "access.reset_unknown": 404,
    "access.reset_over": 409,
    "access.review_rejected": 409,
    "access.page_foreign": 403,
    "access.sign_in_busy": 503,
    "vault.reveal_rejected": 422,
    "vault.reveal_terms_rejected": 422,
    "vault.approval_needed": 403,
    "vault.reveal_request_unknown": 404,
    "vault.reveal_request_over": 409,
    "vault.reveal_request_other": 409,
    # Charges
    "vault.charge_rejected": 422,
    "vault.charge_not_found": 404,
    "vault.charge_refund_not_found": 404,
    "vault.charge_id_taken": 409,
    "vault.charge_amount_out_of_range": 422,
    "vault.no_stored_consent": 422,
    "vault.charge_not_authorised": 409,
    "vault.capture_above_amount": 422,
    "vault.charge_not_voidable": 409,
    "vault.charge_not_captured": 409,
    "vault.charge_refund_above_rest": 422,
    "vault.charge_busy": 503,
    "vault.acquirer_unreachable": 503,
    "vault.acquirer_silent": 503,
    # Koshelek Pay
    "vault.device_pay_rejected": 422,
    "vault.de55_malformed": 422,
    "vault.device_token_not_found": 404,
    "vault.device_not_found": 404,
    "vault.device_payment_not_found": 404,
    "vault.sms_box_absent": 404,
    "vault.token_requestor_not_found": 404,
    "vault.token_requestor_taken": 409,
    "vault.token_range_missing": 422,
    "vault.provisioning_rejected": 422,
    "vault.card_not_eligible": 422,
    "vault.device_key_refused": 422,
    "vault.device_code_wrong": 422,
    "vault.device_code_over": 409,
    "vault.device_code_not_expected": 409,
    "vault.device_codes_spent": 409,
    "vault.device_phone_refused": 422,
    "vault.device_token_state_refused": 409,
    "vault.device_suspension_not_yours": 409,
    "vault.device_signature_refused": 403,
    "vault.device_keys_not_due": 409,
    "vault.cryptogram_refused": 422,
    "vault.device_token_not_active": 409,
    "vault.device_token_suspended": 409,
    "vault.device_wiped": 409,
    "vault.device_requestor_differs": 422,
    "vault.device_domain_refused": 422,
    "vault.device_atc_used": 409,
    "vault.device_atc_too_far": 422,
    "vault.device_atc_not_issued": 422,
    "vault.device_key_burnt": 409,
    "vault.device_key_expired": 409,
    "vault.device_cloned": 409,
    "vault.cryptogram_wrong": 422,
    "vault.device_amount_differs": 422,
    "vault.cryptogram_data_refused": 422,
    "vault.device_authorisation_taken": 409,
    "vault.device_payment_denied": 409,
    "vault.device_card_is_another": 403,
    "vault.sms_unavailable": 503,
    "vault.emv_key_broken": 500,
    # Evidence
    "evidence.retention_policy_refused": 422,
    "evidence.pack_refused": 422,
    "evidence.case_refused": 409,
    "evidence.review_refused": 409,
}
"""Every code of ``pci`` and ``tokenization``, and its HTTP status, one line each. A test proves it complete."""


def every_error(family: type[PciError] = PciError) -> Iterator[type[PciError]]:
    """The class and every class below it."""
    yield family
    for child in family.__subclasses__():
        yield from every_error(child)


def status_of(error: PciError) -> int:
    """The HTTP status of an error. A code that the table does not know is our bug."""
    return STATUS.get(error.code, 500)


def as_ours(error: BaseException) -> PciError | None:
    """Any exception as an error of ours; nothing if it is a bug."""
    if isinstance(error, PciError):
        return error
    if isinstance(error, HTTPException):
        return {404: AddressUnknown, 405: MethodNotAllowed, 400: JsonInvalid}.get(error.status_code, RequestRefused)()
    return DatabaseUnavailable() if is_database_away(error) else None


def is_database_away(error: BaseException) -> bool:
    """Whether PostgreSQL or our share of its connections is what failed, and not the request."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, OperationalError)
    return isinstance(error, (PoolTimeoutError, OperationalError, InterfaceError, DriverInterfaceError))


def document(error: PciError, request_id: str) -> dict[str, Any]:
    """The problem document of an error."""
    title = (type(error).__doc__ or "").strip().splitlines()[0]
    found: dict[str, Any] = {
        "type": TYPE + error.code,
        "title": title,
        "status": status_of(error),
        "detail": redact_text(str(error)),
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if isinstance(error, RequestInvalid):
        found["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    if facts := {name: value for name, value in redact(error.facts).items() if value is not None}:
        found["facts"] = facts
    return found


def problem(error: PciError | None, request_id: str) -> Response:
    """How an error leaves the vault; nothing of it is told when it is a bug."""
    if error is None or status_of(error) == 500:
        code = INTERNAL if error is None else error.code
        found: dict[str, Any] = {
            "type": TYPE + code, "title": INTERNAL_TITLE, "status": 500, "detail": INTERNAL_TITLE,
            "code": code, "retryable": True, "request_id": request_id,
        }  # fmt: skip
    else:
        found = document(error, request_id)
    wait = RETRY_AFTER_SECONDS if error is None else error.facts.get("wait_seconds", RETRY_AFTER_SECONDS)
    headers = {"retry-after": str(wait)} if found["status"] == 503 or found["status"] == 429 else None
    body = json.dumps(found, ensure_ascii=False, separators=(",", ":"), default=str).encode()
    return Response(body, found["status"], headers, PROBLEM_JSON)
