"""Captures, voids and refunds: what is decided is said until it is acknowledged, and done once."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from pci.errors import Rejected
from tests.tokenization.charges.charge_world import BY, MERCHANT, ChargeWorld
from tokenization.charges.capturing import capture_charge
from tokenization.charges.errors import (
    CaptureAboveAmount,
    ChargeAmountOutOfRange,
    ChargeBusy,
    ChargeIdTaken,
    ChargeNotAuthorised,
    ChargeNotCaptured,
    ChargeNotFound,
    ChargeNotVoidable,
    ChargeRefundAboveRest,
)
from tokenization.charges.refunding import ChargeRefundRequest, refund_charge
from tokenization.charges.repository import load_refund
from tokenization.charges.reversing import void_charge
from tokenization.charges.states import ChargeRefund, ChargeStatus, RefundStatus
from tokenization.ids import new_id


async def refund(world: ChargeWorld, charge_id: str, amount: int, refund_id: str = "") -> ChargeRefund:
    wanted = ChargeRefundRequest(refund_id or new_id("ref"), charge_id, MERCHANT, amount)
    return await refund_charge(world.desk, wanted, BY)


async def refund_of(world: ChargeWorld, found: ChargeRefund) -> ChargeRefund:
    async with world.desk.vault.transactions() as session:
        return await load_refund(session, found.id, found.charge_id)


@pytest.mark.parametrize("fault", [None, "lost_request", "lost_answer", "cut", "wrong_amount", "duplicate_answer"])
async def test_a_capture_takes_once_what_was_held(world: ChargeWorld, fault: str | None) -> None:
    charge = await world.charge(10_000, is_captured_at_once=False)
    assert (charge.status, world.summary["held_kopecks"]) == (ChargeStatus.AUTHORISED, 10_000)
    if fault is not None:
        world.script(fault, kinds=["0220"])

    await capture_charge(world.desk, charge.id, MERCHANT, 7_000, BY)
    await world.settle()

    found = await world.read(charge.id)
    assert (found.status, found.captured_kopecks) == (ChargeStatus.CAPTURED, 7_000)
    assert (world.summary["captured_kopecks"], world.summary["held_kopecks"]) == (7_000, 0)
    again = await capture_charge(world.desk, charge.id, MERCHANT, 7_000, BY)
    assert again == found


async def test_a_refused_capture_leaves_the_money_held(world: ChargeWorld) -> None:
    charge = await world.charge(10_000, is_captured_at_once=False)
    world.acquirer.host.scripts.set({"capture_code": "54"})

    refused = await capture_charge(world.desk, charge.id, MERCHANT, None, BY)

    assert (refused.status, refused.reason) == (ChargeStatus.AUTHORISED, "card_expired")
    world.acquirer.host.scripts.set({"capture_code": ""})
    assert (await capture_charge(world.desk, charge.id, MERCHANT, None, BY)).status is ChargeStatus.CAPTURED


@pytest.mark.parametrize("fault", [None, "lost_request", "lost_answer", "cut"])
@pytest.mark.parametrize("is_captured", [False, True], ids=["held", "captured"])
async def test_a_void_lets_the_money_go(world: ChargeWorld, fault: str | None, is_captured: bool) -> None:
    charge = await world.charge(10_000, is_captured_at_once=is_captured)
    if fault is not None:
        world.script(fault, kinds=["0400"])

    await void_charge(world.desk, charge.id, MERCHANT, BY)
    await world.settle()

    found = await void_charge(world.desk, charge.id, MERCHANT, BY)
    assert (found.status, found.captured_kopecks) == (ChargeStatus.VOIDED, 0)
    assert (world.summary["net_kopecks"], world.summary["held_kopecks"]) == (0, 0)


@pytest.mark.parametrize("is_captured", [False, True], ids=["held", "captured"])
async def test_a_void_that_the_acquirer_refuses_leaves_the_charge_as_it_was(
    world: ChargeWorld, is_captured: bool
) -> None:
    charge = await world.charge(10_000, is_captured_at_once=is_captured)
    world.acquirer.host.scripts.set({"reversal_code": "12"})

    refused = await void_charge(world.desk, charge.id, MERCHANT, BY)

    assert (refused.status, refused.reason) == (charge.status, "void_refused")
    assert refused.captured_kopecks == charge.captured_kopecks
    await world.settle()
    world.acquirer.host.scripts.set({"reversal_code": ""})
    if is_captured:
        assert (await refund(world, charge.id, 1)).status is RefundStatus.SUCCEEDED
    else:
        assert (await void_charge(world.desk, charge.id, MERCHANT, BY)).status is ChargeStatus.VOIDED


async def test_a_reversal_that_is_refused_again_and_again_is_told_to_people(world: ChargeWorld) -> None:
    world.script("lost_answer")
    charge = await world.charge(10_000)
    world.acquirer.host.scripts.set({"reversal_code": "12"})

    with capture_logs() as lines:
        for _ in range(12):
            await world.desk_resolves()
            world.clock.pass_by(minutes=6)

    assert (await world.read(charge.id)).status is ChargeStatus.UNKNOWN
    assert [line["charge_id"] for line in lines if line["event"] == "charge_not_reversed"] == [charge.id]


@pytest.mark.parametrize("fault", [None, "lost_request", "lost_answer", "cut", "duplicate_answer"])
async def test_refunds_move_money_once_each(world: ChargeWorld, fault: str | None) -> None:
    charge = await world.charge(10_000)
    if fault is not None:
        world.script(fault, kinds=["0220", "0221"], times=2)

    first = await refund(world, charge.id, 3_000)
    await refund(world, charge.id, 7_000)
    await world.settle()

    assert (await refund_of(world, first)).status is RefundStatus.SUCCEEDED
    assert (await world.read(charge.id)).refund_kopecks == 10_000
    assert (world.summary["refunds_kopecks"], world.summary["net_kopecks"]) == (10_000, 0)
    assert await refund(world, charge.id, 3_000, first.id) == await refund_of(world, first)
    with pytest.raises(ChargeIdTaken):
        await refund(world, charge.id, 3_001, first.id)
    with pytest.raises(ChargeRefundAboveRest):
        await refund(world, charge.id, 1)


async def test_a_refused_refund_may_be_asked_for_again(world: ChargeWorld) -> None:
    charge = await world.charge(10_000)
    world.acquirer.host.scripts.set({"refund_code": "57"})

    assert (await refund(world, charge.id, 10_000)).status is RefundStatus.REFUSED

    world.acquirer.host.scripts.set({"refund_code": ""})
    assert (await refund(world, charge.id, 10_000)).status is RefundStatus.SUCCEEDED


async def test_money_on_its_way_back_counts_as_given_back(world: ChargeWorld) -> None:
    charge = await world.charge(10_000)
    world.script("lost_request", kinds=["0220", "0221"], times=100)
    assert (await refund(world, charge.id, 6_000)).status is RefundStatus.UNKNOWN

    with pytest.raises(ChargeRefundAboveRest):
        await refund(world, charge.id, 4_001)
    with pytest.raises(ChargeNotVoidable):
        await void_charge(world.desk, charge.id, MERCHANT, BY)


async def test_what_is_not_so_is_refused(world: ChargeWorld) -> None:
    captured = await world.charge(10_000)
    held = await world.charge(10_000, is_captured_at_once=False)
    declined = await world.charge(990_005)

    refusals: list[tuple[type[Rejected], object]] = [
        (ChargeNotFound, capture_charge(world.desk, held.id, "mer_other", None, BY)),
        (ChargeNotFound, void_charge(world.desk, "cpy_0000000000000000", MERCHANT, BY)),
        (ChargeNotAuthorised, capture_charge(world.desk, captured.id, MERCHANT, 1, BY)),
        (ChargeNotAuthorised, capture_charge(world.desk, declined.id, MERCHANT, None, BY)),
        (CaptureAboveAmount, capture_charge(world.desk, held.id, MERCHANT, 10_001, BY)),
        (ChargeAmountOutOfRange, capture_charge(world.desk, held.id, MERCHANT, 0, BY)),
        (ChargeNotVoidable, void_charge(world.desk, declined.id, MERCHANT, BY)),
        (ChargeNotCaptured, refund(world, held.id, 1)),
        (ChargeAmountOutOfRange, refund(world, captured.id, 0)),
    ]
    before = world.acquirer.messages
    for error, work in refusals:
        with pytest.raises(error):
            await work  # type: ignore[misc]

    assert world.acquirer.messages == before


async def test_a_charge_nobody_has_an_answer_of_is_busy(world: ChargeWorld) -> None:
    world.script("lost_request")
    charge = await world.charge()

    with pytest.raises(ChargeBusy):
        await void_charge(world.desk, charge.id, MERCHANT, BY)
