"""Calls of the pages: through the door of this very process, with a key, an idempotency key and all its refusals.

Nothing goes past the API: what the diagram shows is what a till's own program would send.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from api.callers import create_key
from api.door import Door
from api.till_pages.sessions import SaidMessage, add_message
from ledger.clock import monotonic
from ledger.database import transaction
from ledger.ids import new_secret
from pci.secret import Secret

KEY_LIVES = timedelta(days=1)
KEY_RENEWED = timedelta(hours=1)
"""Before its end."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the API answered."""

    status: int
    body: Any
    """JSON read, or the bytes of anything else."""

    @property
    def is_done(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def notice(self) -> dict[str, str]:
        """A refusal for the cashier."""
        told = self.body if isinstance(self.body, dict) else {}
        return {
            "code": str(told.get("code", self.status)),
            "tip": str(told.get("cashier_tip") or told.get("title", "")),
        }


@dataclass(slots=True)
class OwnKey:
    """The API key of this process's pages: made when it is first needed, never kept."""

    secret: Secret | None = None
    ends_at: Any = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, door: Door) -> Secret:
        """The key that works now."""
        async with self.lock:
            now = door.clock.now()
            if self.secret is None or now > self.ends_at - KEY_RENEWED:
                self.ends_at = now + KEY_LIVES
                async with transaction(door.engine) as session:
                    _, self.secret = await create_key(
                        session, name="till pages", scopes=["admin"], mode="test", now=now, expires_at=self.ends_at
                    )
            return self.secret


@dataclass(frozen=True, slots=True)
class Asking:
    """How pages ask the API, and where they write it down."""

    app: ASGIApp
    door: Door
    key: OwnKey
    link_code: str | None = None
    """Whose diagram the calls are drawn in; none while the shop is being opened."""

    async def ask(
        self, source: str, method: str, path: str, body: Any = None, *, key: str | None = None, is_told: bool = True
    ) -> Said:
        """Call the API as the till or the phone does."""
        secret = await self.key.read(self.door)
        started = monotonic()
        said = await asyncio.create_task(_call(self.app, secret, method, path, body, key))
        if is_told:
            told = str(said.body.get("code", "")) if isinstance(said.body, dict) and not said.is_done else None
            spent = round((monotonic() - started) * 1000)
            await self.tell(SaidMessage(source, "kopeyka", f"{method} {path}", said.status, spent, told))
        return said

    async def tell(self, message: SaidMessage) -> None:
        """Draw one call."""
        if self.link_code is not None:
            async with transaction(self.door.engine) as session:
                await add_message(session, self.link_code, message, now=self.door.clock.now())


async def _call(app: ASGIApp, secret: Secret, method: str, path: str, body: Any, key: str | None) -> Said:
    """One request of ASGI, in a task of its own: its context is nobody else's."""
    where, _, query = path.partition("?")
    raw = b"" if body is None else json.dumps(body).encode()
    headers = [(b"authorization", b"Bearer " + secret.expose().encode()), (b"host", b"till.pages")]
    if method == "POST":
        headers.append((b"idempotency-key", (key or new_secret("till-page-")).encode()))
    if body is not None:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": where, "raw_path": where.encode(), "query_string": query.encode(), "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 0), "server": ("till.pages", 80),
    }  # fmt: skip
    status, parts = 0, bytearray()
    incoming = iter([{"type": "http.request", "body": raw, "more_body": False}])

    async def receive() -> Message:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        parts.extend(message.get("body", b""))

    await app(scope, receive, send)
    try:
        return Said(status, json.loads(bytes(parts) or b"null"))
    except ValueError:
        return Said(status, bytes(parts))
