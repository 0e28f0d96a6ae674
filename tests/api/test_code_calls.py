"""Codes reach phones and nothing else: lost ones may be asked for again, wrong ones count, and no log holds either."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest
import pytest_asyncio

from api.buyer_key import buyers_key, required_key
from api.code_calls import CodeCalls
from api.data_dir import StartRefused
from api.settings import Mode, Settings
from installments import buyers, deciding
from installments.buyer import Buyer
from installments.buyer_errors import CodesNotConfigured, CodesTooOften, CodeWrong, MessagesUnavailable
from installments.codes import CodePurpose, CodeSending
from ledger.clock import Clock
from ledger.database import Engine, transaction
from tests.api.message_world import MessageWorld, message_world
from tests.conftest import Database
from tests.installments.buyer_world import GROWN, KEY, BuyerWorld

PHONE = "+79168765432"
READER = {"httpx", "httpcore", "uvicorn"}
"""Whoever reads a phone in this test names it; the sandbox itself writes no access log."""


@dataclass
class Desk:
    """A process that sends codes, and a buyer."""

    calls: CodeCalls
    messages: MessageWorld
    buyer: Buyer
    clock: Clock

    async def code(self) -> str:
        """The newest code on the buyer's phone."""
        text = str((await self.messages.read(PHONE))[-1]["text"])
        return text.removeprefix("Код ")[:6]


@pytest_asyncio.fixture
async def desk(engine: Engine) -> AsyncIterator[Desk]:
    async with message_world() as messages:
        world, clock = await BuyerWorld(engine).begin(), Clock()
        buyer = await world.buyer(PHONE, is_verified=False)
        yield Desk(CodeCalls(engine, messages.gateway, clock, KEY), messages, buyer, clock)


async def test_a_code_that_came_and_was_entered_verifies_the_phone(desk: Desk, engine: Engine) -> None:
    way = await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)

    assert (way.sending, way.phone_mask) == (CodeSending.SENT, "+7******5432")
    assert await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", await desk.code()) == way.code_id
    async with transaction(engine) as session:
        assert (await buyers.load_buyer(session, desk.buyer.id)).phone_verified_at is not None


async def test_a_wrong_code_is_refused_and_counted(desk: Desk) -> None:
    await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)
    wrong = f"{(int(await desk.code()) + 1) % 1_000_000:06d}"

    left = []
    for _ in range(2):
        with pytest.raises(CodeWrong) as refusal:
            await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", wrong)
        left.append(refusal.value.facts["tries_left"])

    assert left == [4, 3]


async def test_a_message_whose_answer_was_lost_may_have_come_and_its_code_does(desk: Desk) -> None:
    await desk.messages.faults(lost_answer=1)

    way = await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)

    assert way.sending is CodeSending.UNKNOWN
    assert await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", await desk.code()) == way.code_id


async def test_whoever_lost_a_message_asks_again_after_the_pause(desk: Desk) -> None:
    await desk.messages.faults(lost_request=1)
    lost = await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)
    await desk.messages.faults(lost_request=0)

    with pytest.raises(CodesTooOften):
        await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)
    desk.clock.offset = timedelta(minutes=1, seconds=1)
    second = await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)

    assert (lost.sending, second.sending) == (CodeSending.UNKNOWN, CodeSending.SENT)
    assert await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", await desk.code()) == second.code_id


async def test_a_phone_that_takes_no_messages_is_told_of(desk: Desk, engine: Engine) -> None:
    async with transaction(engine) as session:
        deaf = await buyers.find_or_add_buyer(session, "+79160000000", now=desk.clock.now())

    with pytest.raises(MessagesUnavailable):
        await desk.calls.send_code(deaf.id, CodePurpose.PHONE)


async def test_without_a_key_no_code_is_sent(desk: Desk) -> None:
    with pytest.raises(CodesNotConfigured):
        await replace(desk.calls, key=None).send_code(desk.buyer.id, CodePurpose.PHONE)


def test_a_sandbox_makes_its_own_key_and_production_does_not() -> None:
    one, two = (Settings(database_url=f"postgresql://{name}@/k") for name in ("a", "b"))  # type: ignore[arg-type]

    assert required_key(buyers_key(one)) == required_key(buyers_key(one))
    assert buyers_key(one) != buyers_key(two)
    assert buyers_key(Settings(mode=Mode.PRODUCTION)) is None
    with pytest.raises(StartRefused, match="KOPEYKA_BUYERS_KEY"):
        buyers_key(Settings(buyers_key="short"))  # type: ignore[arg-type]


async def test_no_phone_name_or_code_is_in_any_log_event_or_leaf(
    desk: Desk, engine: Engine, database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = {PHONE, PHONE[1:], PHONE[2:], GROWN.isoformat()}
    await desk.calls.send_code(desk.buyer.id, CodePurpose.PHONE)
    planted.add(await desk.code())
    with pytest.raises(CodeWrong) as refusal:
        await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", "not it")
    await desk.calls.enter_code(desk.buyer.id, CodePurpose.PHONE, "", await desk.code())
    plan = await BuyerWorld(engine).plan()
    async with transaction(engine) as session:
        await deciding.decide(session, plan, desk.buyer, now=desk.clock.now())
        await buyers.freeze(session, desk.buyer.id, "suspected_fraud", by="person:per_1", now=desk.clock.now())
    planted.add("not it")

    kept = everything_but_buyers(database)
    ours = [record.getMessage() for record in caplog.records if record.name.split(".")[0] not in READER]
    told = "\n".join(ours) + "".join(capfd.readouterr()) + str(refusal.value) + str(refusal.value.facts)

    assert "buyer_code.used" in kept
    assert "plan.decided" in kept
    assert [secret for secret in planted if secret in kept] == []
    assert [secret for secret in planted if secret in told] == []


def everything_but_buyers(database: Database) -> str:
    """Every row of every table as text, without the one table where personal data is."""
    with psycopg.connect(database.superuser_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        rows = [
            row[0]
            for (table,) in tables
            if table != "buyers"
            for row in connection.execute(f"SELECT t::text FROM {table} AS t")  # type: ignore[arg-type]
        ]
        leaves = connection.execute("SELECT convert_from(event, 'utf8') FROM audit_events").fetchall()
    return "\n".join([*rows, *(leaf[0] for leaf in leaves)])
