"""Effects on the books: kopecks by account, debits above zero and credits below; and the entry that has such an effect.

A voucher says what it does as an effect; so vouchers add up, and what a replay changed is a difference of two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ledger.entry import Entry, Posting
from ledger.errors import InvariantBroken

Effect = Mapping[str, int]
"""Account codes with kopecks: a debit is positive, a credit negative."""


def total(effects: Iterable[Effect]) -> dict[str, int]:
    """All of them together; what comes to nothing is left out."""
    return difference(effects, ())


def difference(some: Iterable[Effect], others: Iterable[Effect]) -> dict[str, int]:
    """What is in some effects together and not in the others."""
    sums: dict[str, int] = {}
    for effect in some:
        for code, kopecks in effect.items():
            sums[code] = sums.get(code, 0) + kopecks
    for effect in others:
        for code, kopecks in effect.items():
            sums[code] = sums.get(code, 0) - kopecks
    return {code: int(kopecks) for code, kopecks in sums.items() if kopecks}


def postings_of(effect: Effect) -> tuple[Posting, ...]:
    """The effect as pairs of a debit and a credit, each side in the order in which it was named.

    Raises: InvariantBroken if debits and credits differ.
    """
    debits: list[Any] = [[code, int(kopecks)] for code, kopecks in effect.items() if kopecks > 0]
    credits: list[Any] = [[code, -int(kopecks)] for code, kopecks in effect.items() if kopecks < 0]
    if sum(effect.values()):
        raise InvariantBroken("a voucher of a plan does not balance", effect={k: int(v) for k, v in effect.items()})
    pairs: list[Posting] = []
    while debits:
        (debit, owed), (credit, given) = debits[0], credits[0]
        amount = min(owed, given)
        pairs.append(Posting(debit, credit, amount))
        for side in (debits, credits):
            side[0][1] -= amount
            if side[0][1] == 0:
                del side[0]
    return tuple(pairs)


def entry_of(
    effect: Effect, *, kind: str, reference: str, happened_at: datetime, metadata: Mapping[str, Any]
) -> Entry | None:
    """The entry with this effect; none when nothing moves."""
    postings = postings_of(effect)
    return Entry(reference, kind, happened_at, postings, metadata) if postings else None
