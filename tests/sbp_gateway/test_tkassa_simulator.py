"""Another's client, unmodified, drives T-Kassa's simulator: signatures and shapes are checked by code not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tbank.acquiring import AcquiringClient
from tbank.acquiring.enums import PaymentStatus, QrDataType
from tbank.acquiring.models import InitRequest
from tbank.core.errors import TBankAPIError

from sbp_gateway.simulator.tkassa import TERMINAL
from tests.sbp_gateway.tkassa_world import TkassaWorld, tkassa_world


@asynccontextmanager
async def client_of(world: TkassaWorld, password: str = TERMINAL.password.expose()) -> AsyncIterator[AcquiringClient]:
    async with AcquiringClient(TERMINAL.key, password, base_url=f"{world.url}/v2") as client:
        yield client


async def test_a_payment_is_begun_shown_paid_and_given_back_in_two_parts() -> None:
    async with tkassa_world() as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=149_990, order_id="A-1", description="Чай", recurrent="N"))
        assert (begun.status, begun.order_id, begun.amount) == (PaymentStatus.NEW, "A-1", 149_990)
        assert begun.payment_id is not None
        shown = await client.get_qr(begun.payment_id, data_type=QrDataType.PAYLOAD)
        assert shown.data is not None
        assert shown.data.startswith("https://qr.nspk.ru/AD10")
        await world.pays(shown.data)
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.CONFIRMED

        part = await client.cancel(begun.payment_id, 49_990)
        assert (part.status, part.original_amount, part.new_amount) == (
            PaymentStatus.PARTIAL_REFUNDED, 149_990, 100_000,
        )  # fmt: skip
        told = await client.get_qr_state(begun.payment_id)
        assert (told.status, told.amount) == ("PARTIAL_REFUNDED", 49_990)
        assert (await client.cancel(begun.payment_id)).status is PaymentStatus.REFUNDED
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.REFUNDED
        with pytest.raises(TBankAPIError):
            await client.cancel(begun.payment_id, 1)


async def test_a_slow_refund_and_a_refused_one() -> None:
    async with tkassa_world() as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=100_000, order_id="A-2"))
        assert begun.payment_id is not None
        await world.pays((await client.get_qr(begun.payment_id)).data or "")
        with pytest.raises(TBankAPIError, match="отклонил"):
            await client.cancel(begun.payment_id, 10_099)

        with pytest.raises(ValueError, match="ASYNC_REFUNDING"):  # this client's list of statuses is closed
            await client.cancel(begun.payment_id, 10_097)
        states = [(await client.get_qr_state(begun.payment_id)).status for _ in range(2)]
        assert states == ["ASYNC_REFUNDING", "PARTIAL_REFUNDED"]


async def test_an_unpaid_payment_is_canceled() -> None:
    async with tkassa_world() as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=100_000, order_id="A-3"))
        assert begun.payment_id is not None

        assert (await client.cancel(begun.payment_id)).status is PaymentStatus.CANCELED


async def test_a_wrong_password_and_strange_payments_are_refused() -> None:
    async with tkassa_world() as world:
        async with client_of(world, "wrong") as stranger:
            with pytest.raises(TBankAPIError, match="токен"):
                await stranger.init(InitRequest(amount=100_000, order_id="A-4"))
        async with client_of(world) as client:
            for call in (client.get_state, client.get_qr_state, client.cancel, client.get_qr):
                with pytest.raises(TBankAPIError):
                    await call("404")


async def test_a_killed_simulator_remembers(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    async with tkassa_world(state) as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=100_000, order_id="A-5"))
        assert begun.payment_id is not None
        await world.pays((await client.get_qr(begun.payment_id)).data or "")

    async with tkassa_world(state) as world, client_of(world) as client:
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.CONFIRMED
        assert (await client.init(InitRequest(amount=100_000, order_id="A-6"))).payment_id != begun.payment_id


async def test_money_that_comes_late_is_still_seen() -> None:
    async with tkassa_world() as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=100_000, order_id="A-7"))
        assert begun.payment_id is not None
        shown = (await client.get_qr(begun.payment_id)).data or ""

        assert (await world.pays(shown, outcome="late")).status_code == 200
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.AUTHORIZING
        assert (await world.http.post("/simulator/clock/advance", json={"seconds": 2 * 86_400})).status_code == 200
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.CONFIRMED


async def test_a_canceled_code_cannot_be_paid() -> None:
    async with tkassa_world() as world, client_of(world) as client:
        begun = await client.init(InitRequest(amount=100_000, order_id="A-8"))
        assert begun.payment_id is not None
        shown = (await client.get_qr(begun.payment_id)).data or ""
        await client.cancel(begun.payment_id)

        assert (await world.pays(shown)).status_code == 410
        assert (await client.get_state(begun.payment_id)).status is PaymentStatus.CANCELED
