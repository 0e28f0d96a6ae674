"""Whatever is sent as a sealed card is opened or refused by name: nothing of it breaks the vault."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from tokenization.errors import CardEntryRejected, SealedCardRefused
from tokenization.sealed_cards import ALGORITHMS, SEALED_CHARACTERS_MAX, _decrypted, _instant, _kid_in

KEY = ECKey.generate_key("P-256")
OTHER_CURVE = ECKey.generate_key("P-384").as_dict(private=False)
HEADER = {"alg": ALGORITHMS[0], "enc": ALGORITHMS[1], "kid": "jwe_7"}
SEALED = jwe.encrypt_compact(HEADER, b'{"a": 1}', KEY, algorithms=list(ALGORITHMS))
PUBLIC = KEY.as_dict(private=False)


def with_header(**parts: Any) -> str:
    """The same with another header; ``None`` takes a field away."""
    head, _, rest = SEALED.partition(".")
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | parts
    header = {name: value for name, value in header.items() if value is not None}
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=") + "." + rest


HEADERS = [
    {"epk": None}, {"epk": "x"}, {"epk": []}, {"epk": {}}, {"epk": OTHER_CURVE}, {"epk": PUBLIC | {"x": "AA"}},
    {"epk": PUBLIC | {"x": PUBLIC["y"]}}, {"epk": PUBLIC | {"kty": "oct"}}, {"alg": "dir"}, {"alg": "ECDH-ES"},
    {"alg": "RSA-OAEP"}, {"alg": "PBES2-HS256+A128KW"}, {"alg": None}, {"alg": 1}, {"enc": "A128CBC-HS256"},
    {"enc": None}, {"zip": "DEF"}, {"crit": ["exp"]}, {"crit": "x"}, {"apu": "!"}, {"typ": "JWT"}, {"b64": False},
]  # fmt: skip


@pytest.mark.parametrize("parts", HEADERS, ids=[str(place) for place in range(len(HEADERS))])
def test_a_header_of_another_kind_opens_nothing(parts: dict[str, Any]) -> None:
    with pytest.raises(SealedCardRefused):
        _decrypted(with_header(**parts), KEY)


def test_what_was_sealed_opens() -> None:
    assert _kid_in(SEALED) == 7
    assert _decrypted(SEALED, KEY) == b'{"a": 1}'


@settings(max_examples=200)
@given(text=st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_names_a_key_or_is_refused(text: str) -> None:
    for sent in (text, f"{text}....", f"{text}.a.b.c.d", f"{SEALED.partition('.')[0]}.{text}.{text}.{text}.{text}"):
        try:
            assert _kid_in(sent) >= 1
            _decrypted(sent, KEY)
        except CardEntryRejected:
            pass


@settings(max_examples=150)
@given(place=st.integers(min_value=0, max_value=len(SEALED) - 1), character=st.sampled_from("ABab01-_.=! "))
def test_one_changed_character_opens_nothing_else(place: int, character: str) -> None:
    changed = SEALED[:place] + character + SEALED[place + 1 :]
    try:
        opened = _decrypted(changed, KEY)
    except SealedCardRefused:
        return
    assert opened == b'{"a": 1}'  # the last bits of a base64 group may say nothing


def test_too_long_a_text_is_not_even_read() -> None:
    with pytest.raises(SealedCardRefused):
        _kid_in(SEALED + "A" * SEALED_CHARACTERS_MAX)


@pytest.mark.parametrize("seconds", [2**63, -(2**63), 10**20])
def test_a_time_that_no_calendar_has_is_too_old(seconds: int) -> None:
    with pytest.raises(CardEntryRejected):
        _instant(seconds)
