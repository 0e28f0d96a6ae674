"""Charging a card: what is taken, what is refused before any call, and what a lost answer turns into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from pci.database import Session
from pci.errors import Rejected
from tests.tokenization.charges.charge_world import BY, MERCHANT, PAN, ChargeWorld, keep_card, until
from tokenization.card_errors import CardExpired, TokenNotFound
from tokenization.card_use import CardRestrictions
from tokenization.charges import repository as rows
from tokenization.charges.acquirer_link import AcquirerLink
from tokenization.charges.authorising import charge_card
from tokenization.charges.calling import ChargeDesk
from tokenization.charges.errors import ChargeAmountOutOfRange, ChargeIdTaken, NoStoredConsent
from tokenization.charges.messages import Message, transmitted
from tokenization.charges.resolving import take_late_answer
from tokenization.charges.response_codes import CASHIER_TIPS, REASON_OF, RefusalReason, reason_of
from tokenization.charges.states import ChargeStatus, Initiator
from tokenization.ending import CardDoing, delete_card


async def test_a_purchase_takes_the_money_once(world: ChargeWorld) -> None:
    charge = await world.charge(14_990)

    assert (charge.status, charge.captured_kopecks, charge.card_mask) == ("captured", 14_990, "220000******0004")
    assert charge.rrn == "000000000001"
    assert charge.approval_code == "000001"
    assert world.summary["net_kopecks"] == 14_990


async def test_the_same_id_is_the_same_charge(world: ChargeWorld) -> None:
    request = world.request(5_000)
    first = await world.charge(5_000, id=request.id)

    again = await world.charge(5_000, id=request.id)

    assert again == first
    assert world.summary["requests"] == 1
    with pytest.raises(ChargeIdTaken):
        await world.charge(5_001, id=request.id)


async def test_one_id_asked_twice_at_once_is_one_charge_and_no_refusal(world: ChargeWorld) -> None:
    for _ in range(4):
        request = world.request(5_000)

        told = await asyncio.gather(*(charge_card(world.desk, request, BY) for _ in range(3)))

        assert {charge.id for charge in told} == {request.id}
        assert {charge.status for charge in told} <= {ChargeStatus.REQUESTED, ChargeStatus.CAPTURED}
        assert (await world.read(request.id)).status is ChargeStatus.CAPTURED
    assert (world.summary["requests"], world.summary["net_kopecks"]) == (4, 20_000)


async def test_a_charge_asked_for_again_is_told_also_when_its_card_is_gone(world: ChargeWorld) -> None:
    request = world.request(5_000)
    first = await charge_card(world.desk, request, BY)
    async with world.desk.vault.transactions() as session:
        doing = CardDoing(MERCHANT, "service:api", "req_test", world.clock.at)
        await delete_card(session, world.token, doing)

    assert await charge_card(world.desk, request, BY) == first


@pytest.mark.parametrize("code", ["05", "14", "41", "51", "54", "61", "91", "99"])
async def test_a_declined_card_says_why_in_our_words(world: ChargeWorld, code: str) -> None:
    charge = await world.charge(990_000 + int(code))

    assert charge.status is ChargeStatus.REFUSED
    assert charge.response_code == code
    assert charge.reason == reason_of(code)
    assert world.summary["net_kopecks"] == 0


def test_every_reason_has_a_tip_in_russian() -> None:
    assert set(CASHIER_TIPS) == set(RefusalReason)
    assert set(REASON_OF.values()) <= set(RefusalReason)
    assert all(any("а" <= letter <= "я" for letter in tip) for tip in CASHIER_TIPS.values())


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        pytest.param({"amount": 0}, ChargeAmountOutOfRange, id="nothing"),
        pytest.param({"amount": 100_000_001}, ChargeAmountOutOfRange, id="too-much"),
        pytest.param({"merchant_id": "mer_other"}, TokenNotFound, id="foreign-token"),
        pytest.param({"card_token": "tok_0000000000000000000000000"}, TokenNotFound, id="no-such-token"),
        pytest.param({"initiator": Initiator.MERCHANT}, NoStoredConsent, id="merchant-without-first"),
        pytest.param(
            {"initiator": Initiator.MERCHANT, "first_charge_id": "cpy_000000000000000000"}, NoStoredConsent,
            id="first-unknown",
        ),
        pytest.param({"first_charge_id": "cpy_000000000000000000"}, NoStoredConsent, id="buyer-with-first"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_any_call(
    world: ChargeWorld, terms: dict[str, Any], error: type[Rejected]
) -> None:
    with pytest.raises(error):
        await world.charge(**terms)

    assert world.acquirer.messages == 0


async def test_an_expired_card_is_refused_before_any_call(world: ChargeWorld) -> None:
    world.clock.pass_by(days=800)

    with pytest.raises(CardExpired):
        await world.charge()

    assert world.acquirer.messages == 0


async def test_a_restricted_token_is_refused_before_any_call(world: ChargeWorld) -> None:
    token = await keep_card(
        world.desk.vault, world.clock.at, "4242424242424242", restrictions=CardRestrictions(amount_max_kopecks=100)
    )

    with pytest.raises(Rejected) as refused:
        await world.charge(101, card_token=token)

    assert refused.value.code == "vault.use_amount_refused"
    assert world.acquirer.messages == 0


async def test_a_later_charge_without_the_buyer_refers_to_the_first(world: ChargeWorld) -> None:
    first = await world.charge(1_000, is_credential_kept=True)
    later = await world.charge(2_000, initiator=Initiator.MERCHANT, first_charge_id=first.id)

    assert later.status is ChargeStatus.CAPTURED
    assert first.network_reference == "NET000000000001"

    plain = await world.charge(1_000)
    with pytest.raises(NoStoredConsent):
        await world.charge(2_000, initiator=Initiator.MERCHANT, first_charge_id=plain.id)


@pytest.mark.parametrize("fault", ["lost_request", "lost_answer", "cut", "wrong_rrn", "wrong_amount"])
async def test_an_unknown_outcome_is_reversed(world: ChargeWorld, fault: str) -> None:
    world.script(fault)

    charge = await world.charge(7_000)
    assert charge.status is ChargeStatus.UNKNOWN
    await world.settle()

    assert (await world.read(charge.id)).status is ChargeStatus.REVERSED
    assert (await world.read(charge.id)).reason == "answer_lost"
    assert world.summary["net_kopecks"] == 0


async def test_a_duplicate_answer_changes_nothing(world: ChargeWorld) -> None:
    world.script("duplicate_answer")

    charge = await world.charge(7_000)
    await until(lambda: world.desk.link.late == 1)

    assert (await world.read(charge.id)).status is ChargeStatus.CAPTURED
    assert world.summary["captured"] == 1


async def test_an_approval_of_a_part_is_reversed(world: ChargeWorld) -> None:
    charge = await world.charge(990_010)
    assert charge.status is ChargeStatus.UNKNOWN
    await world.settle()

    assert (await world.read(charge.id)).reason == "declined"


async def test_nothing_sent_is_a_refusal_at_once(world: ChargeWorld) -> None:
    await world.desk.link.close()
    world.desk.link.port = 1

    charge = await world.charge()

    assert (charge.status, charge.reason) == (ChargeStatus.REFUSED, "not_sent")


async def test_an_approval_that_comes_after_the_reversal_is_reversed_once_more(world: ChargeWorld) -> None:
    world.acquirer.host.scripts.set_faults({"delay_seconds": 1.0})
    world.script("slow_request")

    charge = await world.charge(7_000)
    await world.desk_resolves()
    assert (await world.read(charge.id)).status is ChargeStatus.REVERSED
    await until(lambda: world.summary["net_kopecks"] == 7_000)
    await until(lambda: world.desk.link.late == 1)
    await world.settle()

    assert world.summary["net_kopecks"] == 0
    assert (await world.read(charge.id)).next_look_at is None


async def test_an_approval_that_comes_back_to_its_caller_after_the_reversal_is_reversed_once_more(
    world: ChargeWorld,
) -> None:
    asked, gate, line = asyncio.Event(), asyncio.Event(), world.desk.link

    class StandingLink(AcquirerLink):
        async def exchange(self, message: Message) -> Message:
            asked.set()
            await gate.wait()
            return await line.exchange(message)

    standing = ChargeDesk(world.desk.vault, StandingLink(line.host, line.port, line.now))
    request = world.request(5_000)
    charging = asyncio.create_task(charge_card(standing, request, BY))
    await asked.wait()
    for _ in range(10):  # another process gives the charge up and reverses it
        await world.desk_resolves()
        world.clock.pass_by(seconds=16)
    assert (await world.read(request.id)).next_look_at is None
    gate.set()

    assert (await charging).status is ChargeStatus.REVERSED
    await world.settle()
    assert (world.summary["net_kopecks"], world.summary["reversals"]) == (0, 1)


async def test_a_request_that_stood_still_for_long_is_not_sent(world: ChargeWorld) -> None:
    @asynccontextmanager
    async def slow() -> AsyncIterator[Session]:
        async with world.desk.vault.transactions() as session:
            yield session
        world.clock.pass_by(seconds=61)

    desk = ChargeDesk(replace(world.desk.vault, transactions=slow), world.desk.link)

    charge = await charge_card(desk, world.request(), BY)

    assert (charge.status, charge.reason, world.acquirer.messages) == (ChargeStatus.REFUSED, "not_sent", 0)


async def test_a_reversal_denied_after_a_late_approval_is_said_again(world: ChargeWorld) -> None:
    world.script("lost_request")
    charge = await world.charge(5_000)
    world.clock.pass_by(minutes=2)
    async with world.desk.vault.transactions() as session:
        (original,) = await rows.attempts_of(session, charge.id)
    approved = Message({
        "t": "0210", "7": transmitted(original.transmitted_at), "11": f"{original.stan:06}",
        "41": original.terminal_id, "39": "00",
    })  # fmt: skip
    await take_late_answer(world.desk, approved)  # while the reversal that the acquirer denies is on its way

    await world.desk_resolves()

    assert (await world.read(charge.id)).status is ChargeStatus.REVERSED
    assert (await world.read(charge.id)).next_look_at is not None


async def test_no_card_number_is_printed_by_a_message_or_kept_by_the_acquirer(world: ChargeWorld) -> None:
    await world.charge()

    assert PAN not in repr(world.acquirer.host.charges)
