"""Goods that came back: what a refund does to installments, by policy.

A refund makes installments smaller. What shrinks below what was paid of it is the buyer's money again: it goes to
``overpaid``, from where it is returned to the card.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from installments.parts import Parts, Takes
from installments.products import RefundPolicy
from installments.splitting import even_parts


def refund(parts: Parts, amount: int, policy: RefundPolicy, day: date, takes: Takes) -> None:
    """Lower the debt by returned goods, then what was paid for them.

    After a write-off there is no debt to lower: first the loss shrinks, then comes the buyer's money.
    """
    parts.refunded += amount
    if parts.written_off is not None:
        forgiven = min(amount, parts.written_off - parts.recovered)
        parts.written_off -= forgiven
        give_back(parts, amount - forgiven)
    elif policy is RefundPolicy.PROPORTIONAL:
        _by_proportion(parts, amount, takes)
    else:
        late, ahead = parted(parts, day)
        left = parts.lower(late, amount, takes)
        if left:
            left = _in_advance(parts, ahead, left, policy, takes)
        give_back(parts, left)


def give_back(parts: Parts, left: int) -> None:
    """Paid parts shrink, the last first; a rest above everything paid is the buyer's all the same."""
    for index in reversed(parts.order):
        if not left:
            return
        take = min(parts.paid[index], left)
        parts.amount[index] -= take
        parts.paid[index] -= take
        parts.overpaid += take
        left -= take
    parts.overpaid += left


def parted(parts: Parts, day: date) -> tuple[list[int], list[int]]:
    """Indexes of what is past due or due on ``day``, and of what is in advance, both by day."""
    late: list[int] = []
    ahead: list[int] = []
    for index in parts.order:
        (late if parts.due_on[index] <= day else ahead).append(index)
    return late, ahead


def _in_advance(parts: Parts, ahead: list[int], left: int, policy: RefundPolicy, takes: Takes) -> int:
    if policy is RefundPolicy.REAMORTISE:
        return lower_evenly(parts, ahead, left, takes)
    return parts.lower(reversed(ahead) if policy is RefundPolicy.LAST_FIRST else ahead, left, takes)


def lower_evenly(parts: Parts, indexes: Iterable[int], left: int, takes: Takes) -> int:
    """Lower these evenly, the odd kopecks in the last; what one cannot take moves on to the others.

    Source: Apache Fineract, advanced payment allocation, REAMORTIZATION: even portions, half to even.
    """
    while left:
        open_ones = [index for index in indexes if parts.unpaid(index) > 0]
        if not open_ones:
            break
        for index, portion in zip(open_ones, even_parts(left, len(open_ones)), strict=True):
            if portion:
                left -= portion - parts.lower((index,), portion, takes)
    return left


def _by_proportion(parts: Parts, amount: int, takes: Takes) -> None:
    """Every installment shrinks by the same share; what division leaves is on the last unpaid one.

    Source: installments.md 1.12: back to the card is what was paid less the new sizes of what was paid.
    """
    total = sum(parts.amount)
    rest = max(total - amount, 0)
    sizes = [size * rest // total if total else 0 for size in parts.amount]
    sizes[_last_unpaid(parts)] += rest - sum(sizes)
    for index, size in enumerate(sizes):
        before = parts.unpaid(index)
        parts.amount[index] = size
        if parts.paid[index] > size:
            parts.overpaid += parts.paid[index] - size
            parts.paid[index] = size
        if before != (after := parts.unpaid(index)):
            takes.append((index, before - after))
    parts.overpaid += max(amount - total, 0)


def _last_unpaid(parts: Parts) -> int:
    return next((index for index in reversed(parts.order) if parts.unpaid(index) > 0), parts.order[-1])
