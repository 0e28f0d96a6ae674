"""The days of the till, as a part of the demo's report."""

from __future__ import annotations

from html import escape

from api.demo.outcome import shown
from api.demo.till_outcome import RAILS, TillDay, TillOutcome

HEADINGS = (
    "day",
    "baskets",
    "shelf prices",
    "discounts",
    "promo codes",
    "points",
    "SBP codes",
    "SBP plates",
    "cards",
    "phones",
    "plans",
    "brought back",
)


def till_section(outcome: TillOutcome | None) -> str:
    """A table of days and the comparisons with the file; nothing when no basket was replayed."""
    if outcome is None:
        return ""
    total = TillDay()
    for day in outcome.days.values():
        _add(total, day)
    head = "".join(f"<th{' class=n' if number else ''}>{escape(name)}</th>" for number, name in enumerate(HEADINGS))
    body = "".join(_row(f"{on:%d.%m.%Y}", day) for on, day in outcome.days.items())
    words = (
        f"{outcome.baskets:,} baskets of ten stores in four weeks (dollars × 100 read as roubles): the card is "
        "scanned, promo code and points pay their part, a rail brings the rest. "
        f"{outcome.scanned_twice} second scans of a barcode were refused. "
        f"{outcome.returns} buyers brought goods back; the money went by the rail that had brought it. "
        f"{outcome.shifts} shifts were closed, each by a numbered Z. "
        f"{outcome.orders_a_second} baskets a second from the scan to the books."
    )
    return (
        f"<h2>The tills</h2><p>{escape(words)}</p><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}{_row('in all', total, 'total')}</tbody></table></div>"
    )


def _add(total: TillDay, day: TillDay) -> None:
    for name in ("baskets", "gross", "discount", "promo", "points", "back"):
        setattr(total, name, getattr(total, name) + getattr(day, name))
    for rail in RAILS:
        total.by_rail[rail] += day.by_rail[rail]


def _row(name: str, day: TillDay, kind: str = "") -> str:
    sums = (day.gross, day.discount, day.promo, day.points, *(day.by_rail[rail] for rail in RAILS), day.back)
    cells = "".join(f"<td class=n>{shown(each, True)}</td>" for each in sums)
    return f"<tr class='{kind}'><td>{escape(name)}</td><td class=n>{day.baskets:,}</td>{cells}</tr>"
