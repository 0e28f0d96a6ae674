"""The way to buyers' phones: SMS and push messages through a gateway over HTTP, each under an id of our own.

The gateway takes ``POST <url>/messages/v1/messages`` with ``{"id", "to", "text", "channel"}`` and carries an id out
once, so a message whose answer was lost is sent again under the same id. What it answers is never written down: it
may repeat the text.

Source: no public interface is followed; the shape is our own and the sandbox's sink keeps to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from api.data_dir import StartRefused
from api.settings import Mode, Settings
from ledger.database import is_in_transaction
from pci.secret import Secret
from sbp_gateway.tls import is_plain_and_near

CONNECT_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 16
MESSAGES_PATH = "/messages/v1/messages"
ANSWER_TIMEOUTS = frozenset({408, 425, 429})
"""Refusals of now, not of the message: it may be sent again."""


class Channel(StrEnum):
    """How a message reaches its phone."""

    SMS = "sms"
    PUSH = "push"


class SendStatus(StrEnum):
    """What is known of a message after the gateway was asked."""

    SENT = "sent"
    """The gateway took it."""
    REFUSED = "refused"
    """The gateway will never take it."""
    UNKNOWN = "unknown"
    """Nobody knows, or not just now: the same id may be sent again, and reaches the phone once."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """How sending ended."""

    status: SendStatus
    reason: str | None = None
    """A word of ours: ``answer_503``, ``timed_out``. Never what the gateway said."""


class MessagesGateway:
    """The port over HTTP. Connects when it is first asked; repeats nothing by itself."""

    def __init__(self, base_url: str, key: Secret | None = None) -> None:
        self._base_url = base_url
        self._key = key
        self._client: aiohttp.ClientSession | None = None

    @property
    def is_configured(self) -> bool:
        """Whether there is a gateway at all."""
        return bool(self._base_url)

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def send(self, message_id: str, phone: Secret, text: Secret, channel: Channel = Channel.SMS) -> SendOutcome:
        """Send a message. The same id again is carried out once. Never raises for what the network does."""
        assert not is_in_transaction(), "the gateway is called while a transaction is open"
        if not self.is_configured:
            return SendOutcome(SendStatus.REFUSED, "no_gateway")
        body = {"id": message_id, "to": phone.expose(), "text": text.expose(), "channel": channel.value}
        try:
            async with self._connected().post(MESSAGES_PATH, json=body, allow_redirects=False) as answer:
                await answer.read()  # an answer that breaks off is none; what it says is thrown away
                return _outcome(answer.status)
        except TimeoutError:
            return SendOutcome(SendStatus.UNKNOWN, "timed_out")
        except aiohttp.ClientError:
            return SendOutcome(SendStatus.UNKNOWN, "cut_off")

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                base_url=self._base_url,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS_MAX, total=ANSWER_SECONDS_MAX),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                headers={} if self._key is None else {"Authorization": f"Bearer {self._key.expose()}"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client


def _outcome(status: int) -> SendOutcome:
    if 200 <= status < 300:
        return SendOutcome(SendStatus.SENT)
    is_final = 400 <= status < 500 and status not in ANSWER_TIMEOUTS
    return SendOutcome(SendStatus.REFUSED if is_final else SendStatus.UNKNOWN, f"answer_{status}")


def messages_gateway(settings: Settings) -> MessagesGateway:
    """The gateway of the settings. Nothing is called yet. Raises: StartRefused if the way there is not safe."""
    url = settings.messages_url
    is_near = settings.mode is Mode.SANDBOX and is_plain_and_near(url)
    if url and not is_near and not url.lower().startswith("https://"):
        raise StartRefused("KOPEYKA_MESSAGES_URL must be https://; plain http:// is for a sandbox on this machine")
    key = settings.messages_key.get_secret_value()
    return MessagesGateway(url.rstrip("/"), Secret(key) if key else None)
