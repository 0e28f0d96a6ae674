"""Baskets (корзины): what a buyer takes, how much of it, and what it costs before and after discounts.

A quantity is a whole number of its measure: 1.125 kg is 1125 grams. The price is what the shelf says: of a piece, of
a kilogram, of a metre; ``PRICED`` tells of how many measures it is. A line is rounded to the kopeck half up, once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checkout.basket_errors import BasketEmpty, BasketMalformed, BasketMismatch
from checkout.paper import is_plain
from ledger.money import Kopecks

LINES_MAX = 500
"""The longest basket of four weeks of ten stores has 141 lines."""
QUANTITY_MAX = 10_000_000
"""Ten tonnes in grams: more is a mistake of a till."""
PRICE_KOPECKS_MAX = 1_000_000_00
NOTHING = Kopecks(0)
ARTICLE_CHARACTERS_MAX = 64
NAME_CHARACTERS_MAX = 128
"""Source: 54-FZ, tag 1030 of the fiscal document format: a name of goods has at most 128 characters."""

_ARTICLE = re.compile(rf"[!-~]([ -~]{{0,{ARTICLE_CHARACTERS_MAX - 2}}}[!-~])?")


class Measure(StrEnum):
    """What a quantity counts. Source: tag 2108 of the fiscal document format 1.2, without its rarities."""

    PIECE = "piece"
    GRAM = "gram"
    KILOGRAM = "kilogram"
    TON = "ton"
    CENTIMETER = "centimeter"
    METER = "meter"
    MILLILITER = "milliliter"
    LITER = "liter"
    SQUARE_METER = "square_meter"


PRICED = dict.fromkeys(Measure, 1) | {Measure.GRAM: 1_000, Measure.CENTIMETER: 100, Measure.MILLILITER: 1_000}
"""Of how many measures a price is: grams are priced by the kilogram, as shelves do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket."""

    article: str
    name: str
    measure: Measure
    quantity: int
    price: Kopecks
    """Of ``PRICED`` measures; nothing costs nothing."""
    discount: Kopecks = NOTHING
    """What the till itself takes off the line."""

    @property
    def gross(self) -> Kopecks:
        """Before any discount."""
        whole, rest = divmod(int(self.price) * self.quantity, PRICED[self.measure])
        return Kopecks(whole + (rest * 2 >= PRICED[self.measure] > 1))

    @property
    def amount(self) -> Kopecks:
        """After the line's own discount."""
        return Kopecks(self.gross - self.discount)


@dataclass(frozen=True, slots=True)
class Basket:
    """The lines of one order, in the till's order."""

    lines: tuple[Line, ...]

    @property
    def gross(self) -> Kopecks:
        """Before any discount."""
        return Kopecks(sum(line.gross for line in self.lines))

    @property
    def discount(self) -> Kopecks:
        """What the till takes off its lines."""
        return Kopecks(sum(line.discount for line in self.lines))

    @property
    def subtotal(self) -> Kopecks:
        """What the buyer owes before promo code, points and the rail's offer."""
        return Kopecks(self.gross - self.discount)


def check_basket(basket: Basket, amount_kopecks: int | None) -> None:
    """Refuse a basket that breaks a rule of form, or does not come to the sum that the till says.

    Raises: BasketEmpty, BasketMalformed, BasketMismatch.
    """
    if not basket.lines:
        raise BasketEmpty()
    if len(basket.lines) > LINES_MAX:
        raise BasketMalformed(lines=len(basket.lines), lines_max=LINES_MAX)
    for number, line in enumerate(basket.lines, 1):
        _check_line(line, number)
    if amount_kopecks is not None and amount_kopecks != basket.subtotal:
        raise BasketMismatch(basket_kopecks=int(basket.subtotal), amount_kopecks=amount_kopecks)


def _check_line(line: Line, number: int) -> None:
    if not _ARTICLE.fullmatch(line.article):
        raise BasketMalformed(line=number, field="article")
    if not (1 <= len(line.name) <= NAME_CHARACTERS_MAX and is_plain(line.name)):
        raise BasketMalformed(line=number, field="name")
    if not 1 <= line.quantity <= QUANTITY_MAX:
        raise BasketMalformed(line=number, field="quantity", quantity_max=QUANTITY_MAX)
    if not 0 <= line.price <= PRICE_KOPECKS_MAX:
        raise BasketMalformed(line=number, field="price_kopecks", price_kopecks_max=PRICE_KOPECKS_MAX)
    if not 0 <= line.discount <= line.gross:
        raise BasketMalformed(line=number, field="discount_kopecks", gross_kopecks=int(line.gross))


def spread(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """``total`` cut in proportion to ``weights``, none above its weight; odd units go to the largest remainders.

    Of equal remainders the earlier line is served first. ``total`` is not above what the weights come to.
    """
    whole = sum(weights)
    assert 0 <= total <= whole, "more cannot be taken than there is"
    if whole == 0:
        return tuple(0 for _ in weights)
    cut = [divmod(total * weight, whole) for weight in weights]
    odd = total - sum(part for part, _ in cut)
    first = sorted(range(len(cut)), key=lambda place: -cut[place][1])[:odd]
    return tuple(part + (place in first) for place, (part, _) in enumerate(cut))


def part_of(share: int, quantity: int, *, before: int, taken: int) -> int:
    """What of a line's ``share`` goes with ``taken`` of its ``quantity``, when ``before`` have gone already.

    However a line is taken apart, its parts add up to the share.
    """
    assert 0 <= before <= before + taken <= quantity, "more cannot be taken than there is"
    return part_up_to(share, quantity, before + taken) - part_up_to(share, quantity, before)


def part_up_to(share: int, quantity: int, gone: int) -> int:
    """What of a line's ``share`` goes with the first ``gone`` of its ``quantity``."""
    assert 0 <= gone <= quantity, "more cannot be taken than there is"
    return share * gone // quantity
