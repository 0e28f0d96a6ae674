"""What providers can do is data: every rail has a provider, each line says where it was read, limits are in order."""

from __future__ import annotations

import pytest

from checkout.capabilities import capabilities, capability_of
from checkout.errors import ProviderUnknown
from checkout.orders import ORDER_KOPECKS_MAX
from checkout.premises import RAILS


def test_every_rail_has_a_provider_and_every_line_its_source() -> None:
    assert {each.rail for each in capabilities()} == set(RAILS)
    assert all(each.source and each.grade in {"P", "2", "A"} for each in capabilities())


def test_limits_are_in_order_and_within_what_an_order_may_cost() -> None:
    for each in capabilities():
        assert 1 <= each.amount_min_kopecks < each.amount_max_kopecks <= ORDER_KOPECKS_MAX
        lives = [value for value in (each.ttl_minutes_min, each.ttl_minutes_usual, each.ttl_minutes_max) if value]
        assert lives == sorted(lives)


def test_sbp_holds_no_money_and_cards_do() -> None:
    assert not capability_of("nspk").is_two_stage
    assert capability_of("acquirer").is_two_stage


def test_a_provider_that_nobody_wrote_down_is_refused() -> None:
    with pytest.raises(ProviderUnknown):
        capability_of("qiwi")
