"""Guessing tokens: every miss is told, and after twenty of them the guesser waits; others do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from tests.card_world import MIR, NEIGHBOUR, SHOP, World
from tests.vault_calls import service_client
from tokenization import enumeration
from tokenization.card_errors import TooManyUnknownTokens
from tokenization.enumeration import UNKNOWN_MAX, WINDOW, UnknownTokens
from tokenization.ids import new_id
from tokenization.settings import VaultSettings
from tokenization.vault import Vault


def vault_of(world: World) -> Vault:
    return Vault(world.transactions, lambda: world.now, world.ring, VaultSettings())


async def ask(client: httpx.AsyncClient, token: str, merchant_id: str = SHOP) -> int:
    return (await client.get(f"/merchants/{merchant_id}/cards/{token}")).status_code


async def test_who_asks_for_foreign_tokens_waits_after_twenty_and_others_go_on(world: World) -> None:
    mine = (await world.tokenize(MIR)).card.token
    foreign = (await world.tokenize(MIR, merchant_id=NEIGHBOUR)).card.token
    vault = vault_of(world)

    async with service_client(vault, acting_for="key_guesser") as client:
        misses = [await ask(client, foreign)] + [await ask(client, new_id("tok")) for _ in range(UNKNOWN_MAX - 1)]
        then = await ask(client, mine)
    async with service_client(vault, acting_for="key_other") as client:
        other = await ask(client, mine)
    later = replace(vault, now=lambda: world.now + WINDOW)
    async with service_client(later, acting_for="key_guesser") as client:
        after = await ask(client, mine)

    assert set(misses) == {404}
    assert (then, other, after) == (429, 200, 200)
    told = world.events("card.looked_up")
    assert len(told) == UNKNOWN_MAX
    assert {(event["outcome"], event["actor"]) for event in told} == {("refused", "caller:key_guesser")}
    assert len(world.events("tokens.guessed")) == 1


def test_our_own_services_are_not_held_and_the_oldest_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enumeration, "CALLERS_MAX", 2)
    unknown = UnknownTokens()
    for _ in range(UNKNOWN_MAX):
        unknown.note("service:worker", world.now)
        unknown.note("caller:key_1", world.now)

    unknown.refuse("service:worker", world.now)
    with pytest.raises(TooManyUnknownTokens):
        unknown.refuse("caller:key_1", world.now)
    for name in ("caller:key_2", "caller:key_3"):
        unknown.note(name, world.now + timedelta(seconds=1))
    unknown.refuse("caller:key_1", world.now)
