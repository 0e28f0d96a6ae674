"""Ends of cards: swept, deleted, shredded; nothing that was sealed is left, and copies of it do not open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from ledger.database import transaction
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing
from tests.card_world import CHARGE, MIR, NEIGHBOUR, OTHER, SHOP, VISA, World
from tokenization import cards, ending, importing
from tokenization.card import ALLOWED, CardStatus, CardTerms, advance
from tokenization.card_errors import (
    CardKeysNotReady,
    ChannelRefused,
    TokenDeleted,
    TokenExpired,
    TokenNotFound,
    TokenShredded,
)
from tokenization.card_use import CardRestrictions, CardUse
from tokenization.ending import CardDoing
from tokenization.importing import ImportJob

SEALED = "pan_sealed IS NOT NULL OR holder_sealed IS NOT NULL OR fingerprint IS NOT NULL OR key_number IS NOT NULL"


def doing(world: World, merchant_id: str = SHOP) -> CardDoing:
    return CardDoing(merchant_id, "person:per_1", "req_1", world.now, "the contract has ended")


@pytest.mark.parametrize(("status", "to"), list(product(CardStatus, CardStatus)))
def test_a_card_ends_once(status: CardStatus, to: CardStatus) -> None:
    if to in ALLOWED[status]:
        assert advance(status, to) is to
    else:
        with pytest.raises(AssertionError):
            advance(status, to)


async def test_the_sweeper_empties_what_is_over_and_nothing_else(world: World) -> None:
    soon, later = world.now + timedelta(days=1), world.now + timedelta(days=2)
    over = await world.tokenize(MIR, holder="IVAN PETROV", expires_at=soon)
    foreign = await world.tokenize(MIR, merchant_id=NEIGHBOUR, expires_at=soon)
    kept = [await world.tokenize(VISA, expires_at=later), await world.tokenize(OTHER)]

    async with transaction(world.engine) as session:
        swept = await ending.sweep(session, now=soon, origin="vault")

    assert swept == 2
    assert {row[0] for row in world.sql(f"SELECT token FROM cards WHERE {SEALED}")} == {c.card.token for c in kept}
    assert (await world.find(over.card.token)).mask == "220011******9001"
    assert [(event["merchant_id"], event["facts"]) for event in world.events("cards.expired")] == [
        (NEIGHBOUR, {"count": 1}),
        (SHOP, {"count": 1}),
    ]
    with pytest.raises(TokenExpired):
        await world.read(foreign.card.token, NEIGHBOUR)


async def test_the_sweeper_goes_in_batches_and_past_what_somebody_holds(world: World) -> None:
    soon = world.now + timedelta(days=1)
    held = await world.tokenize(MIR, expires_at=soon)
    for number in (VISA, OTHER):
        await world.tokenize(number, expires_at=soon + timedelta(seconds=1))

    swept = []
    async with transaction(world.engine) as other:
        await other.exec_driver_sql("SELECT * FROM cards WHERE token = %s FOR UPDATE", (held.card.token,))
        for _ in range(3):
            async with transaction(world.engine) as session:
                swept.append(await ending.sweep(session, now=soon + timedelta(days=1), origin="vault", limit=1))

    assert swept == [1, 1, 0]
    assert (await world.find(held.card.token)).status == "active"


async def test_a_deleted_card_is_gone_and_its_number_is_new_again(world: World) -> None:
    tokenized = await world.tokenize()

    for _ in range(2):
        async with transaction(world.engine) as session:
            deleted = await ending.delete_card(session, tokenized.card.token, doing(world))

    assert deleted.status == "deleted"
    assert world.sql(f"SELECT count(*) FROM cards WHERE {SEALED}") == [(0,)]
    with pytest.raises(TokenDeleted):
        await world.read(tokenized.card.token)
    assert (await world.tokenize()).is_new
    (event,) = world.events("card.deleted")
    assert event["facts"] == {"reason": "the contract has ended"}


async def test_nobody_deletes_or_restricts_a_foreign_card(world: World) -> None:
    tokenized = await world.tokenize()

    async with transaction(world.engine) as session:
        with pytest.raises(TokenNotFound):
            await ending.delete_card(session, tokenized.card.token, doing(world, NEIGHBOUR))
        with pytest.raises(TokenNotFound):
            await ending.restrict_card(session, tokenized.card.token, CardRestrictions(), doing(world, NEIGHBOUR))

    assert (await world.find(tokenized.card.token)).status == "active"


async def test_restrictions_bind_the_next_use_and_are_lifted_again(world: World) -> None:
    tokenized = await world.tokenize()
    in_store = CardRestrictions(channels=frozenset({"in_store"}))

    async with transaction(world.engine) as session:
        restricted = await ending.restrict_card(session, tokenized.card.token, in_store, doing(world))

    assert restricted.restrictions == in_store
    with pytest.raises(ChannelRefused):
        await world.read(tokenized.card.token)
    assert await world.read(tokenized.card.token, use=CardUse(CHARGE.purpose, channel="in_store"))
    async with transaction(world.engine) as session:
        await ending.restrict_card(session, tokenized.card.token, CardRestrictions(), doing(world))
    assert await world.read(tokenized.card.token)
    assert [event["facts"]["restrictions"] for event in world.events("card.restricted")] == ["channels", "none"]


async def test_a_shredded_merchants_cards_open_from_no_copy(world: World) -> None:
    mine = [await world.tokenize(MIR, holder="IVAN PETROV"), await world.tokenize(VISA)]
    foreign = await world.tokenize(MIR, merchant_id=NEIGHBOUR)
    world.sql("CREATE TABLE backup AS SELECT * FROM cards")

    emptied = await ending.shred(world.transactions, world.ring, doing(world))

    assert emptied == 2
    assert world.sql("SELECT status, count(*) FROM cards GROUP BY 1 ORDER BY 1") == [("active", 1), ("shredded", 2)]
    assert world.sql("SELECT DISTINCT state FROM keys WHERE scope = %s", (SHOP,)) == [("destroyed",)]
    world.sql("ALTER TABLE cards DISABLE TRIGGER cards_ended_is_final")
    world.sql(
        "UPDATE cards AS c SET status = 'active', ended_at = NULL, key_number = b.key_number, pan_sealed = b.pan_sealed"
        " FROM backup AS b WHERE b.token = c.token"
    )
    for tokenized in mine:
        with pytest.raises(TokenShredded):
            await world.read(tokenized.card.token)
    assert (await world.read(foreign.card.token, NEIGHBOUR)).pan.last4 == "9001"
    (event,) = world.events("cards.shredded")
    assert event["facts"] == {"keys": 2, "reason": "the contract has ended"}


async def test_shredding_goes_on_when_asked_again_and_the_merchant_may_start_anew(world: World) -> None:
    await world.tokenize()
    async with transaction(world.engine) as session:
        await ending._destroy_keys(session, world.ring, doing(world))  # and the process died here

    assert await ending.shred(world.transactions, world.ring, doing(world)) == 1
    await cards.prepare(world.ring, SHOP, world.now)
    anew = await world.tokenize()

    assert anew.is_new
    assert (await world.read(anew.card.token)).pan.last4 == "9001"
    assert world.ring.primary(KeyPurpose.CARD, SHOP) is not None


async def another_process(world: World) -> World:
    """The same vault, by a process that has just looked at its keys."""
    other = replace(world, ring=KeyRing(world.transactions, world.ring.provider, env=world.ring.env))
    await cards.prepare(other.ring, SHOP, world.now)
    return other


async def test_nothing_is_kept_under_a_destroyed_key_by_who_has_not_heard_of_it(world: World, tmp_path: Path) -> None:
    await world.tokenize(MIR)
    other = await another_process(world)
    await ending.shred(world.transactions, world.ring, doing(world))

    with pytest.raises(CardKeysNotReady):
        await other.tokenize(VISA)
    path = tmp_path / "cards.csv"
    path.write_text(f"pan,expires_on\n{VISA},2028-12\n")
    with pytest.raises(CardKeysNotReady):
        await importing.take_in(other.transactions, other.ring, ImportJob(path, CardTerms(SHOP), doing(world)))

    assert world.sql("SELECT status FROM cards") == [("shredded",)]
