from __future__ import annotations

from collections import Counter

from pci.redaction import redact_text
from tokenization import ids


def test_ids_tell_nothing_and_are_never_the_same() -> None:
    made = {ids.new_id("tok") for _ in range(2_000)}

    assert len(made) == 2_000
    assert all(ids.is_id("tok", one) and redact_text(one) == one for one in made)
    assert sorted(made) != list(made)


def test_each_letter_is_drawn_as_often_as_any_other() -> None:
    drawn = Counter("".join(ids.new_id("tok")[4:] for _ in range(4_000)))

    assert set(drawn) == set(ids._ALPHABET)
    mean = sum(drawn.values()) / len(drawn)
    assert all(abs(count - mean) < 6 * mean**0.5 for count in drawn.values())


def test_the_form_of_an_id_is_looked_at() -> None:
    good = ids.new_id("tok")

    assert not ids.is_id("cse", good)
    assert not ids.is_id("tok", good[:-1])
    assert not ids.is_id("tok", good[:-1] + "é")


def test_many_ids_at_once_are_as_many_as_were_asked_for_and_all_fit() -> None:
    made = ids.new_ids("fpr", 3_000)

    assert len(set(made)) == 3_000
    assert all(ids.is_id("fpr", one) and redact_text(one) == one for one in made)
    assert ids.new_ids("fpr", 0) == []
