"""Baskets (корзины): what was ordered, what came back, and whether the lines add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from installments.errors import BasketMalformed, BasketMismatch, RefundItemsMismatch
from installments.plan import ITEMS_MAX, Item
from ledger.money import Kopecks

NAME_CHARACTERS_MAX = 256
QUANTITY_MAX = Decimal(1_000_000)
QUANTITY_PLACES_MAX = 6


def check_basket(items: Sequence[Item], due: Kopecks, *, may_be_empty: bool = False) -> None:
    """Refuse a basket whose lines are not whole, or do not add up to ``due``.

    Where quantity × price is no whole kopeck the shop may have rounded either way: a kopeck a line is let pass.

    Raises: BasketMalformed, BasketMismatch. Source: DECISIONS.md, "Baskets".
    """
    if len(items) > ITEMS_MAX or (not items and not may_be_empty):
        raise BasketMalformed(items=len(items), items_max=ITEMS_MAX)
    for number, item in enumerate(items, 1):
        _check_line(item, number)
    if abs(basket_total(items) - due) > uneven_lines(items):
        raise BasketMismatch(basket_kopecks=int(basket_total(items)), due_kopecks=int(due))


def basket_total(items: Sequence[Item]) -> Kopecks:
    """What the lines add up to, each rounded half up to the kopeck."""
    return Kopecks(sum(int(_exactly(item).to_integral_value(ROUND_HALF_UP)) for item in items))


def uneven_lines(items: Sequence[Item]) -> int:
    """How many lines are no whole number of kopecks."""
    return sum(1 for item in items if (exact := _exactly(item)) != exact.to_integral_value())


def quantity_of(item: Item) -> Decimal:
    """How much of it. Raises: BasketMalformed."""
    try:
        quantity = Decimal(item.quantity)
    except InvalidOperation:
        raise BasketMalformed(quantity=item.quantity[:32]) from None
    if not quantity.is_finite() or not 0 < quantity <= QUANTITY_MAX:
        raise BasketMalformed(quantity=item.quantity[:32])
    exponent = quantity.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -QUANTITY_PLACES_MAX:
        raise BasketMalformed(quantity=item.quantity[:32])
    return quantity


def take_out(basket: Sequence[Item], returned: Sequence[Item]) -> tuple[Item, ...]:
    """The basket without what came back: each returned line is found by article, or by name, at its price.

    Raises: RefundItemsMismatch if a line was not in the basket, or not so much of it; BasketMalformed.
    """
    left = [(item, quantity_of(item)) for item in basket]
    for line in returned:
        wanted = quantity_of(line)
        for place, (item, there) in enumerate(left):
            if wanted > 0 and _is_same(item, line):
                taken = min(wanted, there)
                left[place] = (item, there - taken)
                wanted -= taken
        if wanted > 0:
            raise RefundItemsMismatch(sku=line.sku, price_kopecks=int(line.price), too_many=_text(wanted))
    return tuple(replace(item, quantity=_text(there)) for item, there in left if there > 0)


def are_same(one: Sequence[Item], other: Sequence[Item]) -> bool:
    """Whether two baskets hold the same lines in the same order, however their quantities are written."""
    return [_plain(item) for item in one] == [_plain(item) for item in other]


def _check_line(item: Item, number: int) -> None:
    if not 1 <= len(item.name) <= NAME_CHARACTERS_MAX or item.price < 0:
        raise BasketMalformed(line=number)
    quantity_of(item)


def _is_same(item: Item, returned: Item) -> bool:
    if item.price != returned.price:
        return False
    if item.sku is not None and returned.sku is not None:
        return item.sku == returned.sku
    return item.name == returned.name


def _exactly(item: Item) -> Decimal:
    return quantity_of(item) * int(item.price)


def _plain(item: Item) -> tuple[str, Decimal, int, str | None]:
    return item.name, quantity_of(item), int(item.price), item.sku


def _text(quantity: Decimal) -> str:
    return format(quantity.normalize(), "f")
