"""What the sandbox's café sells: by the piece and by weight, with prices in kopecks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checkout.baskets import Basket, Line, Measure
from ledger.money import Kopecks

PORTIONS_MAX = 20
"""Of one article on one receipt."""


@dataclass(frozen=True, slots=True)
class Goods:
    """One article on the till's screen."""

    article: str
    name_ru: str
    name_en: str
    measure: Measure
    portion: int
    """How much one touch adds, in the measure: 250 are 250 grams."""
    price: Kopecks

    def name(self, lang: str) -> str:
        """In the page's language."""
        return self.name_ru if lang == "ru" else self.name_en


SHELF = {
    goods.article: goods
    for goods in (
        Goods("kofe-01", "Капучино", "Cappuccino", Measure.PIECE, 1, Kopecks(25_000)),
        Goods("vyp-02", "Круассан", "Croissant", Measure.PIECE, 1, Kopecks(18_000)),
        Goods("zer-03", "Зёрна арабики, вес", "Arabica beans, by weight", Measure.GRAM, 250, Kopecks(189_000)),
        Goods("syr-04", "Сырник", "Cottage cheese pancake", Measure.PIECE, 1, Kopecks(14_550)),
        Goods("chay-05", "Чай улун", "Oolong tea", Measure.PIECE, 1, Kopecks(21_990)),
        Goods("kruzh-06", "Кружка", "Mug", Measure.PIECE, 1, Kopecks(129_000)),
    )
}


def basket_of(taken: Mapping[str, int], lang: str = "ru") -> Basket:
    """The lines of what is on the till's screen, in the order of the shelf."""
    lines = []
    for article, goods in SHELF.items():
        if not (portions := taken.get(article, 0)):
            continue
        lines.append(Line(article, goods.name(lang), goods.measure, goods.portion * portions, goods.price))
    return Basket(tuple(lines))


def basket_body(taken: Mapping[str, int]) -> dict[str, Any]:
    """The same as the API is told."""
    return {
        "lines": [
            {
                "article": line.article, "name": line.name, "measure": line.measure.value, "quantity": line.quantity,
                "price_kopecks": int(line.price),
            }
            for line in basket_of(taken).lines
        ]
    }  # fmt: skip
