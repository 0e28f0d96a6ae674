from __future__ import annotations

import pytest

from tests.api.cli.conftest import Kopeyka


def test_the_clock_moves_ahead_for_all(kopeyka: Kopeyka) -> None:
    kopeyka("clock", "advance", "13d")
    kopeyka("clock", "advance", "24h")

    assert "14 days, 0:00:00 ahead" in kopeyka("clock", "show").out


def test_the_clock_is_set_to_an_instant(kopeyka: Kopeyka) -> None:
    told = kopeyka("clock", "set", "2030-01-01T00:00:00")

    assert told.out.startswith("2030-01-01T00:00:00+03:00") or told.out.startswith("2029-12-31T23:59:59+03:00")


@pytest.mark.parametrize(
    "words",
    [("set", "2020-01-01"), ("set", "yesterday"), ("advance", "3x"), ("advance", "99999999w")],
    ids=["back", "no instant", "no unit", "too far"],
)
def test_other_moves_are_refused(kopeyka: Kopeyka, words: tuple[str, str]) -> None:
    assert kopeyka("clock", *words).code == 1
    assert "ahead" not in kopeyka("clock", "show").out


def test_production_time_is_not_moved(kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPEYKA_MODE", "production")

    told = kopeyka("clock", "advance", "1s")

    assert told.code == 1
    assert "Production time is not moved" in told.err
