from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pci.redaction import redact_text
from tokenization import ids


def test_ids_tell_nothing_and_are_never_the_same() -> None:
    made = {ids.new_id("tok") for _ in range(2_000)}

    assert len(made) == 2_000
    assert all(ids.is_id("tok", one) and redact_text(one) == one for one in made)
    assert sorted(made) != list(made)


@settings(max_examples=50)
@given(value=st.integers(min_value=0, max_value=2**ids.ID_BITS - 1))
def test_every_drawn_number_has_its_own_text_of_one_length(value: int) -> None:
    text = ids._base62(value)

    assert len(text) == ids.ID_CHARACTERS
    assert sum(ids._ALPHABET.index(character) * 62**place for place, character in enumerate(reversed(text))) == value


def test_the_form_of_an_id_is_looked_at() -> None:
    good = ids.new_id("tok")

    assert not ids.is_id("cse", good)
    assert not ids.is_id("tok", good[:-1])
    assert not ids.is_id("tok", good[:-1] + "é")
