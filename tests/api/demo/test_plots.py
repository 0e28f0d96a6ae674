"""Plots are whole, well-formed SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from api.demo.plots import Bar, bars, duration, histogram, nice_top


@pytest.mark.parametrize(("value", "top"), [(0, 4), (4, 4), (5, 8), (21, 40), (150, 200), (3_001, 4_000)])
def test_a_scale_ends_at_a_round_number_above_all_bars(value: int, top: int) -> None:
    assert nice_top(value) == top


def test_every_value_is_in_one_bin() -> None:
    seconds = [0.0, 0.001, 0.0011, 0.5, 0.5, 60.0]

    assert sum(bar.value for bar in histogram(seconds)) == len(seconds)
    assert histogram([]) == []


def test_a_plot_is_well_formed_and_has_a_bar_for_each_value() -> None:
    drawn = ElementTree.fromstring(bars([Bar("<a>", 3, "a & b"), Bar("b", 0, "none")], title='"q"'))

    assert len(drawn.findall("rect")) == 2
    assert bars([], title="empty").endswith("</svg>")


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4.2 ms"), (0.13, "130 ms"), (5.62, "5.6 s"), (42.0, "42 s")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
