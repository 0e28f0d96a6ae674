from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from pci.luhn import passes_luhn
from pci.redaction import PAN_STARS, is_plain, is_plain_line, redact, redact_text, redact_thoroughly
from pci.schemes import mask_of
from pci.secret import STARS, Secret

PANS = ["4111111111111111", "5555555555554444", "2200000000000004", "378282246310005", "6304000000000000000"]


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """A number of 13 to 19 digits with a right check digit."""
    body = draw(st.sampled_from("123456789")) + draw(st.text("0123456789", min_size=11, max_size=17))
    return next(body + digit for digit in "0123456789" if passes_luhn(body + digit))


@given(
    pan=card_numbers(),
    before=st.sampled_from(["", "pan ", "x", "a:", "id=", "(12) "]),
    after=st.text("abc ,;)", max_size=5),
)
def test_a_card_number_is_hidden_wherever_it_stands(pan: str, before: str, after: str) -> None:
    assert pan not in redact_text(before + pan + after)


@pytest.mark.parametrize("pan", PANS)
def test_card_numbers_are_hidden_in_groups_too(pan: str) -> None:
    for separator in " -":
        grouped = separator.join(pan[place : place + 4] for place in range(0, len(pan), 4))
        assert redact_text(f"card {grouped} 12/30") == f"card {mask_of(pan)} 12/30"


@pytest.mark.parametrize("gap", ["  ", "\u00a0", ".", "\t", "\u2013", " - ", "%20"])
def test_card_numbers_are_hidden_as_people_type_them(gap: str) -> None:
    typed = gap.join(["4111", "1111", "1111", "1111"])

    assert redact_text(f"card {typed} 12/30") == "card 411111******1111 12/30"


def test_thousands_of_card_numbers_in_one_text_are_all_hidden() -> None:
    text = " ".join(["1"] * 100 + ["4111111111111111"] * 3000)

    assert "4111111" not in redact_text(text)


def test_a_number_that_nobody_issues_is_hidden_whole() -> None:
    assert redact_text("card 9999999999999995") == f"card {PAN_STARS}"


LET_THROUGH = [
    "149990",
    "order 1234567890",
    "2026-11-22T09:00:00.000000Z",
    "019aab3e-1234-7123-8123-123456789012",
    "ent_01kahs9m00e6srk3cffkt0m0ax",
    "40702810900000000001",
]


@pytest.mark.parametrize("text", LET_THROUGH)
def test_what_is_no_card_number_is_let_through(text: str) -> None:
    assert redact_text(text) == text


def test_keys_and_credentials_are_hidden() -> None:
    text = "kp_live_abc123 Authorization: Bearer abcdefghijkl postgresql://kopeyka_app:hunter2@host/db"

    hidden = redact_text(text)

    assert "abc123" not in hidden
    assert "abcdefghijkl" not in hidden
    assert "hunter2" not in hidden
    assert "kopeyka_app" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "cvc=123",
        "{'cvc': '123'}",
        '{"cvv2":"1234"}',
        "CVC2: 123",
        "pin=1234",
        "track2=;2200111753579001=3012?",
        "CVP2=123",
    ],
)
def test_what_must_never_be_kept_is_hidden_in_running_texts(text: str) -> None:
    hidden = redact_text(f"failed on {text} again")

    assert "123" not in hidden
    assert "3012" not in hidden
    assert "again" in hidden


@pytest.mark.parametrize("text", ["shipping: 123", "pinned=12", "cvc: none", "the pin is wrong", "coincide=77"])
def test_words_that_only_look_so_stay(text: str) -> None:
    assert redact_text(text) == text


PIECES = (
    "cvc CVV2 cav2 cid Pin track_1 trac\u212a2 p\u0131n = : 123 kp_live_1 ://a:b@c abcdefgh1 - 4111 4111111111111111 и"
)


@given(st.lists(st.sampled_from([" ", "\t", "Bearer ", "bEARER", "BASIC ", "basic", *PIECES.split(" ")]), max_size=12))
def test_what_is_plain_stays_as_it_is(parts: list[str]) -> None:
    text = "".join(parts)

    assert not is_plain(text) or redact_thoroughly(text) == text


WORDS = st.sampled_from(
    ["request", "GET", "cvc", "Password", "pin=1", "kp_live_1", "//a:b@c", "4111", "11111111", "4111111111111111", "и"]
)
VALUES = (
    WORDS | st.none() | st.booleans() | st.floats() | st.sampled_from([200, 10**12, 4111111111111111, b"4111", ["x"]])
)


@given(st.dictionaries(WORDS, VALUES, max_size=6))
def test_a_plain_line_stays_as_it_is(line: dict[str, object]) -> None:
    event(f"plain: {is_plain_line(line)}")
    assert not is_plain_line(line) or repr(redact(line)) == repr(line)


def test_a_line_of_ours_is_plain() -> None:
    line = {"event": "request", "route": "/v1/orders/{order_id}", "status": 201, "ms": 1.25, "idempotency": None}

    assert is_plain_line(line)
    assert not is_plain_line(line | {"password": "x"})
    assert not is_plain_line(line | {"why": "card 4111 1111 1111 1111"})
    assert not is_plain_line(line | {"facts": {"number": 4111111111111111}})


@given(pan=card_numbers())
def test_values_are_searched_to_the_bottom(pan: str) -> None:
    value = {"a": [{"b": (pan, int(pan))}], pan: 1, "cvc": "123", "Authorization": "x", "raw": pan.encode()}

    assert pan not in json.dumps(redact(value))
    assert redact(value)["cvc"] == STARS
    assert redact(value)["Authorization"] == STARS


def test_a_secret_shows_stars_and_leaves_by_one_door() -> None:
    secret = Secret("hunter2")

    assert (str(secret), repr(secret), f"{secret}") == (STARS, f"Secret({STARS})", STARS)
    assert secret.expose() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert len({secret, Secret("hunter2")}) == 1
    assert redact({"it": secret}) == {"it": STARS}
    with pytest.raises(TypeError):
        pickle.dumps(secret)
