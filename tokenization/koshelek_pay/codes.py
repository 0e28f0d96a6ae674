"""One-time codes for buyers: six digits by SMS, three tries, ten minutes. Only a keyed digest of a code is kept."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pci.errors import Unavailable
from pci.keys.envelope import Dek
from pci.secret import Secret
from tokenization.koshelek_pay.errors import PhoneRefused

CODE_DIGITS = 6
TRIES_MAX = 3
CODES_MAX = 5
"""For one token: SMS cost money, and each code is three guesses."""
CODE_LIFE = timedelta(minutes=10)
"""Source: wallets of the schemes: a code lives for minutes and three tries, then the token is held back."""
_PHONE = re.compile(r"\+7[0-9]{10}")


class CodeStatus(StrEnum):
    """Where a code stands."""

    OPEN = "open"
    ENTERED = "entered"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A code that was sent: its record."""

    number: int
    digest: bytes
    tries: int
    expires_at: datetime

    def __repr__(self) -> str:
        return f"DeviceCode(number={self.number}, tries={self.tries})"


class SmsUnavailable(Unavailable):
    """The code cannot be sent just now: ask for another."""

    code = "vault.sms_unavailable"


class CodeSender(Protocol):
    """Brings a code to its buyer. The simulator keeps it in its memory for whoever plays the buyer."""

    async def send(self, phone: Secret, text: Secret) -> None:
        """Send a text. Raises: SmsUnavailable."""


def checked_phone(text: str) -> Secret:
    """A buyer's phone. Raises: PhoneRefused."""
    if not _PHONE.fullmatch(text):
        raise PhoneRefused()
    return Secret(text)


def phone_mask(phone: Secret) -> str:
    """A phone with its middle hidden: ``+7******4567``."""
    shown = phone.expose()
    return f"{shown[:2]}******{shown[-4:]}"


def new_code(random_below: Callable[[int], int]) -> Secret:
    """A code, each as likely as any other."""
    return Secret(f"{random_below(10**CODE_DIGITS):0{CODE_DIGITS}d}")


def code_text(code: Secret, card_mask: str) -> Secret:
    """What the buyer reads."""
    return Secret(f"Код {code.expose()} для добавления карты {card_mask[-4:]} в Кошелёк Pay. Никому не сообщайте его.")


def digest_of(master: Dek, device_token_id: str, number: int, code: Secret) -> bytes:
    """A digest that a million guesses do not open without the master key."""
    message = f"{device_token_id}|{number}|{code.expose()}".encode()
    return hmac.digest(hmac.digest(master.key.expose(), b"device-codes/v1", "sha256"), message, "sha256")


def is_right(code: DeviceCode, digest: bytes) -> bool:
    """Whether a code is the one that was sent, in a time that tells nothing."""
    return hmac.compare_digest(code.digest, digest)
