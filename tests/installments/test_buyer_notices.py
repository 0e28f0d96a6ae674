"""What buyers are told of what was recorded, and when they may be disturbed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.messages_gateway import SendStatus
from api.plan_notices import send_notices
from installments import dunning, notices, recording
from installments.errors import MovementDiffers
from installments.movements import Movement, MovementKind
from installments.notice_texts import TEXTS, Template
from ledger.database import Engine, Session, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.installments.collection_world import NOW, at
from tests.installments.test_collecting import clock_at
from tests.installments.test_dunning import SECOND_ON, Phone, plans

LATER = NOW + timedelta(hours=1)


def movement(plan_id: str, kind: MovementKind, amount: int, reference: str) -> Movement:
    return Movement(new_id("mov", LATER), plan_id, kind, Kopecks(amount), LATER, reference)


async def record(engine: Engine, *movements: Movement) -> None:
    async with transaction(engine) as session:
        await recording.record_all(session, movements, now=LATER)


async def told(engine: Engine) -> list[tuple[str, Any]]:
    async with Session(engine) as session:
        rows = await session.exec_driver_sql("SELECT template, facts FROM plan_notices ORDER BY id, template DESC")
        return sorted((row.template, row.facts.get("amount")) for row in rows)


async def test_who_has_paid_all_is_told_once(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    await record(engine, movement(plan_id, MovementKind.EARLY_PAYMENT, 2_999_99, "bank:1"))
    assert await told(engine) == []

    last = movement(plan_id, MovementKind.EARLY_PAYMENT, 1, "bank:2")
    for _ in range(2):
        await record(engine, last)
    assert await told(engine) == [("repaid", None)]


async def test_who_gave_goods_back_is_told_how_much(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    back = movement(plan_id, MovementKind.MERCHANT_REFUND, 1_000_00, "refund:1")
    for _ in range(2):
        await record(engine, back)
    assert await told(engine) == [("refund", 1_000_00)]

    await record(engine, movement(plan_id, MovementKind.MERCHANT_REFUND, 3_000_00, "refund:2"))
    assert await told(engine) == [("refund", 1_000_00), ("refund", 3_000_00)]  # nobody is thanked for paying


async def test_a_recording_that_fails_tells_nobody(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    paid = movement(plan_id, MovementKind.EARLY_PAYMENT, 3_000_00, "bank:1")
    with pytest.raises(MovementDiffers):
        await record(engine, paid, replace(paid, amount=Kopecks(1)))
    async with Session(engine) as session:
        await recording.record_all(session, [paid], now=LATER)  # and is never committed
    assert await told(engine) == []


async def test_neither_a_repeat_nor_a_late_worker_disturbs_at_night(engine: Engine) -> None:
    await plans(engine, 2)
    async with transaction(engine) as session:
        await dunning.move_stages(session, SECOND_ON + timedelta(days=1), now=at(SECOND_ON, 1))
    phone = Phone(SendStatus.UNKNOWN)
    late = SECOND_ON + timedelta(days=1)
    for hour in (23, 23):
        assert await send_notices(engine, phone, clock_at(at(late, hour))) == 0  # type: ignore[arg-type]
    assert await send_notices(engine, phone, clock_at(at(late + timedelta(days=1), 8, 59))) == 0  # type: ignore[arg-type]
    assert await send_notices(engine, phone, clock_at(at(late + timedelta(days=1), 19, 59))) == 2  # type: ignore[arg-type]
    assert await send_notices(engine, phone, clock_at(at(late + timedelta(days=1), 20))) == 0  # type: ignore[arg-type]
    assert await send_notices(engine, phone, clock_at(at(late + timedelta(days=2), 9))) == 1  # type: ignore[arg-type]
    assert len(phone.given) == 3


async def test_an_answer_to_what_has_just_happened_is_sent_at_night(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    await record(engine, movement(plan_id, MovementKind.EARLY_PAYMENT, 3_000_00, "bank:1"))
    phone = Phone()
    assert await send_notices(engine, phone, clock_at(at(SECOND_ON, 3))) == 1  # type: ignore[arg-type]
    assert [said for _, _, said in phone.given] == ["Рассрочка выплачена полностью. Спасибо!"]


def test_no_text_says_what_need_not_be_so() -> None:
    """Not every debt is reported to a bureau; who is told so must be."""
    for text in TEXTS.values():
        assert not any(word in text.lower() for word in ("бюро", "bureau"))
    assert notices.LANE_OF[Template.NEWS] is notices.Lane.MASS
