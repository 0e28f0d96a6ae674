"""Ways for codes to reach their buyers: a gateway over HTTP, and a box that stands in for it in a sandbox."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import aiohttp

from pci.secret import Secret
from tokenization.koshelek_pay.codes import CodeSender, SmsUnavailable, phone_mask

SECONDS_MAX = 5
BOX_MAX = 100
"""Texts that the box keeps: of each phone the last is what matters."""


@dataclass(frozen=True, slots=True)
class SmsGateway:
    """A gateway that takes ``{"to": …, "text": …}``. What it answers is not written down: it may repeat the text."""

    url: str

    async def send(self, phone: Secret, text: Secret) -> None:
        """Send a text. Raises: SmsUnavailable."""
        timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
        body = {"to": phone.expose(), "text": text.expose()}
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http, http.post(self.url, json=body) as answer:
                taken = answer.status < 300
        except (TimeoutError, aiohttp.ClientError):
            raise SmsUnavailable() from None
        if not taken:
            raise SmsUnavailable()


@dataclass(slots=True)
class SmsBox:
    """The simulator of a gateway: whoever plays the buyer reads the texts here. In memory, in a sandbox only."""

    texts: deque[tuple[Secret, Secret]] = field(default_factory=lambda: deque(maxlen=BOX_MAX), repr=False)

    async def send(self, phone: Secret, text: Secret) -> None:
        """Put a text into the box."""
        self.texts.append((phone, text))

    def last_to(self, phone: Secret) -> Secret | None:
        """The newest text to a phone."""
        return next((text for to, text in reversed(self.texts) if to == phone), None)


@dataclass(frozen=True, slots=True)
class NoSms:
    """Production without a gateway: codes cannot be sent, and cards that need none are put on devices all the same."""

    async def send(self, phone: Secret, text: Secret) -> None:
        """Raises: SmsUnavailable."""
        raise SmsUnavailable(length=len(text.expose()), to=phone_mask(phone))


def sender_of(url: str, *, is_production: bool) -> CodeSender:
    """The way that the settings name."""
    if url:
        return SmsGateway(url)
    return NoSms() if is_production else SmsBox()
