"""Registrations that wait for their bank are looked up later and later, whatever the directory answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.looking_up import LEASE, look_up_registrations
from checkout import onboarding as till_doors
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import Clock
from ledger.database import Engine, transaction
from sbp_gateway import onboarding, registrations
from sbp_gateway import registration_repository as repository
from sbp_gateway.nspk_merchants import NspkMerchantsHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.registrations import MerchantRegistration, RegistrationData, RegistrationStatus

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
MERCHANT, REGISTRATION = f"mer_{1:026}", f"sbr_{1:026}"
DATA = RegistrationData(
    "1027700132195", ACCOUNT.number, "5411", "everyday", contact_name="n", contact_phone="+79001234567",
    contact_email="a@b.ru",
)  # fmt: skip


async def sent(engine: Engine, now: datetime) -> datetime:
    """A registration that was sent to its bank; says when it is first looked up."""
    async with transaction(engine) as session:
        await till_doors.onboard_merchant(
            session, MERCHANT, name="n", legal_name="l", inn="7707083893", bank_account=ACCOUNT,
            tariff_group="everyday", now=now,
        )  # fmt: skip
        await onboarding.open_registration(
            session, REGISTRATION, merchant_id=MERCHANT, bik=ACCOUNT.bik, data=DATA, now=now
        )
        waiting = await onboarding.change(
            session, REGISTRATION, lambda found: registrations.submit(found, now=now), now=now
        )
    assert waiting.next_look_up_at is not None
    return waiting.next_look_up_at


async def registration(engine: Engine) -> MerchantRegistration:
    async with transaction(engine) as session:
        return await repository.load_registration(session, REGISTRATION)


@asynccontextmanager
async def directory(*merchants: str, status: int = 200, code: str = "RQ00000") -> AsyncIterator[NspkMerchantsHttp]:
    """NSPK's directory as a real server that shows these merchants."""
    shown = [{"merchantId": merchant, "brandName": "b", "mcc": "5411"} for merchant in merchants]
    data: dict[str, Any] = {"legalName": "l", "members": [{"memberId": "100000000007", "merchants": shown}]}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"code": code, "message": "", "data": data}, status=status)

    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", answer)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield NspkMerchantsHttp(transport)
        await transport.close()


class FixedClock(Clock):
    """Business time as the test says."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self.at = at

    def now(self) -> datetime:
        return self.at


async def test_nothing_is_looked_up_before_its_time(engine: Engine, now: datetime) -> None:
    due = await sent(engine, now)
    async with directory("MA0000000552") as merchants:
        assert await look_up_registrations(engine, merchants, FixedClock(due - timedelta(seconds=1))) == 0


async def test_the_only_merchant_found_is_ours(engine: Engine, now: datetime) -> None:
    due = await sent(engine, now)
    async with directory("MA0000000552") as merchants:
        assert await look_up_registrations(engine, merchants, FixedClock(due)) == 1
        assert await look_up_registrations(engine, merchants, FixedClock(due + timedelta(days=1))) == 0
    found = await registration(engine)
    assert found.status is RegistrationStatus.REGISTERED
    assert found.numbers is not None
    assert found.numbers.nspk_merchant_id == "MA0000000552"


@pytest.mark.parametrize(
    ("merchants", "status", "code"),
    [
        pytest.param((), 200, "RQ00000", id="nobody"),
        pytest.param(("MA0000000001", "MA0000000002"), 200, "RQ00000", id="two of the same trade"),
        pytest.param((), 400, "RQ05001", id="a refusal"),
        pytest.param((), 500, "RQ07999", id="a failure"),
    ],
)
async def test_what_is_not_clear_is_looked_up_again_later(
    engine: Engine, now: datetime, merchants: tuple[str, ...], status: int, code: str
) -> None:
    due = await sent(engine, now)
    async with directory(*merchants, status=status, code=code) as asked:
        assert await look_up_registrations(engine, asked, FixedClock(due)) == 1
    found = await registration(engine)
    assert (found.status, found.look_ups) == (RegistrationStatus.SENT_TO_BANK, 1)
    assert found.next_look_up_at == due + timedelta(seconds=20)


async def test_two_workers_do_not_look_up_the_same(engine: Engine, now: datetime) -> None:
    due = await sent(engine, now)
    async with transaction(engine) as one, transaction(engine) as other:
        first = await repository.take_due_look_ups(one, now=due, lease_until=due + LEASE)
        second = await repository.take_due_look_ups(other, now=due, lease_until=due + LEASE)
    assert (len(first), len(second)) == (1, 0)
