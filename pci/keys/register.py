"""The register of keys: every change of a key is one row changed and one event of the log, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, text

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.errors import KeyNotFound
from pci.keys.kek import WrappedKey
from pci.keys.key import Algorithm, Key, KeyPurpose, KeyState, advance

LIST_MAX = 10_000
"""Rows of the register that are read at once."""

COLUMNS = (
    "number, purpose, scope, version, state, algorithm, storage_form, kek_provider, kek_version, env,"
    " cryptoperiod_days, encryptions, created_at, activated_at, retired_at, destroyed_at"
)
WORDS = {
    KeyState.ACTIVE: "key.activated",
    KeyState.DECRYPT_ONLY: "key.retired",
    KeyState.SUSPENDED: "key.suspended",
    KeyState.COMPROMISED: "key.compromised",
    KeyState.DESTROYED: "key.destroyed",
}
"""What the log calls a move to a state."""


@dataclass(frozen=True, slots=True)
class KeyDoing:
    """Who does something with keys, from where, why and when."""

    actor: str
    origin: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key's record with its wrapped bytes; none when it is destroyed."""

    key: Key
    wrapped: bytes | None


def read_key(row: RowMapping) -> Key:
    return Key(
        number=row["number"],
        purpose=KeyPurpose(row["purpose"]),
        scope=row["scope"],
        version=row["version"],
        state=KeyState(row["state"]),
        algorithm=Algorithm(row["algorithm"]),
        storage_form=row["storage_form"],
        kek_provider=row["kek_provider"],
        kek_version=row["kek_version"],
        env=row["env"],
        cryptoperiod_days=row["cryptoperiod_days"],
        encryptions=row["encryptions"],
        created_at=row["created_at"],
        activated_at=row["activated_at"],
        retired_at=row["retired_at"],
        destroyed_at=row["destroyed_at"],
    )


def read_stored(row: RowMapping | None) -> StoredKey | None:
    if row is None:
        return None
    return StoredKey(read_key(row), None if row["wrapped"] is None else bytes(row["wrapped"]))


async def find_active(session: Session, purpose: KeyPurpose, scope: str, env: str) -> StoredKey | None:
    """The key that closes for this purpose and scope, if there is one."""
    found = await session.execute(
        text(
            f"SELECT {COLUMNS}, wrapped FROM keys"  # noqa: S608 -- our own columns
            " WHERE purpose = :purpose AND scope = :scope AND env = :env AND state = 'active'"
        ),
        {"purpose": purpose, "scope": scope, "env": env},
    )
    return read_stored(found.mappings().one_or_none())


async def find_stored(session: Session, number: int) -> StoredKey:
    """A key by its number.

    Raises: KeyNotFound.
    """
    found = await session.execute(
        text(f"SELECT {COLUMNS}, wrapped FROM keys WHERE number = :number"),  # noqa: S608 -- our own columns
        {"number": number},
    )
    if (stored := read_stored(found.mappings().one_or_none())) is None:
        raise KeyNotFound(number=number)
    return stored


async def list_keys(session: Session, *, after: int = 0, limit: int = LIST_MAX) -> list[Key]:
    """The register, by number."""
    found = await session.execute(
        text(f"SELECT {COLUMNS} FROM keys WHERE number > :after ORDER BY number LIMIT :limit"),  # noqa: S608
        {"after": after, "limit": min(limit, LIST_MAX)},
    )
    return [read_key(row) for row in found.mappings()]


async def states_of(session: Session, numbers: Sequence[int]) -> dict[int, KeyState]:
    """The states of several keys, to see what other processes did."""
    found = await session.execute(
        text("SELECT number, state FROM keys WHERE number = ANY(:numbers)"), {"numbers": list(numbers)}
    )
    return {row.number: KeyState(row.state) for row in found}


async def next_number(session: Session) -> int:
    """A number no other key has. Numbers of keys that were never kept are not used again."""
    return int((await session.execute(text("SELECT nextval('keys_number_seq')"))).scalar_one())


async def next_version(session: Session, purpose: KeyPurpose, scope: str, env: str) -> int:
    """The version after the last in this purpose and scope."""
    found = await session.execute(
        text(
            "SELECT coalesce(max(version), 0) + 1 FROM keys WHERE purpose = :purpose AND scope = :scope AND env = :env"
        ),
        {"purpose": purpose, "scope": scope, "env": env},
    )
    return int(found.scalar_one())


async def lock_scope(session: Session, purpose: KeyPurpose, scope: str, env: str) -> None:
    """Let one transaction at a time change which key closes for this purpose and scope.

    Locks: an advisory lock until the transaction ends.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": f"keys|{purpose}|{scope}|{env}"}
    )


async def add_active(session: Session, key: Key, wrapped: WrappedKey, doing: KeyDoing) -> None:
    """Enter a new key that closes from now on. Whoever closed before must have been retired first."""
    await session.execute(
        text(
            "INSERT INTO keys (number, purpose, scope, version, state, algorithm, wrapped, kek_provider, kek_version,"
            " env, cryptoperiod_days, encryptions, created_at, activated_at) VALUES (:number, :purpose, :scope,"
            " :version, 'active', :algorithm, :wrapped, :kek_provider, :kek_version, :env, :cryptoperiod_days,"
            " :encryptions, :at, :at)"
        ),
        {
            "number": key.number, "purpose": key.purpose, "scope": key.scope, "version": key.version,
            "algorithm": key.algorithm, "wrapped": wrapped.blob, "kek_provider": key.kek_provider,
            "kek_version": wrapped.version, "env": key.env, "cryptoperiod_days": key.cryptoperiod_days,
            "encryptions": key.encryptions, "at": doing.at,
        },
    )  # fmt: skip
    facts: dict[str, str | int] = {"purpose": str(key.purpose), "scope": key.scope, "version": key.version}
    facts |= {"env": key.env, "kek_provider": key.kek_provider, "kek_version": wrapped.version}
    await stage(session, [event(word, key.number, doing, **facts) for word in ("key.created", "key.activated")])


async def move(session: Session, number: int, to: KeyState, doing: KeyDoing) -> Key:
    """Move a key to another state; a destroyed key's bytes are gone with the same transaction.

    Raises: KeyNotFound; KeyMoveRefused.
    Locks: the key's row.
    """
    found = await session.execute(
        text(f"SELECT {COLUMNS} FROM keys WHERE number = :number FOR UPDATE"),  # noqa: S608 -- our own columns
        {"number": number},
    )
    if (row := found.mappings().one_or_none()) is None:
        raise KeyNotFound(number=number)
    key = read_key(row)
    advance(key.state, to)
    changed = await session.execute(
        text(
            "UPDATE keys SET state = :to,"  # noqa: S608 -- our own columns
            " activated_at = CASE WHEN :to = 'active' THEN :at ELSE activated_at END,"
            " retired_at = CASE WHEN :to = 'active' THEN NULL ELSE coalesce(retired_at, :at) END,"
            " destroyed_at = CASE WHEN :to = 'destroyed' THEN CAST(:at AS timestamptz) END,"
            " wrapped = CASE WHEN :to = 'destroyed' THEN NULL ELSE wrapped END"
            f" WHERE number = :number RETURNING {COLUMNS}"
        ),
        {"to": str(to), "at": doing.at, "number": number},
    )
    facts = {"purpose": str(key.purpose), "scope": key.scope, "from": str(key.state)}
    if doing.reason:
        facts["reason"] = doing.reason
    await stage(session, [event(WORDS[to], number, doing, **facts)])
    return read_key(changed.mappings().one())


async def reserve(session: Session, number: int, count: int) -> bool:
    """Count ``count`` encryptions before they are done, so that a crash counts too many and never too few.

    Returns False if the key closes nothing any more.
    """
    counted = await session.execute(
        text("UPDATE keys SET encryptions = encryptions + :count WHERE number = :number AND state = 'active'"),
        {"number": number, "count": count},
    )
    return counted.rowcount == 1


async def destroy_scope(session: Session, purpose: KeyPurpose, scope: str, env: str, doing: KeyDoing) -> list[Key]:
    """Destroy every key of a scope: what they closed is unreadable from the commit on (crypto-shredding).

    Locks: the scope, then the keys' rows by number.
    """
    await lock_scope(session, purpose, scope, env)
    found = await session.execute(
        text(
            "SELECT number FROM keys WHERE purpose = :purpose AND scope = :scope AND env = :env"
            " AND state <> 'destroyed' ORDER BY number"
        ),
        {"purpose": purpose, "scope": scope, "env": env},
    )
    return [await move(session, number, KeyState.DESTROYED, doing) for number in list(found.scalars())]


def event(action: str, number: int, doing: KeyDoing, **facts: str | int | bool) -> AuditEvent:
    """A line of the log about a key. Never its bytes."""
    return AuditEvent(action, doing.actor, doing.origin, f"key:dek_{number}", doing.at, facts=facts)


async def destroy_retired(
    session: Session, purpose: KeyPurpose, env: str, *, before: datetime, doing: KeyDoing, limit: int = 100
) -> list[Key]:
    """Destroy keys of a purpose that were retired before an instant: what they closed must not outlive them anywhere.

    Locks: the keys' rows by number.
    """
    found = await session.execute(
        text(
            "SELECT number FROM keys WHERE purpose = :purpose AND env = :env AND state = 'decrypt_only'"
            " AND retired_at < :before ORDER BY number LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"purpose": purpose, "env": env, "before": before, "limit": limit},
    )
    return [await move(session, number, KeyState.DESTROYED, doing) for number in list(found.scalars())]
