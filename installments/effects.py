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
    sums: dict[str, int] = {}
    for effect in effects:
        for code, kopecks in effect.items():
            sums[code] = sums.get(code, 0) + int(kopecks)
    return {code: kopecks for code, kopecks in sums.items() if kopecks}


def difference(one: Effect, other: Effect) -> dict[str, int]:
    """What is in one and not in the other."""
    return total((one, {code: -kopecks for code, kopecks in other.items()}))


def postings_of(effect: Effect) -> tuple[Posting, ...]:
    """The effect as pairs of a debit and a credit, each side in the order in which it was named.

    Raises: InvariantBroken if debits and credits differ.
    """
    debits: list[Any] = [[code, kopecks] for code, kopecks in effect.items() if kopecks > 0]
    credits: list[Any] = [[code, -kopecks] for code, kopecks in effect.items() if kopecks < 0]
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
    postings = postings_of(total((effect,)))
    return Entry(reference, kind, happened_at, postings, metadata) if postings else None
