"""What the door itself refuses.

Rejected
├── CallRejected                  before anything was looked at: who calls, what with
│   ├── KeyMissing, KeyUnknown, KeyExpired, ScopeMissing, RateLimited
│   ├── RouteUnknown, MethodNotAllowed, BodyTooLarge, BodyTimedOut, MediaTypeUnsupported, HttpRefused
│   └── JsonInvalid, RequestInvalid, CardNumberRefused, CursorUnknown
├── VaultRefused                  what the vault refuses, with the vault's own code
├── ResourceUnknown               there is no such thing, or it is not the caller's
├── ClockFixed                    production time is not moved
├── SandboxOnly                   what people do themselves in production
├── AddressRefused                an address that we do not send to
├── CallerRejected                an API key that may not be made so
└── IdempotencyRejected
    ├── IdempotencyKeyMissing, IdempotencyKeyInvalid, IdempotencyKeyReused
    └── IdempotencyKeyExpired, IdempotencyKeyUnknown
Unavailable
├── DatabaseUnavailable           PostgreSQL is away, or all connections are taken
├── IdempotencyInProgress         the first request with this key still runs
├── VaultUnavailable, VaultNotNamed   the vault is sealed or away: nothing was done
├── VaultUnknown                  its answer was lost: something may have been done
└── NotReady                      not (or no longer) fit to serve
InvariantBroken
└── CardNumberStopped             an answer would have shown a card number
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.errors import InvariantBroken, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field that is wrong."""

    pointer: str
    """A JSON pointer into the body, or ``query/limit``."""
    detail: str


class CallRejected(Rejected):
    """The request was refused before it was carried out."""

    code = "api.refused"


class KeyMissing(CallRejected):
    """An API key is needed: Authorization: Bearer kp_…"""

    code = "api.key_missing"


class KeyUnknown(CallRejected):
    """The API key is unknown, revoked, or of another mode."""

    code = "api.key_unknown"


class KeyExpired(CallRejected):
    """The API key has expired."""

    code = "api.key_expired"


class ScopeMissing(CallRejected):
    """The API key does not have the scope that this needs."""

    code = "api.scope_missing"


class RateLimited(CallRejected):
    """Too many requests with this key: wait and repeat."""

    code = "api.rate_limited"
    retryable = True


class RouteUnknown(CallRejected):
    """There is no such address."""

    code = "api.route_unknown"


class MethodNotAllowed(CallRejected):
    """This address does not know the method."""

    code = "api.method_not_allowed"


class BodyTooLarge(CallRejected):
    """The body is larger than this address takes."""

    code = "api.body_too_large"


class BodyTimedOut(CallRejected):
    """The body did not arrive in time; nothing was done."""

    code = "api.body_timed_out"
    retryable = True


class MediaTypeUnsupported(CallRejected):
    """The body must be application/json, UTF-8, not compressed."""

    code = "api.media_type_unsupported"


class HttpRefused(CallRejected):
    """The request breaks a rule of HTTP."""

    code = "api.http_refused"


class JsonInvalid(CallRejected):
    """The body is not one JSON value in which every name occurs once."""

    code = "api.json_invalid"


class RequestInvalid(CallRejected):
    """Something in the request has the wrong form: see errors."""

    code = "api.request_invalid"

    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__()
        self.faults = faults


class CardNumberRefused(CallRejected):
    """A card number stands in the request, and has no place here: give it to the vault, and its token to us."""

    code = "api.card_number_refused"


class CardSecretRefused(CallRejected):
    """A card's code, PIN or track stands in the body: nobody may keep it, and only the vault may be told a code."""

    code = "api.card_secret_refused"


class CursorUnknown(CallRejected):
    """The cursor is not one that this list gave."""

    code = "api.unknown_cursor"


class ResourceUnknown(Rejected):
    """There is no such thing, or it is not yours."""

    code = "api.resource_unknown"


class ClockFixed(Rejected):
    """The clock of production is not moved."""

    code = "api.clock_fixed"


class SandboxOnly(Rejected):
    """Only a sandbox does this: in production the buyer does it."""

    code = "api.sandbox_only"


class AddressRefused(Rejected):
    """We send to https addresses only, on port 443 or 8443, and only where anybody on the Internet may be meant."""

    code = "api.address_refused"


class CallerRejected(Rejected):
    """An API key may not be made so."""

    code = "api.key_refused"


class IdempotencyRejected(Rejected):
    """The idempotency key cannot be used so."""

    code = "idempotency.refused"


class IdempotencyKeyMissing(IdempotencyRejected):
    """The header Idempotency-Key is needed: 16 to 255 characters of your own that name this operation."""

    code = "idempotency.key_missing"


class IdempotencyKeyInvalid(IdempotencyRejected):
    """The header Idempotency-Key takes 16 to 255 printable ASCII characters."""

    code = "idempotency.key_invalid"


class IdempotencyKeyReused(IdempotencyRejected):
    """The idempotency key was used for another request."""

    code = "idempotency.key_reused"


class IdempotencyKeyExpired(IdempotencyRejected):
    """The operation was carried out so long ago that its answer is no longer kept."""

    code = "idempotency.key_expired"


class IdempotencyKeyUnknown(IdempotencyRejected):
    """No request was made with this idempotency key."""

    code = "idempotency.key_unknown"


class DatabaseUnavailable(Unavailable):
    """The database does not answer just now."""

    code = "api.database_unavailable"


class IdempotencyInProgress(Unavailable):
    """The first request with this idempotency key is still being carried out."""

    code = "idempotency.in_progress"


class VaultRefused(Rejected):
    """The vault refuses this."""

    code = "vault.refused"

    def __init__(self, code: str, detail: str, facts: Any = None, faults: Any = None) -> None:
        super().__init__(detail or None, **(facts if isinstance(facts, dict) else {}))
        object.__setattr__(self, "code", code)  # the vault's own: each has its line in the vault's table
        given = faults if isinstance(faults, list) else []
        self.faults = tuple(FieldFault(str(fault["pointer"]), str(fault["detail"])) for fault in given)


class VaultUnavailable(Unavailable):
    """The vault is sealed, away or slow just now: nothing was done."""

    code = "vault.unavailable"

    def __init__(self, code: str = "") -> None:
        super().__init__()
        if code:
            object.__setattr__(self, "code", code)  # why, in the vault's own word


class VaultUnknown(Unavailable):
    """The vault's answer was lost; repeat the request with the same key and it is done once."""

    code = "vault.unknown"


class VaultNotNamed(Unavailable):
    """No vault is named for this installation, so it takes no cards."""

    code = "vault.not_named"


class NotReady(Unavailable):
    """This process is not ready to serve."""

    code = "api.not_ready"


class CardNumberStopped(InvariantBroken):
    """The answer was stopped: it would have shown a card number."""

    code = "api.card_number_stopped"
