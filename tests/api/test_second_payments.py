"""A code or an activation takes one payment; should NSPK say that it took another, that money is not lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from structlog.testing import capture_logs

from api import payment_results, sale_results, unmatched_money
from ledger.accounts import find_account
from ledger.database import Engine, Session, transaction
from ledger.money import Kopecks
from ledger.proofs import broken_proofs
from sbp_gateway import refund_rows, unmatched_repository
from sbp_gateway.cash_links import LinkState, SaleState
from sbp_gateway.nspk import LinkStatus, OperationStatus
from sbp_gateway.unmatched_payments import UnmatchedPayment
from tests.api.test_cash_link_constraints import ACTIVATION, LINK, ROWS
from tests.api.test_rail_constraints import QR, insert
from tests.sbp_gateway.refund_books import books_of

FIRST, SECOND = "A" * 32, "B" * 32
RECEIPTS = "liability:unmatched_receipts:sbp"


async def kept(session: Session) -> Sequence[UnmatchedPayment]:
    found, _ = await unmatched_repository.list_unmatched(session, merchant_id=None, status=None, after="", limit=10)
    return found


async def owed(session: Session) -> int:
    account = await find_account(session, RECEIPTS)
    assert account is not None
    return int(account.balance)


async def test_a_second_payment_of_a_code_waits_for_a_person_once(database: Any, engine: Engine, now: datetime) -> None:
    await books_of(database, engine, now)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE qr_codes SET status = 'paid', next_poll_at = NULL")

    with capture_logs() as logs:
        for trx_id in (FIRST, SECOND, SECOND, FIRST):
            answer = LinkStatus("A" * 32, "RQ00000", OperationStatus.ACCEPTED, trx_id, "9F2C")
            async with transaction(engine) as session:
                assert await payment_results.carry_out(session, [answer], {}, now=now) == {"A" * 32}

    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["sbp_link_paid_twice"]
    async with transaction(engine) as session:
        (payment,) = await kept(session)
        assert (payment.trx_id, payment.amount, payment.qr_id, payment.reason.value) == (
            SECOND,
            100,
            QR,
            "paid_already",
        )
        assert await owed(session) == 100
        assert await broken_proofs(session) == []


async def test_a_second_payment_of_a_code_goes_back_under_its_link(
    database: Any, engine: Engine, now: datetime
) -> None:
    await books_of(database, engine, now)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE qr_codes SET status = 'paid', next_poll_at = NULL")
    answer = LinkStatus("A" * 32, "RQ00000", OperationStatus.ACCEPTED, SECOND, "9F2C")
    async with transaction(engine) as session:
        await payment_results.carry_out(session, [answer], {}, now=now)
        (payment,) = await kept(session)

    async with transaction(engine) as session:
        returned = await unmatched_money.give_back(session, payment.id, merchant_id=None, now=now)
        assert returned.payment_id is not None
        late = await refund_rows.load_payment(session, returned.payment_id)

    assert (late.qrc_id, late.trx_id, late.is_late) == ("A" * 32, SECOND, True)
    async with transaction(engine) as session:
        assert await payment_results.carry_out(session, [answer], {}, now=now) == {"A" * 32}
        assert len(await kept(session)) == 1
        assert await owed(session) == 0
        assert await broken_proofs(session) == []


async def test_a_second_payment_of_an_activation_waits_for_a_person_once(
    database: Any, engine: Engine, now: datetime
) -> None:
    await books_of(database, engine, now)
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "cash_links", ROWS["cash_links"])
        paid = {"status": "paid", "next_poll_at": None}
        insert(connection, "cash_link_activations", ROWS["cash_link_activations"] | paid)
        connection.execute("UPDATE sbp_payments SET qr_id = NULL, activation_id = %s", [ACTIVATION])

    with capture_logs() as logs:
        for trx_id in (FIRST, SECOND, SECOND, FIRST):
            sale = SaleState(LinkState.INACTIVATED, OperationStatus.ACCEPTED, trx_id, Kopecks(250), None, "9F2C")
            async with transaction(engine) as session:
                assert await sale_results.carry_out(session, ACTIVATION, "p1", sale, now=now)

    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["sbp_link_paid_twice"]
    async with transaction(engine) as session:
        (payment,) = await kept(session)
        assert (payment.trx_id, payment.amount, payment.cash_link_id) == (SECOND, 250, LINK)
        assert await owed(session) == 250
        assert await broken_proofs(session) == []
