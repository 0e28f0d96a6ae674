"""A key's states, as a square; and when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from pci.keys import rotation
from pci.keys.errors import KeyMoveRefused, RotationRefused
from pci.keys.key import (
    ALLOWED,
    ENCRYPTIONS_MARK,
    OPENS,
    POLICIES,
    Algorithm,
    Key,
    KeyPurpose,
    KeyState,
    advance,
    wrapping_context,
)
from pci.keys.rotation import RotationStatus

SQUARE = list(product(KeyState, KeyState))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(("state", "to"), SQUARE)
def test_a_key_goes_only_where_the_table_says(state: KeyState, to: KeyState) -> None:
    if to in ALLOWED[state]:
        assert advance(state, to) is to
    else:
        with pytest.raises(KeyMoveRefused):
            advance(state, to)


def test_nothing_leads_back_to_closing_and_everything_to_destruction() -> None:
    assert [state for state in KeyState if KeyState.ACTIVE in ALLOWED[state]] == [KeyState.PRE_ACTIVE]
    assert {state for state in KeyState if KeyState.DESTROYED in ALLOWED[state]} == set(KeyState) - {KeyState.DESTROYED}
    assert KeyState.SUSPENDED not in OPENS


@pytest.mark.parametrize(("status", "to"), list(product(RotationStatus, RotationStatus)))
def test_a_rotation_goes_only_where_the_table_says(status: RotationStatus, to: RotationStatus) -> None:
    if to in rotation.ALLOWED[status]:
        assert rotation.advance(status, to) is to
    else:
        with pytest.raises(RotationRefused):
            rotation.advance(status, to)


def key(encryptions: int = 0, days: int = 10) -> Key:
    return Key(
        number=1, purpose=KeyPurpose.CARD, scope="all", version=1, state=KeyState.ACTIVE,
        algorithm=Algorithm.AES_256_GCM, storage_form="wrapped", kek_provider="file", kek_version="1", env="test",
        cryptoperiod_days=days, encryptions=encryptions, created_at=NOW, activated_at=NOW, retired_at=None,
        destroyed_at=None,
    )  # fmt: skip


def test_a_key_is_due_when_its_period_or_its_count_is_over() -> None:
    almost = NOW + timedelta(days=10) - timedelta(microseconds=1)

    assert not key().is_due(almost)
    assert key().is_due(NOW + timedelta(days=10))
    assert not key(ENCRYPTIONS_MARK - 1).is_due(NOW)
    assert key(ENCRYPTIONS_MARK).is_due(NOW)


def test_every_purpose_has_a_policy() -> None:
    assert set(POLICIES) == set(KeyPurpose)


def test_no_two_keys_are_bound_to_the_same_words() -> None:
    words = {"number": 1, "purpose": "card", "scope": "a", "version": 1, "env": "test"}
    others = [words | change for change in (
        {"number": 2}, {"purpose": "sad"}, {"scope": "b"}, {"version": 2}, {"env": "live"},
    )]  # fmt: skip

    assert len({wrapping_context(**these) for these in (words, *others)}) == 6
