"""Messages to phones of a sandbox: read from its simulated gateway for whoever plays the buyer, and kept nowhere."""

from __future__ import annotations

from api.demo.wire import Connection, ConnectionLost
from api.settings import Settings
from checkout.loyalty_errors import LoyaltyPhoneMalformed
from checkout.phones import normalised_phone

TEXTS_SHOWN_MAX = 3


async def texts_of(settings: Settings, typed: str) -> list[str]:
    """The last messages to a phone, the newest last; none where nobody can be asked."""
    try:
        phone = normalised_phone(typed)
    except LoyaltyPhoneMalformed:
        return []
    if not settings.messages_url:
        return []
    gateway = Connection(settings.messages_url.rstrip("/"))
    try:
        answer = await gateway.ask("GET", f"/simulator/messages/{phone.expose()}")
        messages = answer.json()["messages"] if answer.status == 200 else []
    except (ConnectionLost, ValueError):
        return []
    finally:
        gateway.hang_up()
    return [str(message["text"]) for message in messages[-TEXTS_SHOWN_MAX:]]
