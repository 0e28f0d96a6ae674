"""One-time codes: the vectors of the standard, the window, and what is no code."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pci.access.errors import PasswordWeak
from pci.access.passwords import CHARACTERS_MAX, CHARACTERS_MIN, check_password
from pci.access.twofactor import STEP_SECONDS, code_at, matching_step, step_of
from pci.secret import Secret

RFC_SECRET = b"12345678901234567890"
VECTORS = {
    59: "94287082", 1_111_111_109: "07081804", 1_111_111_111: "14050471", 1_234_567_890: "89005924",
    2_000_000_000: "69279037", 20_000_000_000: "65353130",
}  # fmt: skip
"""Source: RFC 6238 appendix B, SHA-1; eight digits there, the last six of them here."""


@pytest.mark.parametrize(("seconds", "code"), VECTORS.items())
def test_the_vectors_of_the_standard(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds // STEP_SECONDS) == code[-6:]


@given(seconds=st.integers(min_value=0, max_value=2**33), off=st.integers(min_value=-3, max_value=3))
@settings(max_examples=50, deadline=None)
def test_a_code_is_taken_one_step_around_now_and_says_which(seconds: int, off: int) -> None:
    now = datetime.fromtimestamp(seconds + 90, UTC)
    step = step_of(now) + off

    found = matching_step(RFC_SECRET, Secret(code_at(RFC_SECRET, step)), now)

    if abs(off) <= 1:
        assert found == step or code_at(RFC_SECRET, found or 0) == code_at(RFC_SECRET, step)
    elif found is not None:  # one in three hundred thousand: another step has the same digits
        assert code_at(RFC_SECRET, found) == code_at(RFC_SECRET, step)


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "１２３４５６", "-12345", "\n123456"])
def test_what_is_no_code_matches_nothing(text: str) -> None:
    now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    assert matching_step(RFC_SECRET, Secret(text), now) is None


def test_a_space_in_the_middle_is_how_people_type() -> None:
    now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    code = code_at(RFC_SECRET, step_of(now))

    assert matching_step(RFC_SECRET, Secret(f"{code[:3]} {code[3:]}"), now + timedelta(seconds=1)) == step_of(now)


@given(text=st.text() | st.text("olga1e\u0301 -", min_size=8, max_size=150))
@settings(max_examples=150, deadline=None)
def test_a_password_passes_exactly_when_it_has_length_letters_and_digits_and_not_the_login(text: str) -> None:
    typed = unicodedata.normalize("NFC", text)
    is_long = CHARACTERS_MIN <= len(typed) <= CHARACTERS_MAX
    is_mixed = any(map(str.isalpha, typed)) and any(map(str.isdigit, typed))

    if is_long and is_mixed and "olga" not in typed.lower():
        check_password(Secret(text), "olga")
    else:
        with pytest.raises(PasswordWeak):
            check_password(Secret(text), "olga")
