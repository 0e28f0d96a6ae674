"""Many callers at once: one fsync for all, and nobody gets what is not in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.card_commit import Opened, cards_together, reads_together
from ledger.group_commit import GroupCommit
from pci.keys.register import KeyDoing
from pci.keys.rotation import RotationKind
from pci.pan import Pan
from tests.card_world import CHARGE, MIR, NEIGHBOUR, OTHER, SHOP, VISA, World
from tokenization import rotating, together
from tokenization.card import CardDetails, CardTerms, OpenCard, Tokenized
from tokenization.card_errors import AmountRefused, CardExpired, CardTampered, TokenNotFound
from tokenization.card_use import CardRestrictions
from tokenization.cards import CardAsk, CardIn

Keeping = GroupCommit[CardIn, Tokenized]


@pytest_asyncio.fixture
async def queue(world: World) -> AsyncIterator[Keeping]:
    async with cards_together(world.database.vault_url, world.transactions, world.ring, now=lambda: world.now) as queue:
        yield queue


def brought(number: str, **terms: object) -> CardIn:
    details = CardDetails(Pan(number), "2028-12", "IVAN PETROV")
    return CardIn(details, CardTerms(**{"merchant_id": SHOP} | terms), "service:api", f"req_{number[-4:]}")  # type: ignore[arg-type]


async def keep(world: World, queue: Keeping, *cards: CardIn) -> list[Tokenized]:
    return await asyncio.gather(*(together.tokenize(queue, world.ring, card, now=world.now) for card in cards))


async def test_callers_who_come_together_are_kept_together_each_with_its_event(world: World, queue: Keeping) -> None:
    restrictions = CardRestrictions(hosts=frozenset({"acquirer.example"}))
    found = await keep(
        world, queue, brought(MIR), brought(VISA, wants_digits=True, scope="loyalty"),
        brought(OTHER, merchant_id=NEIGHBOUR, restrictions=restrictions),
    )  # fmt: skip

    assert [tokenized.is_new for tokenized in found] == [True] * 3
    for tokenized in found:
        assert await world.find(tokenized.card.token, tokenized.card.merchant_id) == tokenized.card
    assert (await world.read(found[1].card.token)).holder_name == "IVAN PETROV"
    assert {event["origin"] for event in world.events("card.tokenized")} == {"req_9001", "req_4242", "req_1111"}


async def test_eight_callers_with_one_number_get_one_token(world: World, queue: Keeping) -> None:
    found = await keep(world, queue, *[brought(MIR)] * 8)

    assert len({tokenized.card.token for tokenized in found}) == 1
    assert sum(tokenized.is_new for tokenized in found) == 1
    assert world.sql("SELECT count(*) FROM cards") == [(1,)]
    assert len(world.events("card.tokenized")) == 8


async def test_two_processes_with_one_number_get_one_token(world: World) -> None:
    found = await asyncio.gather(*(world.tokenize(MIR) for _ in range(6)))

    assert len({tokenized.card.token for tokenized in found}) == 1
    assert sum(tokenized.is_new for tokenized in found) == 1


async def test_a_bad_card_spoils_nobody_elses(world: World, queue: Keeping) -> None:
    over = CardIn(CardDetails(Pan(VISA), "2020-01"), CardTerms(SHOP), "service:api", "req_1")

    ends = await asyncio.gather(
        *(together.tokenize(queue, world.ring, card, now=world.now) for card in (brought(MIR), over, brought(OTHER))),
        return_exceptions=True,
    )

    assert [type(end) for end in ends] == [Tokenized, CardExpired, Tokenized]


async def test_the_short_road_knows_of_a_fingerprint_key_that_changes(world: World, queue: Keeping) -> None:
    known = await world.tokenize(MIR)
    doing = KeyDoing("person:per_1", "req_1", world.now)
    await rotating.begin(world.transactions, world.ring, RotationKind.FINGERPRINT, SHOP, doing)

    (met,) = await keep(world, queue, brought(MIR))

    assert not met.is_new
    assert met.card.token == known.card.token


async def test_tokens_asked_for_together_are_opened_together_and_every_answer_is_in_the_log(world: World) -> None:
    mine = await world.tokenize(MIR, wants_digits=True)
    limited = await world.tokenize(VISA, restrictions=CardRestrictions(amount_max_kopecks=1))
    forged = await world.tokenize(OTHER)
    world.sql("UPDATE cards SET pan_sealed = sha256(pan_sealed) || sha256('') WHERE token = %s", (forged.card.token,))
    assert mine.card.digits_token is not None
    tokens = (mine.card.token, mine.card.digits_token, limited.card.token, forged.card.token, "tok_" + "0" * 25)

    async with reads_together(world.database.vault_url, world.ring, now=lambda: world.now) as queue:
        asked = [[CardAsk(token, SHOP, CHARGE, "service:worker", f"run_{at}")] for at, token in enumerate(tokens)]
        answers: list[Opened] = await asyncio.gather(*(queue.submit(ask) for ask in asked))

    kinds = [type(answer) for (answer,) in answers]
    assert kinds == [OpenCard, OpenCard, AmountRefused, CardTampered, TokenNotFound]
    outcomes = sorted(event["outcome"] for event in world.events("card.read"))
    assert outcomes == ["done", "done", "failed", "refused", "refused"]


async def test_when_the_log_takes_no_event_nothing_is_kept_and_nothing_opened(world: World, queue: Keeping) -> None:
    known = await world.tokenize(MIR)
    world.sql("ALTER TABLE audit_events ADD CONSTRAINT log_is_full CHECK (false) NOT VALID")

    with pytest.raises(Exception, match="log_is_full"):
        await keep(world, queue, brought(VISA))
    async with reads_together(world.database.vault_url, world.ring, now=lambda: world.now) as reading:
        with pytest.raises(Exception, match="log_is_full"):
            await reading.submit([CardAsk(known.card.token, SHOP, CHARGE, "service:api", "req_1")])
    with pytest.raises(Exception, match="log_is_full"):
        await world.read(known.card.token)

    assert world.sql("SELECT count(*) FROM cards") == [(1,)]
