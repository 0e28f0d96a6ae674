"""What NSPK refuses to speak about does not last for ever: a plate is freed, a binding expires."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from api import sale_watching
from api.bindings import BindingCalls
from api.sale_results import SaleReader
from ledger.clock import Clock
from ledger.database import Engine, text, transaction
from sbp_gateway import binding_repository, late_watches
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import LIVE, Activation
from sbp_gateway.nspk_bindings import NspkBindingsHttp
from sbp_gateway.nspk_cash_links import NspkCashLinksHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.qr_codes import GRACE
from tests.api.test_cash_link_constraints import ACTIVATION, BINDING, ROWS, WAITING
from tests.api.test_rail_constraints import ATTEMPT, LATER, MERCHANT, NOW, insert
from tests.api.test_rail_constraints import ROWS as RAIL_ROWS

REQUESTED = {"status": "requested", "params_id": None, "next_poll_at": NOW}
OVER_AT = datetime.fromisoformat(LATER) + GRACE


class MovedClock(Clock):
    """A clock that tests set."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@pytest_asyncio.fixture
async def refusing() -> AsyncIterator[NspkTransport]:
    """The way to an NSPK that refuses everything."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"code": "RQ05001", "message": "no"}, status=400)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield transport
        await transport.close()


def filled(database: Any, changes: dict[str, dict[str, Any]]) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in (RAIL_ROWS | ROWS).items():
            if table not in ("sbp_payments", "sbp_unmatched_payments", "binding_charges"):
                insert(connection, table, row | changes.get(table, {}))


async def looked_at(sales: SaleReader, engine: Engine) -> tuple[Activation, datetime | None]:
    async with transaction(engine) as session:
        before = await rows.lock_activation(session, ACTIVATION)
    await sale_watching.watch(sales, before)
    async with transaction(engine) as session:
        next_poll_at = await session.scalar(text("SELECT next_poll_at FROM cash_link_activations"))
        return await rows.lock_activation(session, ACTIVATION), next_poll_at


@pytest.mark.parametrize("change", [{}, REQUESTED], ids=["armed", "an answer was lost"])
async def test_a_sale_that_nspk_refuses_to_speak_about_ends_after_its_grace(
    database: Any, engine: Engine, refusing: NspkTransport, change: dict[str, Any]
) -> None:
    filled(database, {"cash_link_activations": change})
    clock = MovedClock()
    sales = SaleReader(engine, NspkCashLinksHttp(refusing, "A00000000001"), clock)

    clock.at = OVER_AT - timedelta(seconds=1)
    waiting, _ = await looked_at(sales, engine)
    assert waiting.status in LIVE
    clock.at = OVER_AT
    over, next_poll_at = await looked_at(sales, engine)

    assert (over.status.value, next_poll_at) == ("deactivated", None)
    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT status FROM attempts WHERE id = :id"), {"id": ATTEMPT}) == "expired"
        (watched,) = await late_watches.take_due(session, now=OVER_AT + timedelta(hours=1))
        assert (watched.id, watched.is_activation) == (ACTIVATION, True)
        assert await rows.live_activation(session, over.cash_link_id) is None


async def test_pauses_after_refusals_grow(database: Any, engine: Engine, refusing: NspkTransport) -> None:
    filled(database, {"cash_link_activations": {"status": "deactivating", "polls": 3}})
    clock = MovedClock()
    clock.at = OVER_AT - timedelta(minutes=1)
    sales = SaleReader(engine, NspkCashLinksHttp(refusing, "A00000000001"), clock)

    _, next_poll_at = await looked_at(sales, engine)

    assert next_poll_at is not None
    assert next_poll_at - clock.at == timedelta(seconds=40)


async def test_a_binding_that_nspk_refuses_to_speak_about_expires(
    database: Any, engine: Engine, refusing: NspkTransport
) -> None:
    filled(database, {"account_bindings": WAITING})
    clock = MovedClock()
    calls = BindingCalls(engine, NspkBindingsHttp(refusing, "A00000000001"), clock)

    clock.at = OVER_AT
    assert await calls.poll_due() == 1

    async with transaction(engine) as session:
        found = await binding_repository.load_binding(session, BINDING, merchant_id=None)
    assert found.status.value == "expired"


async def test_a_plate_that_nobody_answers_about_ends_its_attempt_and_not_its_order(
    database: Any, engine: Engine, refusing: NspkTransport
) -> None:
    """Asked three times without an answer, where the till allows two repeats: the sum is taken off the plate later."""
    changes = {"cash_link_activations": REQUESTED | {"arms": 3}, "attempts": {"status": "unknown"}}
    filled(database, changes)
    with psycopg.connect(database.superuser_url) as connection:
        said = {
            "merchant_id": MERCHANT, "level": "merchant", "place": MERCHANT, "name": "cancel_after_retries",
            "value": "2", "changed_at": NOW,
        }  # fmt: skip
        insert(connection, "premises_settings", said)
    clock = MovedClock()
    clock.at = datetime.fromisoformat(NOW)

    await looked_at(SaleReader(engine, NspkCashLinksHttp(refusing, "A00000000001"), clock), engine)

    async with transaction(engine) as session:
        found = await session.execute(
            text("""SELECT a.status, o.status AS order_status, u.tries FROM attempts AS a
                      JOIN orders AS o ON o.id = a.order_id JOIN unanswered_attempts AS u ON u.attempt_id = a.id""")
        )
        assert tuple(found.one()) == ("expired", "open", 3)
