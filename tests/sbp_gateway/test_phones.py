from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbp_gateway.phones import HIDDEN_WHOLLY, masked

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
