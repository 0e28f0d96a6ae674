"""Ids: UUIDv7 made by us, shown with a prefix that says what they name.

``ord_06cb8g…`` is ``ord_`` and the 26 characters of the UUID in Crockford's base 32, lower case.
Chance lives here and in the vault, nowhere else.
"""

from __future__ import annotations

import secrets
import struct
import threading
from datetime import datetime
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_PAIR_SHIFTS = range(120, -1, -10)
ID_CHARACTERS = 26
ACCOUNT_NUMBER_MAX = 2**31 - 1
_CHANCE = 2**60 - 1

_lock = threading.Lock()
_last = 0


def new_uuid(now: datetime) -> UUID:
    """A UUIDv7 of the business time ``now``; ids made by one process never run backwards."""
    return _uuid(_ticks(now, 1), secrets.randbits(60))


def new_uuids(now: datetime, count: int) -> list[UUID]:
    """As many ids in order, for a batch."""
    return [UUID(int=value) for value in _new_values(now, count)]


def new_uuid_digits(now: datetime, count: int) -> list[str]:
    """The same as 32 digits each, for PostgreSQL: values around them would be made only to be written down."""
    return [f"{value:032x}" for value in _new_values(now, count)]


def _new_values(now: datetime, count: int) -> list[int]:
    chances = struct.unpack(f"{count}Q", secrets.token_bytes(8 * count))
    return [_value(tick, chance & _CHANCE) for tick, chance in enumerate(chances, _ticks(now, count))]


def _ticks(now: datetime, count: int) -> int:
    """The first of ``count`` ticks of this process, each a 4096th of a millisecond, that nobody else gets."""
    global _last
    micros = int(now.timestamp() * 1_000_000)
    tick = (micros // 1000 << 12) | (micros % 1000 * 4096 // 1000)
    with _lock:
        first = tick if tick > _last or _last - tick > _FALLBACK_MAX else _last + 1
        _last = first + count - 1
        return first


def _uuid(tick: int, chance: int) -> UUID:
    return UUID(int=_value(tick, chance))


def _value(tick: int, chance: int) -> int:
    high = (tick >> 12 << 16) | 0x7000 | (tick & 0xFFF)
    return high << 64 | 0x8 << 60 | chance


_FALLBACK_MAX = 60_000 << 12
"""A clock set back by over a minute is a new time, not a repeated one."""


def new_id(prefix: str, now: datetime) -> str:
    """A new id with its prefix: ``new_id("ord", now)``."""
    return show(prefix, new_uuid(now))


def new_ids(prefix: str, now: datetime, count: int) -> list[str]:
    """As many new ids in order, for a batch."""
    return [_shown(prefix, value) for value in _new_values(now, count)] if count else []


def lowest_id(prefix: str, at: datetime) -> str:
    """No id made at ``at`` or later is below this one, unless a clock was set back."""
    return show(prefix, _uuid(int(at.timestamp() * 1000) << 12, 0))


def show(prefix: str, uuid: UUID) -> str:
    """The text form of an id."""
    return _shown(prefix, uuid.int)


def _shown(prefix: str, value: int) -> str:
    return f"{prefix}_{''.join([_PAIRS[value >> shift & 1023] for shift in _PAIR_SHIFTS])}"


def read(prefix: str, text: str) -> UUID:
    """The UUID of a shown id.

    Raises: ValueError if the prefix or the form is another.
    """
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != ID_CHARACTERS or tail[0] > "7":
        raise ValueError(f"not an id that begins with {prefix}_")
    value = 0
    for character in tail:
        if character not in _VALUES:
            raise ValueError(f"not an id that begins with {prefix}_")
        value = value << 5 | _VALUES[character]
    return UUID(int=value)


def new_account_number() -> int:
    """A random number for a new account. The books try again when it is taken."""
    return secrets.randbelow(ACCOUNT_NUMBER_MAX) + 1


def new_secret(prefix: str) -> str:
    """A secret of 160 bits with a prefix that scanners can find: ``kp_test_…``."""
    return prefix + show("", UUID(int=secrets.randbits(128)))[1:] + secrets.token_hex(4)


def new_digits(count: int) -> str:
    """So many digits, each as likely as any other: a one-time code."""
    return f"{secrets.randbelow(10**count):0{count}d}"
