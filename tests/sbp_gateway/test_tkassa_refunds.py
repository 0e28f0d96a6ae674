"""Refunds through T-Kassa: asked once, and what T-Kassa cannot say stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.money import Kopecks
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk import OperationStatus, Registration
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_refunds import DecisionCode, NspkRefundsHttp, RefundRequest
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.providers import ProviderRefunds
from sbp_gateway.simulator.tkassa import MEMBER_ID
from sbp_gateway.tkassa_links import payment_id_of
from sbp_gateway.tkassa_refunds import SHOWN, TkassaRefunds
from tests.sbp_gateway.tkassa_world import TkassaWorld, tkassa_world

OURS = "0192f3a47c1e7d0b8a5e6f7081920a3b"
PRICE = 149_990


async def paid(world: TkassaWorld) -> str:
    """A payment of 1 499.90 that came."""
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    wanted = Registration("MA0000000001", MEMBER_ID, "4" * 20, Kopecks(PRICE), 15, "Чай", "qr_1", ends_at)
    link = await world.adapter.register(wanted)
    assert (await world.pays(link.payload)).status_code == 200
    (found,) = await world.adapter.statuses([link.qrc_id])
    assert found.trx_id is not None
    return found.trx_id


def of(trx_id: str, amount: int) -> RefundRequest:
    return RefundRequest(trx_id, trx_id, MEMBER_ID, "MA0000000001", Kopecks(amount), "7000000001", OURS)


async def test_a_part_goes_back_and_is_seen() -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)

        asked = await refunds.ask(of(trx_id, 50_000))
        state = await refunds.read(trx_id, asked)

    assert asked == OURS + SHOWN
    assert (state.trx_status, state.amount, state.agent_request_id) == (OperationStatus.ACCEPTED, 50_000, OURS)
    assert state.trx_id == OURS.upper()
    assert not state.is_refused


async def test_a_slow_refund_is_in_processing_first() -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        await refunds.ask(of(trx_id, 50_097))

        assert [(await refunds.read(trx_id, OURS)).trx_status for _ in range(2)] == [
            OperationStatus.RECEIVED,
            OperationStatus.ACCEPTED,
        ]


@pytest.mark.parametrize("before", [0, 50_000], ids=["the first", "after another"])
async def test_a_refund_refused_after_it_was_taken_is_not_taken_for_the_earlier_one(before: int) -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        if before:
            await refunds.ask(of(trx_id, before))
        asked = await refunds.ask(of(trx_id, 20_096))

        first, second = [await refunds.read(trx_id, asked) for _ in range(2)]
        said = await world.adapter.ask("GetState", {"PaymentId": payment_id_of(trx_id)}, is_safe=True)

    assert (first.trx_status, first.code) == (OperationStatus.RECEIVED, DecisionCode.AGREED)
    assert (second.trx_status, second.code) == (OperationStatus.REJECTED, "3028")
    assert said["Status"] == ("PARTIAL_REFUNDED" if before else "CONFIRMED")


async def test_a_part_that_went_back_may_be_an_earlier_requests_doing() -> None:
    """Unless T-Kassa's own answer has shown the request, or everything went back."""
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        asked = await refunds.ask(of(trx_id, 50_000))

        assert (await refunds.read(trx_id, OURS)).may_be_earlier
        assert not (await refunds.read(trx_id, asked)).may_be_earlier
        await refunds.ask(of(trx_id, PRICE - 50_000))
        assert not (await refunds.read(trx_id, OURS)).may_be_earlier


@pytest.mark.parametrize(("amount", "code"), [(50_099, "3028"), (PRICE + 1, "4")])
async def test_a_refusal_keeps_tkassas_code(amount: int, code: str) -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        with pytest.raises(NspkRefused) as refused:
            await refunds.ask(of(trx_id, amount))
    assert refused.value.facts["nspk_code"] == code


@pytest.mark.parametrize(
    ("before", "amount", "found"), [(0, 0, None), (0, PRICE, OURS), (50_000, PRICE - 50_000, OURS)]
)
async def test_a_lost_request_is_found_when_nothing_or_everything_went_back(
    before: int, amount: int, found: str | None
) -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        for each in (before, amount):
            if each:
                await refunds.ask(of(trx_id, each))

        assert await refunds.find(trx_id, OURS) == found


async def test_between_the_two_it_stays_unknown() -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)
        await refunds.ask(of(trx_id, 50_000))

        with pytest.raises(NspkUnknown):
            await refunds.find(trx_id, OURS)


async def test_a_question_nobody_answers_is_unknown() -> None:
    async with tkassa_world() as world:
        trx_id, refunds = await paid(world), TkassaRefunds(world.adapter)

        with pytest.raises(NspkUnknown):
            await refunds.read(trx_id, OURS)  # nothing was ever given back
        await world.faults(lost_answer=1.0)
        with pytest.raises(NspkUnknown):
            await refunds.ask(of(trx_id, 50_000))


async def test_each_refund_goes_through_whoever_took_the_payment() -> None:
    async with tkassa_world() as world:
        trx_id, nspk = await paid(world), NspkHttp(NspkTransport(world.url), "A00000000001")
        both = ProviderRefunds(NspkRefundsHttp(nspk.transport), TkassaRefunds(world.adapter))

        assert await both.ask(of(trx_id, PRICE)) == OURS
        assert await both.find(trx_id, OURS) == OURS
        assert (await both.read(trx_id, OURS)).amount == PRICE
        with pytest.raises((NspkRefused, NspkUnknown)):
            await both.ask(of("A" * 32, PRICE))
        await nspk.close()
