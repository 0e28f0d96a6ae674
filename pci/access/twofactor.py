"""The second factor: a code of six digits from a person's authenticator, each of which counts once.

Source: RFC 6238 (TOTP, 30 seconds, SHA-1 as authenticators have it), section 5.2: a code is accepted once.
Source: PCI DSS 8.5.1: factors cannot be replayed, and all of them are checked before anything is answered.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from pci.access.ids import TOTP_SECRET_BYTES
from pci.keys.envelope import Dek, number_in, seal, unseal
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing
from pci.secret import Secret

DIGITS = 6
STEP_SECONDS = 30
STEPS_AROUND = 1
"""An authenticator's clock may be this many steps off. Source: RFC 6238 section 5.2 recommends one at most."""
ISSUER = "Kopeyka Vault"
SCOPE = "people"
DECOY_SECRET = bytes(TOTP_SECRET_BYTES)
"""What codes of unknown people are compared with, so that they take as long to refuse."""
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


def code_at(secret: bytes, counter: int) -> str:
    """The code of one step."""
    return _totp(secret).generate(counter * STEP_SECONDS).decode("ascii")


def step_of(at: datetime) -> int:
    """The number of the 30 seconds that an instant lies in."""
    return int(at.timestamp()) // STEP_SECONDS


def matching_step(secret: bytes, code: Secret, now: datetime) -> int | None:
    """The step whose code this is, if it is one of now. Every step is compared whatever matches."""
    text = code.expose().replace(" ", "")
    given = text if _CODE.fullmatch(text) else ""
    steps = range(step_of(now) - STEPS_AROUND, step_of(now) + STEPS_AROUND + 1)
    found = [step for step in steps if hmac.compare_digest(code_at(secret, step), given)]
    return found[-1] if found else None


def enrolment_uri(secret: bytes, login: str) -> Secret:
    """What an authenticator reads from the QR code. Shown once."""
    return Secret(_totp(secret).get_provisioning_uri(login, ISSUER))


async def seal_secret(ring: KeyRing, secret: bytes, person_id: str, now: datetime) -> bytes:
    """The secret as it is kept: closed, and opening only for this person. Not inside a transaction.

    Raises: Sealed.
    """
    return seal_with(await ring.ensure(KeyPurpose.TOTP, SCOPE, now), secret, person_id)


def seal_with(dek: Dek, secret: bytes, person_id: str) -> bytes:
    """The same, with a key that is open already."""
    return seal(dek, secret, _belongs_to(person_id))


async def open_secret(ring: KeyRing, blob: bytes, person_id: str) -> bytes:
    """The secret itself. Not inside a transaction.

    Raises: Sealed, SealBroken.
    """
    return unseal(await ring.by_number(number_in(blob)), blob, _belongs_to(person_id))


def _belongs_to(person_id: str) -> bytes:
    return f"totp|{person_id}|v1".encode()


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303  # authenticators know no other
