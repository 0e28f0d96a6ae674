"""The domain of a token: a table of uses that are allowed and refused, and each refusal in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.card_world import MIR, World
from tokenization import card_use
from tokenization.card_errors import (
    AmountRefused,
    ChannelRefused,
    CurrencyRefused,
    HostRefused,
    RestrictionsMalformed,
    UseRefused,
    UseTooEarly,
    UseTooLate,
)
from tokenization.card_use import CardPurpose, CardRestrictions, CardUse

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
USE = {"channel": "online", "amount_kopecks": 100_00, "currency": "RUB", "host": "acquirer.example"}


def restrictions(**parts: Any) -> CardRestrictions:
    return CardRestrictions(**parts)


TABLE = [
    pytest.param({}, {}, None, id="no restriction"),
    pytest.param({"channels": frozenset({"online"})}, {}, None, id="its channel"),
    pytest.param({"channels": frozenset({"in_store"})}, {}, ChannelRefused, id="another channel"),
    pytest.param({"channels": frozenset({"in_store"})}, {"channel": ""}, ChannelRefused, id="no channel told"),
    pytest.param({"hosts": frozenset({"acquirer.example"})}, {}, None, id="its host"),
    pytest.param({"hosts": frozenset({"acquirer.example"})}, {"host": "evil.example"}, HostRefused, id="another host"),
    pytest.param({"hosts": frozenset({"acquirer.example"})}, {"host": ""}, HostRefused, id="no host told"),
    pytest.param({"amount_max_kopecks": 100_00}, {}, None, id="just the amount"),
    pytest.param({"amount_max_kopecks": 99_99}, {}, AmountRefused, id="a kopeck more"),
    pytest.param({"amount_max_kopecks": 1}, {"amount_kopecks": None}, AmountRefused, id="no amount told"),
    pytest.param({"currency": "RUB"}, {}, None, id="its currency"),
    pytest.param({"currency": "RUB"}, {"currency": "USD"}, CurrencyRefused, id="another currency"),
    pytest.param({"usable_from": NOW}, {}, None, id="from now"),
    pytest.param({"usable_from": NOW + HOUR}, {}, UseTooEarly, id="not yet"),
    pytest.param({"usable_until": NOW + HOUR}, {}, None, id="still"),
    pytest.param({"usable_until": NOW}, {}, UseTooLate, id="the last moment is not in it"),
]


@pytest.mark.parametrize(("allowed", "use", "refusal"), TABLE)
def test_a_use_is_in_the_tokens_domain_or_refused_by_its_code(
    allowed: dict[str, Any], use: dict[str, Any], refusal: type[UseRefused] | None
) -> None:
    found = restrictions(**allowed).refusal_of(CardUse(CardPurpose.CHARGE, **USE | use), NOW)

    assert type(found) is (refusal or type(None))


@pytest.mark.parametrize(
    "parts",
    [
        {"channels": frozenset({"On Line"})},
        {"channels": frozenset(f"c{place}" for place in range(17))},
        {"hosts": frozenset({"https://x.example/"})},
        {"hosts": frozenset({"a..b"})},
        {"amount_max_kopecks": 0},
        {"currency": "rub"},
        {"usable_from": datetime(2026, 1, 1)},  # noqa: DTZ001 -- a time without its zone is the point
        {"usable_from": NOW, "usable_until": NOW},
    ],
)
def test_restrictions_that_mean_nothing_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(RestrictionsMalformed):
        restrictions(**parts)


words = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
moments = st.none() | st.datetimes(min_value=datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- of st


@settings(max_examples=50)
@given(
    channels=st.frozensets(words, max_size=3), amount=st.none() | st.integers(1, 10**15),
    currency=st.sampled_from(["", "RUB"]), since=moments,
)  # fmt: skip
def test_restrictions_come_back_as_they_were_kept(
    channels: frozenset[str], amount: int | None, currency: str, since: datetime | None
) -> None:
    kept = CardRestrictions(channels=channels, amount_max_kopecks=amount, currency=currency, usable_from=since)

    assert card_use.from_json(card_use.to_json(kept)) == kept


async def test_a_refused_use_is_told_with_its_code_though_the_work_was_rolled_back(world: World) -> None:
    limited = restrictions(amount_max_kopecks=99_99, channels=frozenset({"online"}))
    tokenized = await world.tokenize(MIR, restrictions=limited)

    with pytest.raises(AmountRefused):
        await world.read(tokenized.card.token, use=CardUse(CardPurpose.CHARGE, **USE))  # type: ignore[arg-type]

    (event,) = world.events("card.read")
    assert (event["outcome"], event["facts"]) == ("refused", {"code": "vault.use_amount_refused", "purpose": "charge"})
    assert event["subject"] == f"card:{tokenized.card.token}"


async def test_where_a_token_may_pay_says_nothing_of_who_may_look(world: World) -> None:
    domain = restrictions(channels=frozenset({"online"}), hosts=frozenset({"pay.example"}), currency="RUB")
    used_up = restrictions(usable_until=world.now)

    assert domain.refusal_of(CardUse(CardPurpose.REVEAL), world.now) is None
    assert domain.refusal_of(CardUse(CardPurpose.CHARGE), world.now) is not None
    assert used_up.refusal_of(CardUse(CardPurpose.REVEAL), world.now) is not None
