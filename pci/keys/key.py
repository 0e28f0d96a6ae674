"""A data key's record: what it is for, which state it is in, and where it may go from there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pci.keys.errors import KeyMoveRefused


class KeyPurpose(StrEnum):
    """What a key is for. One key serves one purpose in one scope."""

    CARD = "card"
    """Closes card numbers; one scope a merchant, so that destroying the key shreds that merchant's cards."""
    SAD = "sad"
    """Closes sensitive authentication data for the minutes it may live; a new key a day."""
    FINGERPRINT = "fingerprint"
    """Keys the digest by which the same card number is known again."""
    PAR = "par"
    """Keys the payment account references."""
    DEVICE_MASTER = "device_master"
    """The issuer master key of a range of device tokens."""
    JWE = "jwe"
    """The vault's private key that callers close card numbers to."""
    AUDIT_PERSONAL = "audit_personal"
    """Keys the digests of personal data in the log."""
    TOTP = "totp"
    """Closes people's one-time-password secrets."""
    PROOF = "proof"
    """Keys the proofs that sign-ins, invitations and acceptances are the vault's own."""


class Algorithm(StrEnum):
    """What is done with a key's bytes."""

    AES_256_GCM = "aes-256-gcm"
    HMAC_SHA_256 = "hmac-sha-256"
    MASTER_256 = "master-256"
    """256 bits that other keys are derived from."""
    EC_P_256 = "ec-p-256"
    """A private key, PKCS 8 DER."""


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How keys of one purpose are made and how long they live."""

    algorithm: Algorithm
    cryptoperiod_days: int
    """How long a key may close new things."""
    renews_itself: bool
    """A successor is made when the period or the count is over. False where a successor means work for people."""


POLICIES: dict[KeyPurpose, KeyPolicy] = {
    KeyPurpose.CARD: KeyPolicy(Algorithm.AES_256_GCM, 365, renews_itself=True),
    KeyPurpose.SAD: KeyPolicy(Algorithm.AES_256_GCM, 1, renews_itself=True),
    KeyPurpose.FINGERPRINT: KeyPolicy(Algorithm.HMAC_SHA_256, 1_095, renews_itself=False),
    KeyPurpose.PAR: KeyPolicy(Algorithm.HMAC_SHA_256, 1_825, renews_itself=False),
    KeyPurpose.DEVICE_MASTER: KeyPolicy(Algorithm.MASTER_256, 1_825, renews_itself=False),
    KeyPurpose.JWE: KeyPolicy(Algorithm.EC_P_256, 90, renews_itself=True),
    KeyPurpose.AUDIT_PERSONAL: KeyPolicy(Algorithm.HMAC_SHA_256, 1_095, renews_itself=False),
    KeyPurpose.TOTP: KeyPolicy(Algorithm.AES_256_GCM, 365, renews_itself=True),
    KeyPurpose.PROOF: KeyPolicy(Algorithm.HMAC_SHA_256, 365, renews_itself=True),
}
"""Source: PCI DSS 3.7.4 asks for a defined cryptoperiod of each key type; the figures are ours, DECISIONS.md."""


class KeyState(StrEnum):
    """Source: NIST SP 800-57 part 1, section 7: key states."""

    PRE_ACTIVE = "pre_active"
    """Made, and used for nothing yet."""
    ACTIVE = "active"
    """Closes and opens."""
    DECRYPT_ONLY = "decrypt_only"
    """Opens what it closed; closes nothing."""
    SUSPENDED = "suspended"
    """Does nothing until somebody decides."""
    COMPROMISED = "compromised"
    """Known or feared to be known; opens only to move what it closed under another key."""
    DESTROYED = "destroyed"
    """Its bytes are gone, and with them everything it closed."""


ALLOWED: dict[KeyState, frozenset[KeyState]] = {
    KeyState.PRE_ACTIVE: frozenset({KeyState.ACTIVE, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.ACTIVE: frozenset({KeyState.DECRYPT_ONLY, KeyState.SUSPENDED, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.DECRYPT_ONLY: frozenset({KeyState.SUSPENDED, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.SUSPENDED: frozenset({KeyState.DECRYPT_ONLY, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.COMPROMISED: frozenset({KeyState.DESTROYED}),
    KeyState.DESTROYED: frozenset(),
}
"""A retired key never closes anything again, so nothing leads back to ``active``. Source: PCI DSS 3.7.5."""

OPENS = frozenset({KeyState.ACTIVE, KeyState.DECRYPT_ONLY, KeyState.COMPROMISED})
"""States in which a key may open. A compromised one must, or its cards could not be saved under another."""

ENCRYPTIONS_MARK = 2**31
"""A key that closed this many times is succeeded. Source: NIST SP 800-38D 8.3: at most 2^32 with random nonces."""

SCOPE_FORM = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def advance(state: KeyState, to: KeyState) -> KeyState:
    """Move a key's state.

    Raises: KeyMoveRefused if nothing leads there.
    """
    if to not in ALLOWED[state]:
        raise KeyMoveRefused(f"a key cannot go from {state} to {to}", state=str(state), to=str(to))
    return to


@dataclass(frozen=True, slots=True)
class Key:
    """One key in the register. Its bytes are not here: they are wrapped under the KEK."""

    number: int
    purpose: KeyPurpose
    scope: str
    """Whose or what part's: a merchant's id, a token range, ``all``."""
    version: int
    """From 1, in its purpose and scope."""
    state: KeyState
    algorithm: Algorithm
    storage_form: str
    """``wrapped``: under the KEK. Source: PCI DSS 3.6.1.2."""
    kek_provider: str
    kek_version: str
    env: str
    """``test`` or ``live``: a key never opens in the other environment."""
    cryptoperiod_days: int
    encryptions: int
    """Reserved, so never fewer than were done."""
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    destroyed_at: datetime | None
    expires_at: datetime | None = field(init=False)
    """When its cryptoperiod is over. Reckoned once: every card asks whether its key is due."""

    def __post_init__(self) -> None:
        over = self.activated_at + timedelta(days=self.cryptoperiod_days) if self.activated_at else None
        object.__setattr__(self, "expires_at", over)

    def is_due(self, now: datetime) -> bool:
        """Whether a successor should close from now on."""
        return self.encryptions >= ENCRYPTIONS_MARK or (self.expires_at is not None and self.expires_at <= now)


def wrapping_context(*, number: int, purpose: str, scope: str, version: int, env: str) -> bytes:
    """What a wrapped key is bound to: in another row, or another environment, it does not open."""
    return f"key|{number}|{purpose}|{scope}|{version}|{env}".encode()
