"""An entry (операция): what one event books, as a value. Forms are checked here, before any database."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ledger.errors import EntryRejected
from ledger.money import AMOUNT_MAX

POSTINGS_MAX = 64
"""Postings in one entry: an order with every tender and fee needs about ten."""
ENTRIES_MAX = 1_000
"""Entries in one batch: what one call books in under a tenth of a second."""
CONDITIONS_MAX = 16
METADATA_BYTES_MAX = 4_096
HAPPENED_FROM = datetime(1970, 1, 1, tzinfo=UTC)
HAPPENED_BEFORE = datetime(2200, 1, 1, tzinfo=UTC)
"""An instant outside of these is a mistake, and some tools that read our exports cannot write it."""
REFERENCE_CHARACTERS_MAX = 128

REVERSAL = "reversal"
"""The kind of entries that ``journal.reverse`` books, and nobody else."""

_NAME = re.compile(r"[A-Za-z0-9_:.-]{1,250}")
_REFERENCE = re.compile(rf"[!-~]([ -~]{{0,{REFERENCE_CHARACTERS_MAX - 2}}}[!-~])?")
_KIND = re.compile(r"[a-z][a-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True)
class Posting:
    """A проводка: an amount from a debit account to a credit account. Zero-sum by construction."""

    debit: str
    """Code of the account debited (Дт)."""
    credit: str
    """Code of the account credited (Кт)."""
    amount: int
    """Smallest units of the commodity: kopecks for ``RUB``."""
    commodity: str = "RUB"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold about an account for its entry to be booked."""

    account: str
    if_version: int | None = None
    """The account's version just before the entry."""
    min_available_after: int | None = None
    """What must stay available just after it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one event books: 1 to 64 postings, all or nothing."""

    reference: str
    """The caller's own name for the event: the same one never books twice."""
    kind: str
    happened_at: datetime
    """When the world moved; decides the accounting day."""
    postings: tuple[Posting, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    is_linked: bool = False
    """Booked only together with the next entry of the batch."""
    id: UUID | None = None
    """The caller's choice, or ours when empty."""


@dataclass(frozen=True, slots=True)
class BookedPosting:
    """A posting as the books keep it."""

    posting: Posting
    debit_version: int
    debit_balance: int
    """Posted balance of the debited account after this posting, on its normal side."""
    credit_version: int
    credit_balance: int


@dataclass(frozen=True, slots=True)
class Booked:
    """The books took the entry, now or before."""

    entry_id: UUID
    recorded_at: datetime
    postings: tuple[BookedPosting, ...]
    is_replay: bool = False
    """Booked by an earlier call with the same reference and body."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The books said no, and will say the same again to this reference."""

    code: str
    facts: Mapping[str, Any]
    entry_id: UUID | None = None
    """The first entry under the reference, when the refusal is about that."""

    def error(self) -> EntryRejected:
        """The refusal as an exception."""
        return EntryRejected(self.code, **self.facts)


Verdict = Booked | Refused


def check(entry: Entry) -> None:
    """Refuse an entry that breaks a rule of form.

    Raises: EntryRejected with ``ledger.invalid_entry`` and the field at fault.
    """
    if not _REFERENCE.fullmatch(entry.reference):
        raise _invalid("reference", "1 to 128 printable ASCII characters")
    if not _KIND.fullmatch(entry.kind):
        raise _invalid("kind", "lower-case words with dots and underscores, 1 to 64 characters")
    if entry.kind == REVERSAL:
        raise _invalid("kind", "another kind: reversals are booked by reversing an entry")
    if entry.happened_at.tzinfo is None or not HAPPENED_FROM <= entry.happened_at < HAPPENED_BEFORE:
        raise _invalid("happened_at", "an instant with its offset, from 1970 to 2199")
    if not 1 <= len(entry.postings) <= POSTINGS_MAX:
        raise _invalid("postings", f"1 to {POSTINGS_MAX} postings")
    if len(entry.conditions) > CONDITIONS_MAX:
        raise _invalid("conditions", f"at most {CONDITIONS_MAX} conditions")
    for number, posting in enumerate(entry.postings):
        if not (_NAME.fullmatch(posting.debit) and _NAME.fullmatch(posting.credit)):
            raise _invalid(f"postings/{number}", "account codes such as asset:cash:main")
        if not _NAME.fullmatch(posting.commodity):
            raise _invalid(f"postings/{number}/commodity", "RUB or PTS:<programme>")
        if posting.debit == posting.credit:
            raise _invalid(f"postings/{number}", "debit and credit are the same account")
        if not _is_whole(posting.amount) or not 1 <= posting.amount <= AMOUNT_MAX:
            raise _invalid(f"postings/{number}/amount", f"from 1 to {AMOUNT_MAX}")
    for condition in entry.conditions:
        if not _NAME.fullmatch(condition.account):
            raise _invalid("conditions", "account codes such as asset:cash:main")
        if max(abs(condition.if_version or 0), abs(condition.min_available_after or 0)) > AMOUNT_MAX:
            raise _invalid("conditions", f"versions and amounts of at most {AMOUNT_MAX}")
    check_metadata(entry.metadata)


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Refuse what is not JSON that the database can keep, or is too long.

    Raises: EntryRejected with ``ledger.invalid_entry``.
    """
    if not metadata:
        return
    try:
        written = _json(metadata)
    except (TypeError, ValueError):
        raise _invalid("metadata", "JSON with finite numbers and whole characters") from None
    if len(written) > METADATA_BYTES_MAX:
        raise _invalid("metadata", f"at most {METADATA_BYTES_MAX} bytes")
    if rb"\u0000" in written:
        raise _invalid("metadata", "text without the character of code zero")


def check_batch(entries: Sequence[Entry]) -> None:
    """Refuse a batch that is too long or has an entry that breaks a rule of form.

    Raises: EntryRejected with ``ledger.invalid_entry`` and the field at fault: ``entries/0/kind``.
    """
    if len(entries) > ENTRIES_MAX:
        raise _invalid("entries", f"at most {ENTRIES_MAX}")
    for place, entry in enumerate(entries):
        try:
            check(entry)
        except EntryRejected as error:
            raise _invalid(f"entries/{place}/{error.facts['field']}", error.facts["expected"]) from None


def _invalid(field_name: str, expected: str) -> EntryRejected:
    return EntryRejected("ledger.invalid_entry", field=field_name, expected=expected)


def _is_whole(amount: object) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool)


def _json(value: object) -> bytes:
    return _encode(value).encode()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def body_hash(entry: Entry) -> UUID:
    """128 bits of SHA-256 over what the caller asked for, so that a repeat can be told from a change."""
    return UUID(hex=body_digits(entry))


def body_digits(entry: Entry) -> str:
    """The 32 digits of ``body_hash``, without the value around them."""
    parts = [entry.kind, entry.happened_at.astimezone(UTC).isoformat()]
    parts += [f"{p.debit}>{p.credit}:{p.amount}{p.commodity}" for p in entry.postings]
    if entry.conditions:
        parts += [f"{c.account}?{c.if_version}?{c.min_available_after}" for c in entry.conditions]
    if entry.id is not None:
        parts.append(entry.id.hex)
    digest = hashlib.sha256("\n".join(parts).encode())
    if entry.metadata:
        digest.update(_json(entry.metadata))
    return digest.hexdigest()[:32]


def reversed_postings(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """The same amounts the other way, last first: what a сторно books."""
    return tuple(
        Posting(debit=p.credit, credit=p.debit, amount=p.amount, commodity=p.commodity) for p in reversed(postings)
    )
