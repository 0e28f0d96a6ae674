"""What the vault refuses.

Rejected
├── RequestRefused                before anything was looked at: who asks, and in what form
│   ├── PeerUnknown, AddressUnknown, MethodNotAllowed
│   └── BodyTooLarge, BodyTooSlow, BodyNotJson, JsonInvalid, RequestInvalid
└── CardEntryRejected             a card that was not taken in: see card_entry
    ├── CardSessionNotFound, CardSessionOver, CardSessionUsed, CardSessionBlocked, CardSessionTaken
    ├── OriginRefused, OriginForeign, CvcMalformed, CvcMissing
    └── SealedCardRefused, SealedCardKeyUnknown, SealedCardExpired, SealedCardReplayed, SealedCardForeign
Unavailable
└── DatabaseUnavailable
"""

from __future__ import annotations

from dataclasses import dataclass

from pci.errors import Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field that is wrong."""

    pointer: str
    """A JSON pointer into the body."""
    detail: str


class RequestRefused(Rejected):
    """The vault does not take this request."""

    code = "vault.request_refused"


class PeerUnknown(RequestRefused):
    """Only the api and the worker may ask this, and a certificate says who they are."""

    code = "vault.peer_unknown"


class AddressUnknown(RequestRefused):
    """The vault has nothing at this address."""

    code = "vault.address_unknown"


class MethodNotAllowed(RequestRefused):
    """This address does not take this method."""

    code = "vault.method_not_allowed"


class BodyTooLarge(RequestRefused):
    """The body is larger than this address takes."""

    code = "vault.body_too_large"


class BodyTooSlow(RequestRefused):
    """The body did not come in time."""

    code = "vault.body_too_slow"


class BodyNotJson(RequestRefused):
    """The body must be plain application/json."""

    code = "vault.body_not_json"


class JsonInvalid(RequestRefused):
    """The body is not one JSON value in which every name occurs once."""

    code = "vault.json_invalid"


class TooManyRequests(RequestRefused):
    """Too much came from your address: wait a little."""

    code = "vault.too_many_requests"


class RequestInvalid(RequestRefused):
    """Something in the request has the wrong form: see errors."""

    code = "vault.request_invalid"

    def __init__(self, faults: tuple[FieldFault, ...] = ()) -> None:
        super().__init__()
        self.faults = faults


class CardEntryRejected(Rejected):
    """This card was not taken in."""

    code = "vault.card_entry_rejected"


class CardSessionNotFound(CardEntryRejected):
    """There is no such card form, or it is not yours."""

    code = "vault.card_session_not_found"


class CardSessionOver(CardEntryRejected):
    """The time of this card form is over: open a new one."""

    code = "vault.card_session_over"


class CardSessionUsed(CardEntryRejected):
    """A card was entered in this form already: each form takes one."""

    code = "vault.card_session_used"


class CardSessionBlocked(CardEntryRejected):
    """Too many numbers were tried in this form: open a new one."""

    code = "vault.card_session_blocked"


class CardSessionTaken(CardEntryRejected):
    """A form with other terms was opened under this idempotency key."""

    code = "vault.card_session_taken"


class OriginRefused(CardEntryRejected):
    """The page that shows the form must be named as https://host, without a path."""

    code = "vault.origin_refused"


class OriginForeign(CardEntryRejected):
    """A card is posted only by the vault's own page."""

    code = "vault.origin_foreign"


class CvcMalformed(CardEntryRejected):
    """A card's code has three digits, or four."""

    code = "vault.cvc_malformed"


class CvcMissing(CardEntryRejected):
    """The code of this card is not kept any more: the buyer must type it again."""

    code = "vault.cvc_missing"


class SealedCardRefused(CardEntryRejected):
    """The sealed card cannot be opened: compact JWE, ECDH-ES+A256KW and A256GCM, with one of our present keys."""

    code = "vault.sealed_card_refused"


class SealedCardKeyUnknown(CardEntryRejected):
    """The card was sealed with a key that is not ours or no longer taken: ask for the present one."""

    code = "vault.sealed_card_key_unknown"


class SealedCardExpired(CardEntryRejected):
    """The card was sealed too long ago, or in the future: look at your clock and seal it again."""

    code = "vault.sealed_card_expired"


class SealedCardReplayed(CardEntryRejected):
    """This sealed card was sent already, under another idempotency key: seal it again with a new jti."""

    code = "vault.sealed_card_replayed"


class SealedCardForeign(CardEntryRejected):
    """The card was sealed for another merchant."""

    code = "vault.sealed_card_foreign"


class DatabaseUnavailable(Unavailable):
    """The vault's database does not answer just now."""

    code = "vault.database_unavailable"
