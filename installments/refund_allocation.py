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
    """The goods of every installment shrink by the same share; what was paid for them is the buyer's again.

    What a bank took back is no goods: it stays owed, and the buyer's money pays it before any goes back.
    Source: installments.md 1.12: back to the card is what was paid less the new sizes of what was paid.
    """
    before = [parts.unpaid(index) for index in range(len(parts.amount))]
    again = [min(owed, size) for owed, size in zip(parts.again, parts.amount, strict=True)]
    goods = [size - owed for size, owed in zip(parts.amount, again, strict=True)]
    total = sum(goods)
    back = max(amount - total, 0)
    for index, size in enumerate(_smaller(parts, goods, max(total - amount, 0))):
        parts.amount[index] = size + again[index]
        surplus = max(parts.paid[index] - parts.amount[index], 0)
        parts.paid[index] -= surplus
        back += surplus
    parts.overpaid += _pay_again(parts, again, back)
    takes.extend((index, was - now) for index, was in enumerate(before) if was != (now := parts.unpaid(index)))


def _smaller(parts: Parts, goods: list[int], rest: int) -> list[int]:
    """New sizes that come to ``rest``. What division leaves is on the last unpaid one, as far as none grows by it."""
    total = sum(goods)
    sizes = [size * rest // total if total else 0 for size in goods]
    odd = rest - sum(sizes)
    last_first = list(reversed(parts.order))
    open_ones = [index for index in last_first if parts.unpaid(index) > 0]
    for index in (*open_ones, *last_first):
        more = min(odd, goods[index] - sizes[index])
        sizes[index] += more
        odd -= more
    return sizes


def _pay_again(parts: Parts, again: list[int], left: int) -> int:
    """Pay what is owed again of installments; what is left over."""
    for index in parts.order:
        take = min(again[index], parts.unpaid(index), left)
        parts.paid[index] += take
        left -= take
    return left
