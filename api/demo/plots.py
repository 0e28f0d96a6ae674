"""Plots as SVG text: bars with a scale, and the bins behind a histogram of durations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDE, HALF, HEIGHT = 1000, 480, 210
"""In pixels of the page: a plot over its whole width, and one of two side by side."""
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 14, 34
GRID_LINES = 4
LABEL_PIXELS_MIN = 62
BINS_A_DECADE = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar."""

    label: str
    """Under it, when there is room."""
    value: int
    hint: str
    """Shown when the pointer rests on it."""


def bars(series: Sequence[Bar], *, title: str, width: int = WIDE, colour: str = "var(--ink-blue)") -> str:
    """Bars from left to right over a labelled scale."""
    top = nice_top(max((bar.value for bar in series), default=1))
    plot_width, plot_height = width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = plot_width / max(1, len(series))
    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for line in range(GRID_LINES + 1):
        y = TOP + plot_height * (1 - line / GRID_LINES)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * line // GRID_LINES:,}</text>')
    every = max(1, math.ceil(LABEL_PIXELS_MIN / step))
    for number, bar in enumerate(series):
        x, height = LEFT + step * number, plot_height * bar.value / top
        parts.append(
            f'<rect x="{x + step * 0.1:.2f}" y="{TOP + plot_height - height:.2f}" width="{step * 0.8:.2f}" '
            f'height="{height:.2f}" fill="{colour}"><title>{escape(bar.hint)}</title></rect>'
        )
        if number % every == 0:
            at = f'x="{x + step / 2:.1f}" y="{HEIGHT - BOTTOM + 18}"'
            parts.append(f'<text {at} text-anchor="middle">{escape(bar.label)}</text>')
    parts.append("</svg>")
    return "".join(parts)


def nice_top(value: int) -> int:
    """The end of a scale: the next of 4, 8, 20, 40, 80 and so on, so that a quarter of it is whole."""
    step = 1
    while True:
        for factor in (4, 8, 20):
            if factor * step >= value:
                return factor * step
        step *= 10


def histogram(seconds: Sequence[float]) -> list[Bar]:
    """Durations in bins that grow by an eighth of a decade each, so that the slow ones are seen too."""
    if not seconds:
        return []
    counts: dict[int, int] = {}
    for value in seconds:
        place = math.floor(math.log10(max(value, 0.0001)) * BINS_A_DECADE)
        counts[place] = counts.get(place, 0) + 1
    return [
        Bar(
            duration(10 ** (place / BINS_A_DECADE)),
            counts.get(place, 0),
            f"{duration(10 ** (place / BINS_A_DECADE))} to {duration(10 ** ((place + 1) / BINS_A_DECADE))}: "
            f"{counts.get(place, 0)}",
        )
        for place in range(min(counts), max(counts) + 1)
    ]


def duration(seconds: float) -> str:
    """Two digits are enough: ``4.2 ms``, ``130 ms``, ``5.6 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
