from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ledger import accounts, holds, journal
from ledger.database import Engine, Session, transaction
from ledger.errors import EntryRejected
from ledger.proofs import broken_proofs
from tests.ledger.books import CASH, PAYABLE, entry


async def fund(session: Session, now: datetime, amount: int = 1_000) -> None:
    await journal.post(session, entry("fund", CASH, PAYABLE, amount, now), now=now)


def request(now: datetime, amount: int = 300, reference: str = "h1", **more: datetime) -> holds.HoldRequest:
    return holds.HoldRequest(reference, "payout", PAYABLE, CASH, amount, now, **more)  # type: ignore[arg-type]


async def three_balances(session: Session, code: str = PAYABLE) -> tuple[int, int, int]:
    account = await accounts.find_account(session, code)
    assert account is not None
    return account.balance, account.pending, account.available


async def test_a_hold_lowers_what_is_available_and_leaves_what_is_booked(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        await holds.place(session, request(now), now=now)

        assert await three_balances(session) == (1_000, 700, 700)
        assert await three_balances(session, CASH) == (1_000, 700, 700)


async def test_money_on_its_way_in_is_pending_and_not_available(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        await holds.place(session, holds.HoldRequest("in", "topup", CASH, PAYABLE, 50, now), now=now)

        assert await three_balances(session) == (1_000, 1_050, 1_000)


async def test_a_hold_is_posted_in_parts_and_the_rest_is_given_back(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        hold = await holds.place(session, request(now), now=now)
        await holds.post_part(session, hold.id, reference="p1", amount=100, keep_rest=True, happened_at=now, now=now)
        assert await three_balances(session) == (900, 700, 700)

        await holds.post_part(session, hold.id, reference="p2", amount=150, happened_at=now, now=now)

        closed = await holds.find_hold(session, hold.id)
        assert closed is not None
        assert (closed.state, closed.amount_posted, closed.amount_released) == ("posted", 250, 50)
        assert await three_balances(session) == (750, 750, 750)
        assert await broken_proofs(session) == []


async def test_every_step_repeats_without_a_second_effect(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        hold = await holds.place(session, request(now), now=now)
        assert (await holds.place(session, request(now), now=now)).id == hold.id
        first = await holds.post_part(session, hold.id, reference="p", happened_at=now, now=now)
        assert await holds.post_part(session, hold.id, reference="p", happened_at=now, now=now) == first

        other = await holds.place(session, request(now, 100, "h2"), now=now)
        assert await holds.release(session, other.id, reference="r", happened_at=now) == 100
        assert await holds.release(session, other.id, reference="r", happened_at=now) == 100

        assert await three_balances(session) == (700, 700, 700)


async def test_holds_expire_when_their_time_has_passed(books: Engine, now: datetime) -> None:
    late = now + timedelta(minutes=5)
    async with transaction(books) as session:
        await fund(session, now)
        hold = await holds.place(session, request(now, expires_at=late), now=now)
        assert await holds.due_holds(session, now=now) == []
        assert not await holds.expire(session, hold.id, now=now)
    with pytest.raises(EntryRejected) as caught:
        async with transaction(books) as session:
            await holds.post_part(session, hold.id, reference="p", happened_at=late, now=late)
    assert caught.value.code == "ledger.hold_expired"

    async with transaction(books) as session:
        assert await holds.due_holds(session, now=late) == [hold.id]
        assert await holds.expire(session, hold.id, now=late)
        assert await holds.due_holds(session, now=late) == []
        assert await three_balances(session) == (1_000, 1_000, 1_000)


@pytest.mark.parametrize(
    ("code", "step"),
    [
        pytest.param("ledger.hold_exceeded", {"amount": 301}, id="more than is held"),
        pytest.param("ledger.hold_not_open", {"after_release": True}, id="already released"),
        pytest.param("ledger.reference_reused", {"reference": "h1"}, id="the hold's own reference"),
    ],
)
async def test_a_refused_step_changes_nothing(books: Engine, now: datetime, code: str, step: dict[str, object]) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        hold = await holds.place(session, request(now), now=now)
        if step.pop("after_release", False):
            await holds.release(session, hold.id, reference="r", happened_at=now)
        before = await three_balances(session)
    with pytest.raises(EntryRejected) as caught:
        async with transaction(books) as session:
            await holds.post_part(
                session,
                hold.id,
                **({"reference": "p", "happened_at": now, "now": now} | step),  # type: ignore[arg-type]
            )
    assert caught.value.code == code
    async with transaction(books) as session:
        assert await three_balances(session) == before


async def test_a_hold_may_not_overdraw(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now, 299)
    with pytest.raises(EntryRejected) as caught:
        async with transaction(books) as session:
            await holds.place(session, request(now), now=now)

    assert caught.value.code == "ledger.overdrawn"
    assert caught.value.facts["account"] == PAYABLE


async def test_what_is_held_cannot_be_spent_by_an_entry(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        await holds.place(session, request(now, 900), now=now)
        (verdict,) = await journal.post_batch(session, [entry("spend", PAYABLE, CASH, 200, now)], now=now)

    assert getattr(verdict, "code", None) == "ledger.overdrawn"


async def test_holds_are_listed_by_account_and_state(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await fund(session, now)
        placed = [await holds.place(session, request(now, 10, f"h{n}"), now=now) for n in range(3)]
        await holds.release(session, placed[1].id, reference="r", happened_at=now)

        page, has_more = await holds.list_holds(session, account=PAYABLE, state="open", limit=1)
        rest, ends = await holds.list_holds(session, account=PAYABLE, state="open", after=page[0].id)

    assert [hold.id for hold in (*page, *rest)] == [placed[0].id, placed[2].id]
    assert (has_more, ends) == (True, False)
