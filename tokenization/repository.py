"""Rows of ``cards``: read, written and walked over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import psycopg
from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.exc import DBAPIError

from pci.database import Session
from pci.schemes import Scheme
from tokenization import sql_arrays, sql_rows
from tokenization.card_errors import CardKeysNotReady

Row: TypeAlias = RowMapping | Mapping[str, Any]

KEY_DESTROYED = "KP011"
"""By which PostgreSQL says that cards were closed with a key that is no more."""
COUNTING_SECONDS_MAX = 300
"""A merchant may have tens of millions of cards."""

CARD_COLUMNS = (
    "token, merchant_id, digits, first6, last4, scheme, expires, fingerprint_id, status, tokenized_at, expires_at,"
    " digits_token, restrictions"
)
COLUMN_TYPES = {
    "tokens": "text", "merchants": "text", "scopes": "text", "fingerprint_keys": "integer", "fingerprints": "bytea",
    "fingerprint_ids": "text", "key_numbers": "integer", "pans": "bytea", "holders": "bytea", "first6": "text",
    "last4": "text", "digits": "smallint", "schemes": "text", "expires": "text", "digits_tokens": "text",
    "expires_at": "timestamptz", "restrictions": "jsonb",
}  # fmt: skip
"""What is written of a card, in the order of ``NewCard`` and of the type ``new_card``, which ends in its event."""
_WRITTEN_AS: Mapping[str, Callable[[Sequence[Any]], str]] = {
    "text": sql_arrays.texts, "integer": sql_arrays.numbers, "smallint": sql_arrays.numbers,
    "bytea": sql_arrays.blobs, "timestamptz": sql_arrays.instants, "jsonb": sql_arrays.objects,
}  # fmt: skip
_new_card = sql_rows.writer([sql_rows.KINDS[kind] for kind in (*COLUMN_TYPES.values(), "bytea")])
_COLUMNS = ", ".join(f"p_{name} => CAST(:{name} AS {kind}[])" for name, kind in COLUMN_TYPES.items())
TOKENIZE = text(
    f"SELECT * FROM tokenize_cards(p_now => :now, {_COLUMNS}, p_old_keys => CAST(:old_keys AS integer[]),"  # noqa: S608
    " p_old_fingerprints => CAST(:old_fingerprints AS bytea[]))"
)
COPY_NEW = (
    "COPY cards (tokenized_at, changed_at, expires_at, key_number, fingerprint_key, digits, merchant_id, token,"
    " digits_token, first6, last4, scheme, expires, fingerprint_scope, fingerprint_id, fingerprint, pan_sealed,"
    " holder_sealed, restrictions) FROM STDIN"
)
NULL = "\\N"
FIND = text(f"SELECT {CARD_COLUMNS} FROM cards WHERE token = :token AND merchant_id = :merchant_id")  # noqa: S608
FIND_BY_DIGITS = text(
    f"SELECT {CARD_COLUMNS} FROM cards WHERE digits_token = :token AND merchant_id = :merchant_id"  # noqa: S608
)
SEALED = text(
    """SELECT a.place, c.token, c.merchant_id, c.expires, c.scheme, c.fingerprint_id, c.status, c.expires_at,
              c.restrictions, c.key_number, c.pan_sealed, c.holder_sealed
         FROM unnest(CAST(:tokens AS text[]), CAST(:merchants AS text[])) WITH ORDINALITY
              AS a (token, merchant_id, place)
         JOIN cards AS c ON c.token = a.token AND c.merchant_id = a.merchant_id"""
)
SEALED_BY_DIGITS = text(SEALED.text.replace("c.token = a.token", "c.digits_token = a.token"))


class NewCard(NamedTuple):
    """A card sealed and ready to be kept, if its scope does not know it. Its fields are in the order of the columns."""

    token: str
    merchant_id: str
    scope: str
    fingerprint_key: int
    fingerprint: bytes
    fingerprint_id: str
    key_number: int
    pan: bytes
    holder: bytes | None
    first6: str
    last4: str
    digits: int
    scheme: Scheme
    expires: str
    digits_token: str | None
    expires_at: datetime | None
    restrictions: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class OldFingerprint:
    """How a card was known before the fingerprint key changed."""

    key: int
    fingerprint: bytes


async def tokenize_cards(
    session: Session, cards: Sequence[NewCard], *, old: Sequence[OldFingerprint | None] | None, now: datetime
) -> list[Row]:
    """Keep cards, or find them; a row each in their order.

    No row at all when a change of a fingerprint key is under way and ``old`` was not brought.
    Raises: CardKeysNotReady if a key is destroyed and this process has not heard of it yet.
    Locks: rows of cards met again, in the order of their scopes and digests.
    """
    brought = {
        "old_keys": None if old is None else sql_arrays.numbers(known.key if known else None for known in old),
        "old_fingerprints": None if old is None else sql_arrays.blobs(k.fingerprint if k else None for k in old),
    }
    try:
        found = await session.execute(TOKENIZE, {"now": now, **columns_of(cards), **brought})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == KEY_DESTROYED:
            raise CardKeysNotReady from None
        raise
    rows: list[Row] = list(found.mappings())
    rows.sort(key=lambda row: int(row["place"]))
    return rows


async def copy_new_cards(
    session: Session, cards: Sequence[NewCard], lines: bytes, *, on_sent: Callable[[], None]
) -> bool:
    """Keep cards, as ``copy_lines`` laid them out, if all of them are new; else nothing is done.

    Their events are the caller's. ``on_sent`` is called when PostgreSQL has something to do.

    Raises: IntegrityError for anything but a card that is known.
    """
    if await fingerprint_windows(session, sorted({card.merchant_id for card in cards})):
        return False
    if await _is_any_destroyed(session, sorted({card.key_number for card in cards})):
        return False
    connection = (await session.get_raw_connection()).driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    try:
        async with session.begin_nested(), connection.cursor() as cursor, cursor.copy(COPY_NEW) as copy:
            on_sent()
            await copy.write(lines)
    except psycopg.errors.UniqueViolation:
        return False
    return True


async def _is_any_destroyed(session: Session, keys: Sequence[int]) -> bool:
    """Whether a key is no more, whatever this process thinks of it."""
    query = text("SELECT EXISTS (SELECT FROM keys WHERE number = ANY (:keys) AND state = 'destroyed')")
    return bool(await session.scalar(query, {"keys": list(keys)}))


def copy_lines(cards: Sequence[NewCard], *, now: datetime) -> bytes:
    """Cards as lines of COPY."""
    moment = now.isoformat()
    return "".join([_copied(card, moment) for card in cards]).encode()


def _copied(card: NewCard, moment: str) -> str:
    """A card as a line of COPY. What is a text of others is only ever in ``restrictions``, which is escaped."""
    holder = NULL if card.holder is None else f"\\\\x{card.holder.hex()}"
    restrictions = NULL if card.restrictions is None else json.dumps(card.restrictions).replace("\\", "\\\\")
    expires_at = NULL if card.expires_at is None else card.expires_at.isoformat()
    return (
        f"{moment}\t{moment}\t{expires_at}\t{card.key_number}\t{card.fingerprint_key}\t{card.digits}"
        f"\t{card.merchant_id}\t{card.token}\t{card.digits_token or NULL}\t{card.first6}\t{card.last4}\t{card.scheme}"
        f"\t{card.expires}\t{card.scope}\t{card.fingerprint_id}\t\\\\x{card.fingerprint.hex()}"
        f"\t\\\\x{card.pan.hex()}\t{holder}\t{restrictions}\n"
    )


def columns_of(cards: Sequence[NewCard]) -> dict[str, str]:
    """Cards as the arrays that ``tokenize_cards`` takes, in the order of ``COLUMN_TYPES``."""
    columns = zip(*cards, strict=True) if cards else repeat((), len(COLUMN_TYPES))
    return {name: _WRITTEN_AS[kind](column) for (name, kind), column in zip(COLUMN_TYPES.items(), columns, strict=True)}


def new_cards(type_number: int, cards: Sequence[NewCard], lines: Sequence[bytes]) -> bytes:
    """Cards with their lines of the log as ``keep_new_cards`` takes them: in the order of their scopes and digests."""
    brought = sorted(zip(cards, lines, strict=True), key=_scope_and_digest)
    return sql_rows.array(type_number, [_new_card((*card, line)) for card, line in brought])


def _scope_and_digest(brought: tuple[NewCard, bytes]) -> tuple[str, bytes]:
    card, _ = brought
    return card.scope, card.fingerprint


async def find(session: Session, token: str, merchant_id: str) -> Row | None:
    """What may be known of a card by its token of either kind."""
    statement = FIND_BY_DIGITS if token.isdigit() else FIND
    found = await session.execute(statement, {"token": token, "merchant_id": merchant_id})
    return found.mappings().one_or_none()


async def find_sealed(session: Session, asked: Sequence[tuple[str, str]]) -> dict[int, Row]:
    """The sealed rows of (token, merchant) pairs, by their place from 0. What is not there is not there."""
    rows: dict[int, Row] = {}
    for statement, is_digits in ((SEALED, False), (SEALED_BY_DIGITS, True)):
        places = [place for place, (token, _) in enumerate(asked) if token.isdigit() is is_digits]
        if not places:
            continue
        arguments = {
            "tokens": [asked[place][0] for place in places],
            "merchants": [asked[place][1] for place in places],
        }
        found = await session.execute(statement, arguments)
        rows |= {places[row["place"] - 1]: row for row in found.mappings()}
    return rows


async def keep_holder(session: Session, token: str, holder: bytes, now: datetime) -> None:
    """Write a holder's name, sealed for its row."""
    await session.execute(
        text("UPDATE cards SET holder_sealed = :holder, changed_at = :now WHERE token = :token AND status = 'active'"),
        {"token": token, "holder": holder, "now": now},
    )


async def fingerprint_windows(session: Session, merchants: Sequence[str]) -> dict[str, int]:
    """The fingerprint keys that merchants are moving away from, by merchant."""
    found = await session.execute(
        text(
            """SELECT DISTINCT ON (k.scope) k.scope, k.number FROM rotations AS r
                 JOIN keys AS k ON k.purpose = 'fingerprint' AND k.scope = r.scope AND k.state = 'decrypt_only'
                WHERE r.kind = 'fingerprint' AND r.status <> 'done' AND r.scope = ANY (:merchants)
                ORDER BY k.scope, k.version DESC"""
        ),
        {"merchants": list(merchants)},
    )
    return {row.scope: row.number for row in found}


async def keep_restrictions(session: Session, token: str, kept: Mapping[str, Any] | None, now: datetime) -> None:
    """Write what a token may be used for."""
    await session.execute(
        text("UPDATE cards SET restrictions = CAST(:kept AS jsonb), changed_at = :now WHERE token = :token"),
        {"token": token, "kept": None if kept is None else json.dumps(kept), "now": now},
    )


async def destroyed_card_keys(session: Session, merchant_id: str) -> list[int]:
    """The keys that closed this merchant's cards and are no more."""
    found = await session.execute(
        text("SELECT number FROM keys WHERE purpose = 'card' AND scope = :scope AND state = 'destroyed'"),
        {"scope": merchant_id},
    )
    return list(found.scalars())


async def destroyed_keys(session: Session, merchant_id: str) -> list[int]:
    """The keys of either kind that this merchant's cards were kept with and that are no more."""
    found = await session.execute(
        text(
            "SELECT number FROM keys WHERE purpose IN ('card', 'fingerprint') AND scope = :scope"
            " AND state = 'destroyed'"
        ),
        {"scope": merchant_id},
    )
    return list(found.scalars())


async def card_keys(session: Session, merchant_id: str) -> list[int]:
    """The keys that may open this merchant's cards."""
    found = await session.execute(
        text(
            "SELECT number FROM keys WHERE purpose = 'card' AND scope = :scope"
            " AND state IN ('active', 'decrypt_only', 'compromised')"
        ),
        {"scope": merchant_id},
    )
    return list(found.scalars())


async def _take_time(session: Session) -> None:
    """Looking through all cards of a merchant takes longer than other statements may."""
    await session.execute(text(f"SET LOCAL statement_timeout = '{COUNTING_SECONDS_MAX}s'"))


async def count_active(session: Session, merchant_id: str) -> int:
    """How many cards of a merchant there are to go over."""
    await _take_time(session)
    found = await session.execute(
        text("SELECT count(*) FROM cards WHERE merchant_id = :merchant_id AND status = 'active'"),
        {"merchant_id": merchant_id},
    )
    return int(found.scalar_one())


_TAKE = (
    "SELECT number, token, key_number, pan_sealed, holder_sealed, fingerprint_scope FROM cards"
    " WHERE merchant_id = :merchant_id AND number > :after AND status = 'active' AND {} <> :newest"
    " ORDER BY number LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED"
)
TAKE_TO_RESEAL = text(_TAKE.format("key_number"))
TAKE_TO_FINGERPRINT = text(_TAKE.format("fingerprint_key"))
KEY_COLUMNS = {"card": "key_number", "fingerprint": "fingerprint_key"}
"""Which column a rotation of a kind goes by."""


async def take_to_reseal(session: Session, merchant_id: str, newest: int, after: int, limit: int) -> list[Row]:
    """The next cards that another key sealed. Locks: them; what others hold is passed over."""
    return await _take(session, TAKE_TO_RESEAL, merchant_id, newest, after, limit)


async def take_to_fingerprint(session: Session, merchant_id: str, newest: int, after: int, limit: int) -> list[Row]:
    """The next cards known by another key's digest. Locks: them; what others hold is passed over."""
    return await _take(session, TAKE_TO_FINGERPRINT, merchant_id, newest, after, limit)


async def _take(
    session: Session, statement: TextClause, merchant_id: str, newest: int, after: int, limit: int
) -> list[Row]:
    arguments = {"merchant_id": merchant_id, "newest": newest, "after": after, "limit": limit}
    return list((await session.execute(statement, arguments)).mappings())


async def is_any_left(session: Session, merchant_id: str, kind: str, newest: int) -> bool:
    """Whether any card of a merchant is still under another key, whoever holds it now."""
    await _take_time(session)
    found = await session.execute(
        text(
            f"SELECT EXISTS (SELECT FROM cards WHERE merchant_id = :merchant_id AND status = 'active'"  # noqa: S608
            f" AND {KEY_COLUMNS[kind]} <> :newest)"
        ),
        {"merchant_id": merchant_id, "newest": newest},
    )
    return bool(found.scalar_one())


@dataclass(frozen=True, slots=True)
class ResealedCard:
    """What a card holds, sealed anew."""

    number: int
    pan: bytes
    holder: bytes | None


async def keep_resealed(session: Session, merchant_id: str, cards: Sequence[ResealedCard], key_number: int) -> None:
    """Write cards sealed anew; their rows are locked by this session."""
    await session.execute(
        text(
            """UPDATE cards AS c SET key_number = :key_number, pan_sealed = a.pan, holder_sealed = a.holder
                 FROM unnest(CAST(:numbers AS bigint[]), CAST(:pans AS bytea[]), CAST(:holders AS bytea[]))
                      AS a (number, pan, holder)
                WHERE c.merchant_id = :merchant_id AND c.number = a.number"""
        ),
        {
            "key_number": key_number, "merchant_id": merchant_id,
            "numbers": sql_arrays.numbers(card.number for card in cards),
            "pans": sql_arrays.blobs(card.pan for card in cards),
            "holders": sql_arrays.blobs(card.holder for card in cards),
        },
    )  # fmt: skip


async def keep_fingerprints(
    session: Session, merchant_id: str, known: Sequence[tuple[int, str, bytes]], key_number: int
) -> list[str]:
    """Write digests made anew for rows locked by this session, and give the tokens of twins, which keep none."""
    found = await session.execute(
        text(
            """UPDATE cards AS c SET fingerprint_key = CASE WHEN a.is_twin THEN NULL ELSE :key_number END,
                                     fingerprint = CASE WHEN a.is_twin THEN NULL ELSE a.digest END
                 FROM (SELECT n.*, row_number() OVER (PARTITION BY n.scope, n.digest ORDER BY n.number) > 1 OR EXISTS (
                           SELECT FROM cards AS o WHERE o.fingerprint_scope = n.scope
                              AND o.fingerprint_key = :key_number AND o.fingerprint = n.digest) AS is_twin
                         FROM unnest(CAST(:numbers AS bigint[]), CAST(:scopes AS text[]), CAST(:digests AS bytea[]))
                              AS n (number, scope, digest)) AS a
                WHERE c.merchant_id = :merchant_id AND c.number = a.number
            RETURNING c.token, a.is_twin"""
        ),
        {
            "key_number": key_number, "merchant_id": merchant_id, "numbers": [number for number, _, _ in known],
            "scopes": [scope for _, scope, _ in known], "digests": [digest for _, _, digest in known],
        },
    )  # fmt: skip
    return [row.token for row in found if row.is_twin]


async def sealed_after(session: Session, merchant_id: str, after: int, limit: int) -> list[Row]:
    """The next active cards of a merchant, sealed."""
    found = await session.execute(
        text(
            "SELECT number, token, key_number, pan_sealed, holder_sealed, expires FROM cards"
            " WHERE merchant_id = :merchant_id AND number > :after AND status = 'active' ORDER BY number LIMIT :limit"
        ),
        {"merchant_id": merchant_id, "after": after, "limit": limit},
    )
    return list(found.mappings())
