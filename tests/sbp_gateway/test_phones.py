from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbp_gateway.phones import HIDDEN_WHOLLY, mask_phone, masked, masked_as_printed

KEPT = re.compile(r"[0-9]{0,4}[*]{4,16}[0-9]{0,2}")
"""As the database checks it."""


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("0079******12", "0079******12", id="NSPK's mask stays"),
        pytest.param("0079161234512", "0079*******12", id="a whole phone is masked"),
        pytest.param("+7 (916) 123-45-12", "7916*****12", id="in any writing"),
        pytest.param("12345", HIDDEN_WHOLLY, id="too short to show a part"),
        pytest.param("Иванов И.", HIDDEN_WHOLLY, id="a name"),
        pytest.param("0079161234512****", "0079*******12", id="a mask around nothing"),
        pytest.param("1" * 40, HIDDEN_WHOLLY, id="too long"),
        pytest.param(" ", None, id="nothing"),
        pytest.param(None, None, id="not said"),
    ],
)
def test_only_a_mask_is_kept(said: str | None, kept: str | None) -> None:
    assert masked(said) == kept


@given(st.text(max_size=64))
def test_whatever_is_said_the_middle_is_hidden(said: str) -> None:
    found = masked(said)
    assert found is None or KEPT.fullmatch(found)


@given(st.integers(0, 10**9 - 1))
def test_a_mobile_number_shows_its_first_and_its_last_two_digits(number: int) -> None:
    phone = f"79{number:09}"

    assert mask_phone(phone) == f"0079******{phone[-2:]}"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("0079******12", "0079******12", id="NSPK's mask stays"),
        pytest.param("427123******987", "427123******987", id="a card's mask stays"),
        pytest.param("0079066312345", "0079*******45", id="a whole phone is masked"),
        pytest.param("4271230000000987", "4271**********87", id="a whole card is masked"),
        pytest.param("791612****67", HIDDEN_WHOLLY, id="a phone's mask that shows too much"),
        pytest.param("7*9161234512", "7916*****12", id="a star in a whole phone"),
        pytest.param("123456", HIDDEN_WHOLLY, id="too short to show a part"),
        pytest.param("Иванов И.", HIDDEN_WHOLLY, id="a name"),
        pytest.param(None, None, id="not said"),
    ],
)
def test_what_a_bank_prints_is_kept_only_as_a_mask(said: str | None, kept: str | None) -> None:
    assert masked_as_printed(said) == kept


@pytest.mark.parametrize("mask", [mask_phone, masked, masked_as_printed])
@given(number=st.text("0123456789+- ()", min_size=1, max_size=40))
def test_no_masker_shows_more_than_half_of_a_number_and_nothing_of_a_short_one(
    mask: Callable[[str], str | None], number: str
) -> None:
    digits, shown = re.sub(r"\D", "", number), re.sub(r"\D", "", mask(number) or "")

    assert len(shown) <= 6
    assert len(digits) >= 10 or shown == ""
