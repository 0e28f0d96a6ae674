"""Callers: API keys, what they may do, and for whom.

A key is shown once, when it is made; we keep its SHA-256. Its 160 random bits need no pepper.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row

from api.errors import CallerRejected, KeyExpired, KeyMissing, KeyUnknown, ResourceUnknown, ScopeMissing
from ledger.clock import monotonic, moscow_day
from ledger.database import Engine, Session, text, transaction
from ledger.ids import new_id, new_secret
from pci.secret import Secret

KeyMode = Literal["test", "live"]

SCOPES = {
    "ledger:read": "read the books",
    "ledger:write": "book entries, place holds, open accounts, close periods",
    "orders:read": "read orders, merchants, stores and terminals",
    "orders:write": "create orders and start payments",
    "loyalty:read": "read loyalty cards and what was scanned",
    "loyalty:write": "issue, find and block loyalty cards, let phones show them",
    "refunds:write": "refund payments",
    "payouts:write": "pay out to merchants and read payouts",
    "merchants:write": "create merchants, stores and terminals",
    "tills:manage": "settings of tills, rollout and offers of rails, cashiers, tills' keys, lists of stores",
    "cards:read": "read tokens, masks and card forms",
    "cards:write": "open card forms, send sealed cards, delete cards",
    "device_tokens:read": "read device tokens and who may put cards on devices",
    "device_tokens:write": "put cards on devices, hold device tokens back, delete them",
    "installments:read": "read plans, quotes, schedules and documents",
    "installments:write": "make, commit, cancel and refund plans",
    "installments:manage": "products, terms, the licence, buyers' limits and freezes, disputes, hardship, reports",
    "promo_codes:write": "make and end promo codes",
    "points:write": "open programmes of points, publish their rules, give points",
    "events:read": "read events and webhooks",
    "webhooks:write": "add, change and remove webhooks, read their secrets, replay events",
    "admin": "everything, and the sandbox clock",
}
"""What a key may be allowed to do."""
MERCHANT_SCOPES = frozenset(
    {
        "orders:read",
        "orders:write",
        "loyalty:read",
        "loyalty:write",
        "refunds:write",
        "events:read",
        "webhooks:write",
        "cards:read",
        "cards:write",
        "tills:manage",
    }
    | {"device_tokens:read", "device_tokens:write", "installments:read", "installments:write"}
    | {"promo_codes:write", "points:write"}
)
"""What a key bound to one merchant may be allowed to do: the books belong to all merchants."""
SHOWN_CHARACTERS = 12
"""How much of a key is kept and shown, so that people can tell keys apart."""
CACHE_SECONDS = 3.0
"""How long a revoked key may still work in a process."""
CACHE_KEYS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as people see it; never the key itself."""

    id: str
    name: str
    merchant_id: str | None
    mode: KeyMode
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    key_id: str
    name: str
    merchant_id: str | None
    """The only merchant it may see; nothing means all of them."""
    mode: KeyMode
    scopes: frozenset[str]
    expires_at: datetime | None
    idempotency_scope: str
    """Within which its idempotency keys are its own."""

    def require(self, scope: str) -> None:
        """Refuse a caller that may not do this.

        Raises: ScopeMissing.
        """
        if scope not in self.scopes and "admin" not in self.scopes:
            raise ScopeMissing(scope=scope)

    def sees(self, merchant_id: str) -> bool:
        """Whether what belongs to this merchant may be shown. If not, it does not exist (404)."""
        return self.merchant_id is None or self.merchant_id == merchant_id


async def create_key(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    mode: KeyMode,
    now: datetime,
    merchant_id: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, Secret]:
    """Make an API key; the secret is not kept and cannot be shown again.

    Raises: CallerRejected if a scope is unknown or not for a merchant, or the name is empty.
    """
    wanted = tuple(sorted(set(scopes)))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise CallerRejected("Scopes are: " + ", ".join(SCOPES) + ".")
    if merchant_id is not None and not set(wanted) <= MERCHANT_SCOPES:
        raise CallerRejected("A key of one merchant takes only: " + ", ".join(sorted(MERCHANT_SCOPES)) + ".")
    if not 1 <= len(name) <= 100:
        raise CallerRejected("A name has 1 to 100 characters.")
    secret = new_secret(f"kp_{mode}_")
    row = await session.execute(
        text(f"""INSERT INTO api_keys (id, name, merchant_id, mode, hash, prefix, scopes, created_at, expires_at)
            VALUES (:id, :name, :merchant_id, :mode, :hash, :prefix, :scopes, :now, :expires_at)
            RETURNING {_COLUMNS}"""),  # noqa: S608  # our own column list
        {
            "id": new_id("key", now),
            "name": name,
            "merchant_id": merchant_id,
            "mode": mode,
            "hash": _hash(secret),
            "prefix": secret[:SHOWN_CHARACTERS],
            "scopes": list(wanted),
            "now": now,
            "expires_at": expires_at,
        },
    )
    return _api_key(row.one()), Secret(secret)


async def list_keys(session: Session) -> list[ApiKey]:
    """Every key ever made, the latest first."""
    rows = await session.execute(text(f"SELECT {_COLUMNS} FROM api_keys ORDER BY id DESC"))  # noqa: S608
    return [_api_key(row) for row in rows]


async def revoke_key(session: Session, key_id: str, *, now: datetime) -> ApiKey:
    """End a key; processes notice within ``CACHE_SECONDS``. Repeating it changes nothing.

    Raises: ResourceUnknown.
    """
    row = (
        await session.execute(
            text(f"""UPDATE api_keys SET revoked_at = coalesce(revoked_at, :now)
                      WHERE id = :id RETURNING {_COLUMNS}"""),  # noqa: S608  # our own column list
            {"id": key_id, "now": now},
        )
    ).first()
    if row is None:
        raise ResourceUnknown(id=key_id)
    return _api_key(row)


async def rotate_key(
    session: Session, key_id: str, *, now: datetime, overlap: timedelta = timedelta(days=1)
) -> tuple[ApiKey, Secret]:
    """A new key with the same rights; the old one goes on working for ``overlap``.

    Raises: ResourceUnknown if there is no such key that still works.
    """
    row = (
        await session.execute(
            text(f"""UPDATE api_keys SET expires_at = least(expires_at, :until)
                      WHERE id = :id AND revoked_at IS NULL AND coalesce(expires_at > :now, true)
                  RETURNING {_COLUMNS}"""),  # noqa: S608
            {"id": key_id, "now": now, "until": now + overlap},
        )
    ).first()
    if row is None:
        raise ResourceUnknown(id=key_id)
    old = _api_key(row)
    return await create_key(
        session, name=old.name, scopes=old.scopes, mode=old.mode, now=now, merchant_id=old.merchant_id
    )


@dataclass(slots=True)
class Callers:
    """The keys a process has seen in the last seconds, so that a busy caller costs no query."""

    engine: Engine
    mode: KeyMode
    _known: dict[bytes, tuple[Caller | None, float]] = field(default_factory=dict)
    _loading: dict[bytes, asyncio.Task[Caller | None]] = field(default_factory=dict)

    async def identify(self, authorization: bytes | None, now: datetime) -> Caller:
        """Who sends this ``Authorization`` header.

        Raises: KeyMissing, KeyUnknown, KeyExpired; what the database raises when the key must be looked up.
        """
        kind, _, key = (authorization or b"").partition(b" ")
        if kind.lower() != b"bearer" or not key:
            raise KeyMissing()
        digest = hashlib.sha256(key.strip()).digest()
        caller, seen_at = self._known.get(digest, (None, float("-inf")))
        if monotonic() - seen_at > CACHE_SECONDS:
            caller = await self._load_once(digest, now)
        if caller is None:
            raise KeyUnknown()
        if caller.expires_at is not None and caller.expires_at <= now:
            raise KeyExpired()
        return caller

    async def _load_once(self, digest: bytes, now: datetime) -> Caller | None:
        """One query, however many requests with this key wait for it."""
        task = self._loading.get(digest)
        if task is None:
            task = asyncio.create_task(self._load(digest, now))
            self._loading[digest] = task
            task.add_done_callback(lambda _done: self._loading.pop(digest, None))
        return await asyncio.shield(task)

    async def _load(self, digest: bytes, now: datetime) -> Caller | None:
        async with transaction(self.engine) as session:
            row = (await session.execute(text(_FIND), {"hash": digest, "mode": self.mode})).first()
            caller = None if row is None else _caller(row)
            if row is not None and row.last_used_on != moscow_day(now):
                await session.execute(
                    text("UPDATE api_keys SET last_used_on = :day WHERE id = :id"),
                    {"day": moscow_day(now), "id": row.id},
                )
        if len(self._known) >= CACHE_KEYS_MAX:
            self._known.clear()
        self._known[digest] = (caller, monotonic())
        return caller


_COLUMNS = "id, name, merchant_id, mode, prefix, scopes, created_at, expires_at, revoked_at, last_used_on"
_FIND = f"SELECT {_COLUMNS} FROM api_keys WHERE hash = :hash AND mode = :mode AND revoked_at IS NULL"  # noqa: S608


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{**row._mapping, "scopes": tuple(row.scopes)})


def _caller(row: Row[Any]) -> Caller:
    return Caller(
        key_id=row.id,
        name=row.name,
        merchant_id=row.merchant_id,
        mode=row.mode,
        scopes=frozenset(row.scopes),
        expires_at=row.expires_at,
        idempotency_scope=f"{row.merchant_id or 'tenant'}/{row.mode}",
    )
