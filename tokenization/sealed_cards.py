"""Cards sealed by a merchant's server for the vault (JWE): nobody on the way reads them, and a copy is no card.

    header   {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "jwe_7", "epk": …}
    inside   {"merchant_id", "iat", "jti", "pan", "expires_on", "holder_name"?, "cvc"?}

``kid`` names one of our present public keys (``GET /v1/card-keys``). ``iat`` is at most ten minutes ago. ``jti`` is
drawn by the sender and taken once, by one request: the same request repeated gets the same token.
Source: RFC 7516; RFC 7518 4.6 and 5.3. DECISIONS.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import Field
from sqlalchemy import text

from pci.database import Session
from pci.keys.envelope import Dek
from pci.keys.errors import KeyNotFound, KeyWithdrawn, WrongEnvironment
from pci.keys.key import Algorithm, KeyPurpose
from tokenization.errors import (
    JsonInvalid,
    SealedCardExpired,
    SealedCardForeign,
    SealedCardKeyUnknown,
    SealedCardRefused,
    SealedCardReplayed,
)
from tokenization.wire import Body, checked, read_json

if TYPE_CHECKING:
    from pci.keys.ring import KeyRing

ALGORITHMS = ("ECDH-ES+A256KW", "A256GCM")
"""The only ones: no key of another kind, no compression that could be a bomb."""
SCOPE = "all"
SEALED_CHARACTERS_MAX = 8_192
"""A card with everything is under 1 KB."""
AGE_MAX = timedelta(minutes=10)
SKEW_MAX = timedelta(minutes=1)
"""How far a sender's clock may be ahead of ours."""
KEY_AGE_MAX_SECONDS = 3_600
"""How long callers may keep a public key: retired ones still open for as long as their cards may be sent."""
SWEPT_MAX = 1_000
_KID = re.compile(r"jwe_([1-9][0-9]{0,9})")


class SealedCardBody(Body):
    """What is inside."""

    merchant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    """For whom it was sealed: under another merchant it does not open."""
    iat: int
    """When, in seconds since 1970."""
    jti: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    pan: Annotated[str, Field(min_length=12, max_length=40)]
    expires_on: Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    holder_name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    cvc: Annotated[str, Field(min_length=3, max_length=4)] | None = None

    def __repr__(self) -> str:
        return f"SealedCardBody({self.merchant_id}, {self.jti})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SeenSealedCard:
    """A sealed card that was taken before."""

    jti: str
    digest: bytes
    token: str
    merchant_id: str
    request_key: str


async def public_keys(ring: KeyRing, now: datetime) -> dict[str, Any]:
    """The key that cards are sealed with now, as a JWK set. Raises: Sealed."""
    dek = await ring.ensure(KeyPurpose.JWE, SCOPE, now)
    shown = dict(_key_of(dek).as_dict(private=False))
    return {"keys": [shown | {"kid": f"jwe_{dek.number}", "use": "enc", "alg": ALGORITHMS[0]}]}


async def open_sealed(ring: KeyRing, sealed: str, *, merchant_id: str, now: datetime) -> SealedCardBody:
    """Open a sealed card and check whom and when it is for.

    Raises: SealedCardRefused, SealedCardKeyUnknown, SealedCardExpired, SealedCardForeign; RequestInvalid; Sealed.
    """
    plain = _decrypted(sealed, _key_of(await _key_named(ring, _kid_in(sealed))))
    try:
        card = checked(SealedCardBody, read_json(plain))
    except JsonInvalid:
        raise SealedCardRefused("What was sealed is not one JSON object.") from None
    if card.merchant_id != merchant_id:
        raise SealedCardForeign()
    sealed_at = _instant(card.iat)
    if not now - AGE_MAX < sealed_at <= now + SKEW_MAX:
        raise SealedCardExpired(age_max_seconds=int(AGE_MAX.total_seconds()))
    return card


def _kid_in(sealed: str) -> int:
    """The number of the key a card says it is sealed with; nothing of it is believed yet."""
    if len(sealed) > SEALED_CHARACTERS_MAX or sealed.count(".") != 4 or not sealed.isascii():
        raise SealedCardRefused()
    try:
        header = read_json(base64.urlsafe_b64decode(sealed.partition(".")[0] + "=="))
    except (ValueError, JsonInvalid):
        raise SealedCardRefused() from None
    named = _KID.fullmatch(str(header.get("kid", ""))) if isinstance(header, dict) else None
    if named is None or int(named[1]) >= 2**31:
        raise SealedCardKeyUnknown()
    return int(named[1])


async def _key_named(ring: KeyRing, number: int) -> Dek:
    try:
        dek = await ring.by_number(number)
    except (KeyNotFound, KeyWithdrawn, WrongEnvironment):
        raise SealedCardKeyUnknown() from None
    if dek.algorithm is not Algorithm.EC_P_256:
        raise SealedCardKeyUnknown()
    return dek


def _decrypted(sealed: str, key: ECKey) -> bytes:
    try:
        plain: bytes | None = jwe.decrypt_compact(sealed, key, registry=_registry()).plaintext
    except (JoseError, ValueError, TypeError, KeyError):  # a wrong point on the curve is a ValueError
        plain = None
    if plain is None:
        raise SealedCardRefused()
    return plain


def _registry() -> jwe.JWERegistry:
    return jwe.JWERegistry(algorithms=list(ALGORITHMS))


def _key_of(dek: Dek) -> ECKey:
    return ECKey.import_key(dek.key.expose())


def _instant(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise SealedCardExpired(age_max_seconds=int(AGE_MAX.total_seconds())) from None


def digest_of(sealed: str) -> bytes:
    """By which the very same sealed card is known again."""
    return hashlib.sha256(sealed.encode()).digest()


async def find_seen(session: Session, *, merchant_id: str, request_key: str, digest: bytes) -> SeenSealedCard | None:
    """What this request was answered before, if it is a repeat.

    Raises: SealedCardReplayed if this request came with another card.
    """
    row = (await session.execute(_SEEN, {"merchant_id": merchant_id, "request_key": request_key})).first()
    if row is None:
        return None
    seen = SeenSealedCard(row.jti, bytes(row.digest), row.token, row.merchant_id, row.request_key)
    if seen.digest != digest:
        raise SealedCardReplayed()
    return seen


async def see(
    session: Session, *, jti: str, merchant_id: str, request_key: str, digest: bytes, token: str, now: datetime
) -> None:
    """Remember a sealed card in the transaction that takes it. Raises: SealedCardReplayed."""
    values = {
        "jti": jti, "merchant_id": merchant_id, "request_key": request_key, "digest": digest, "token": token,
        "now": now, "expires_at": now + 2 * (AGE_MAX + SKEW_MAX),
    }  # fmt: skip
    if (await session.execute(_SEE, values)).rowcount != 1:
        raise SealedCardReplayed()


async def sweep(session: Session, *, now: datetime) -> int:
    """Forget sealed cards that are too old to be sent again; how many."""
    return int((await session.execute(_SWEEP, {"now": now, "limit": SWEPT_MAX})).rowcount)


_SEEN = text(
    """SELECT jti, digest, token, merchant_id, request_key FROM seen_sealed_cards
        WHERE merchant_id = :merchant_id AND request_key = :request_key"""
)
_SEE = text(
    """INSERT INTO seen_sealed_cards (jti, merchant_id, request_key, digest, token, seen_at, expires_at)
       VALUES (:jti, :merchant_id, :request_key, :digest, :token, :now, :expires_at) ON CONFLICT DO NOTHING"""
)
_SWEEP = text(
    """DELETE FROM seen_sealed_cards WHERE jti IN (
           SELECT jti FROM seen_sealed_cards WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
              FOR UPDATE SKIP LOCKED)"""
)
