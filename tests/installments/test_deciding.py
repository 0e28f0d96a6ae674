"""A buyer gets a plan or a reason: every refusal, every border, and two plans that would pass a limit together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from installments import buyers, deciding, decision_policies, limits, scoring, stop_lists
from installments.buyer_errors import BirthDateMissing, BuyerNotFound, PhoneNotVerified, PolicyRefused
from installments.deciding import decide, find_decision
from installments.decision_policies import DecisionPolicy
from installments.plan import PlanStatus, Standing
from installments.scoring import Assessment, ScoringFacts
from installments.stop_lists import StopListKind
from ledger.database import Engine, Session, in_transaction, text, transaction
from pci.secret import Secret
from tests.installments.buyer_world import (
    KEY,
    NOW,
    PHONE,
    TODAY,
    BuyerWorld,
    decide_and_save,
    over,
    owed,
)

Given = Callable[[BuyerWorld], Awaitable[Any]]


@pytest_asyncio.fixture
async def world(engine: Engine) -> BuyerWorld:
    """One merchant, no buyer."""
    return await BuyerWorld(engine).begin()


async def test_a_grown_buyer_with_a_verified_phone_gets_a_plan(world: BuyerWorld) -> None:
    made = await world.decide(await world.buyer())

    assert made.is_approved
    assert [verdict.rule for verdict in made.verdicts] == [
        "age", "stop_lists", "frozen", "arrears", "limit", "bureau", "scoring",
    ]  # fmt: skip
    assert (made.policy, made.policy_version, made.reasons, made.needs_bureau) == ("house", 1, (), False)


async def minor(world: BuyerWorld) -> Any:
    return await world.buyer(born_on=date(2008, 11, 23))


async def listed(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        digest = stop_lists.digest_of(KEY, StopListKind.PHONE, Secret(PHONE))
        await session.execute(text("UPDATE buyers SET phone_digest = :d"), {"d": digest})
        await stop_lists.add_lines(
            session, StopListKind.PHONE, [digest], reason="fraud", source="bank:1", by="person:per_1", now=NOW
        )
    return buyer


async def listed_by_document(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        digest = stop_lists.digest_of(KEY, StopListKind.DOCUMENT, Secret("45 08 123456"))
        await session.execute(text("UPDATE buyers SET document_digest = :d"), {"d": digest})
        await stop_lists.add_lines(
            session, StopListKind.DOCUMENT, [digest], reason="lost", source="police", by="person:per_1", now=NOW
        )
    return buyer


async def frozen(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        return await buyers.freeze(session, buyer.id, "suspected_fraud", by="person:per_1", now=NOW)


async def overdue(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    await world.plan(**owed(buyer, 100_00, due_on=TODAY - timedelta(days=3)))
    return buyer


async def lately_overdue(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    await seen_in_arrears(world, TODAY - timedelta(days=14))
    return buyer


async def written_off(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    await world.plan(**over(buyer, Standing.WRITTEN_OFF))
    return buyer


async def with_ten_plans(world: BuyerWorld) -> Any:
    buyer = await world.buyer()
    for _ in range(10):
        await world.plan(**owed(buyer, 1_00))
    return buyer


async def once_overdue(world: BuyerWorld) -> Any:
    buyer = await world.buyer(limit=1_999_99)
    await seen_in_arrears(world, TODAY - timedelta(days=15))
    return buyer


async def seen_in_arrears(world: BuyerWorld, on: date) -> None:
    async with transaction(world.engine) as session:
        await session.execute(text("UPDATE buyers SET arrears_seen_on = :on"), {"on": on})


REFUSED: list[Any] = [
    pytest.param(minor, 1_000_00, "installments.under_age", id="18 tomorrow"),
    pytest.param(listed, 1_000_00, "installments.stop_listed", id="the phone is on a stop list"),
    pytest.param(listed_by_document, 1_000_00, "installments.stop_listed", id="the document is on a stop list"),
    pytest.param(frozen, 1_000_00, "installments.buyer_frozen", id="frozen by a person"),
    pytest.param(overdue, 1_000_00, "installments.arrears_recent", id="three days past due"),
    pytest.param(lately_overdue, 1_000_00, "installments.arrears_recent", id="arrears seen two weeks ago"),
    pytest.param(lambda w: w.buyer(limit=999_99), 1_000_00, "installments.limit_exceeded", id="a kopeck over"),
    pytest.param(lambda w: w.buyer(), 50_000_01, "installments.bureau_report_required", id="to be told, and no bureau"),
    pytest.param(written_off, 1_000_00, "installments.debt_written_off", id="an earlier debt was written off"),
    pytest.param(with_ten_plans, 1_000_00, "installments.too_many_plans", id="ten plans at once"),
    pytest.param(once_overdue, 1_000_00, "installments.limit_share_exceeded", id="half a limit after arrears"),
]


@pytest.mark.parametrize(("given", "price", "reason"), REFUSED)
async def test_a_buyer_is_refused_with_a_reason(world: BuyerWorld, given: Given, price: int, reason: str) -> None:
    buyer = await given(world)

    made = await world.decide(buyer, price)

    assert not made.is_approved
    assert made.reasons[0] == reason
    async with transaction(world.engine) as session:
        assert await find_decision(session, made.plan_id) == made


async def test_a_first_plan_is_capped_also_where_a_bureau_is_told(world: BuyerWorld) -> None:
    await bureau(world, is_ready=True)
    buyer = await world.buyer()

    made = await world.decide(buyer, 50_000_01)

    assert (made.reasons, made.needs_bureau) == (("installments.first_plan_too_large",), True)


ACCEPTED: list[Any] = [
    pytest.param(lambda w: w.buyer(born_on=date(2008, 11, 22)), 1_000_00, id="18 today"),
    pytest.param(lambda w: w.buyer(limit=1_000_00), 1_000_00, id="the limit to the kopeck"),
    pytest.param(lambda w: w.buyer(), 50_000_00, id="the bureau's threshold to the kopeck"),
]


@pytest.mark.parametrize(("given", "price"), ACCEPTED)
async def test_a_border_belongs_to_the_buyer(world: BuyerWorld, given: Given, price: int) -> None:
    made = await world.decide(await given(world), price)

    assert (made.reasons, made.needs_bureau) == ((), False)


async def test_two_days_past_due_or_fifteen_days_after_arrears_freeze_nobody(world: BuyerWorld) -> None:
    late = await world.buyer()
    await world.plan(**owed(late, 100_00, due_on=TODAY - timedelta(days=2)))
    healed = await world.buyer("+79160000001")
    async with transaction(world.engine) as session:
        await session.execute(
            text("UPDATE buyers SET arrears_seen_on = :on WHERE id = :id"),
            {"on": TODAY - timedelta(days=15), "id": healed.id},
        )

    assert (await world.decide(late)).is_approved
    assert (await world.decide(healed)).is_approved


async def test_the_age_is_that_of_the_day_of_the_contract_in_moscow(world: BuyerWorld) -> None:
    buyer = await world.buyer(born_on=date(2008, 11, 23))
    last_moment = datetime(2026, 11, 22, 20, 59, 59, tzinfo=UTC)

    assert (await world.decide(buyer, now=last_moment)).reasons == ("installments.under_age",)
    assert (await world.decide(buyer, now=last_moment + timedelta(seconds=1))).is_approved


async def test_debt_counts_towards_the_bureaus_threshold(world: BuyerWorld) -> None:
    await bureau(world, is_ready=True)
    buyer = await world.buyer()
    await world.plan(**over(buyer))
    await world.plan(40_000_00, **owed(buyer, 30_000_00))

    at = await world.decide(buyer, 20_000_00)
    above = await world.decide(buyer, 1)

    assert (at.is_approved, at.needs_bureau) == (True, False)
    assert (above.is_approved, above.needs_bureau) == (True, True)


async def test_before_the_law_no_bureau_is_needed(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    await world.plan(**over(buyer))

    made = await world.decide(buyer, 60_000_00, now=datetime(2026, 3, 31, 9, 0, tzinfo=UTC))

    assert (made.is_approved, made.needs_bureau) == (True, False)


async def test_plans_on_their_way_use_the_limit_and_those_given_up_do_not(world: BuyerWorld) -> None:
    buyer = await world.buyer(limit=10_000_00)
    await world.plan(4_000_00, buyer_id=buyer.id, status=PlanStatus.APPROVED)
    await world.plan(3_000_00, buyer_id=buyer.id, status=PlanStatus.WAIT_FOR_COMMIT)
    await world.plan(9_000_00, buyer_id=buyer.id, status=PlanStatus.CANCELED)
    await world.plan(9_000_00, buyer_id=buyer.id)
    await world.plan(9_000_00, **owed(buyer, 2_000_00))

    async with transaction(world.engine) as session:
        use = await limits.limit_use(session, buyer.id, now=NOW)

    assert (use.used, use.free) == (9_000_00, 1_000_00)
    assert (await world.decide(buyer, 1_000_01)).reasons == ("installments.limit_exceeded",)
    assert (await world.decide(buyer, 1_000_00)).is_approved


async def test_two_plans_accepted_at_once_do_not_pass_the_limit_together(world: BuyerWorld) -> None:
    buyer = await world.buyer(limit=1_500_00)
    plans = [await world.plan(1_000_00) for _ in range(6)]

    made = await asyncio.gather(*(
        in_transaction(world.engine, lambda session, plan=plan: decide_and_save(session, plan.id, buyer))  # type: ignore[misc]
        for plan in plans
    ))  # fmt: skip

    assert sum(decision.is_approved for decision in made) == 1
    async with transaction(world.engine) as session:
        assert (await limits.limit_use(session, buyer.id, now=NOW)).used == 1_000_00


async def test_a_plan_is_decided_about_once(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    plan = await world.plan()

    async with transaction(world.engine) as session:
        first = await decide(session, plan, buyer, now=NOW)
        await limits.set_limit(session, buyer.id, 0, reason="asked", by="person:per_1", now=NOW)
        again = await decide(session, plan, buyer, now=NOW + timedelta(hours=1))

    assert again == first


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        pytest.param({"born_on": None}, BirthDateMissing, id="no birth date"),
        pytest.param({"is_verified": False}, PhoneNotVerified, id="phone not verified"),
    ],
)
async def test_nothing_is_decided_about_who_is_not_known(
    world: BuyerWorld, more: dict[str, Any], refusal: type[Exception]
) -> None:
    buyer = await world.buyer(**more)
    plan = await world.plan()

    async with transaction(world.engine) as session:
        with pytest.raises(refusal):
            await decide(session, plan, buyer, now=NOW)
        assert await find_decision(session, plan.id) is None


async def test_a_phone_that_cannot_be_looked_up_is_refused_once_a_list_names_phones(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        digest = stop_lists.digest_of(KEY, StopListKind.PHONE, Secret("+79990000000"))
        await stop_lists.add_lines(
            session, StopListKind.PHONE, [digest], reason="fraud", source="bank:1", by="person:per_1", now=NOW
        )

    made = await world.decide(buyer)

    assert made.reasons == ("installments.stop_listed",)
    assert made.facts["stop_lists"] == ["phone_not_digested"]


async def test_a_line_taken_off_a_stop_list_names_nobody(world: BuyerWorld) -> None:
    buyer = await listed(world)
    async with transaction(world.engine) as session:
        line = (await stop_lists.find_lines(session, phone=await phone_digest(session), document=None))[0]
        await stop_lists.remove_line(session, line.id, by="person:per_2", now=NOW)

    assert (await world.decide(buyer)).is_approved


async def phone_digest(session: Any) -> bytes:
    return bytes(await session.scalar(text("SELECT phone_digest FROM buyers")))


async def test_an_unknown_buyer_is_refused(world: BuyerWorld) -> None:
    async with transaction(world.engine) as session:
        with pytest.raises(BuyerNotFound):
            await limits.limit_use(session, "byr_" + "0" * 26, now=NOW)


async def test_a_new_version_of_the_policy_decides_from_its_day_on(world: BuyerWorld) -> None:
    async with transaction(world.engine) as session:
        harder = replace(await next_policy(session), age_min=40)
        await decision_policies.publish_policy(session, harder, **BY_A_PERSON, now=NOW)
    buyer = await world.buyer()

    today = await world.decide(buyer)
    tomorrow = await world.decide(buyer, now=NOW + timedelta(days=1))

    assert (today.is_approved, today.policy_version) == (True, 1)
    assert (tomorrow.reasons, tomorrow.policy_version) == (("installments.under_age",), 2)


async def next_policy(session: Session) -> DecisionPolicy:
    """The next version, from tomorrow on."""
    return replace(await decision_policies.policy_on(session, TODAY), effective_on=TODAY + timedelta(days=1))


BY_A_PERSON = {"actor": "person:per_1", "origin": "req_1"}
POLICIES_REFUSED: list[Any] = [
    pytest.param({"effective_on": TODAY - timedelta(days=1)}, id="from yesterday on"),
    pytest.param({"effective_on": date(1990, 1, 1)}, id="on the day of another"),
    pytest.param({"scoring": "oracle"}, id="a scoring that nobody wrote"),
]


@pytest.mark.parametrize("change", POLICIES_REFUSED)
async def test_a_policy_that_could_not_decide_is_refused(world: BuyerWorld, change: dict[str, Any]) -> None:
    async with transaction(world.engine) as session:
        policy = replace(await next_policy(session), **change)
        with pytest.raises(PolicyRefused):
            await decision_policies.publish_policy(session, policy, **BY_A_PERSON, now=NOW)


@dataclass(frozen=True)
class NeverScoring:
    """A house's own scoring, which says no and cannot say why."""

    name: str = "never"
    version: int = 7

    def assess(self, _facts: ScoringFacts) -> Assessment:
        return Assessment(False, 0, ())


async def test_a_policy_picks_the_scoring_of_a_house(world: BuyerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SCORINGS", {**scoring.SCORINGS})
    scoring.SCORINGS["never"] = NeverScoring()  # type: ignore[index]
    for module in (decision_policies, deciding):
        monkeypatch.setattr(module, "SCORINGS", scoring.SCORINGS)
    async with transaction(world.engine) as session:
        policy = replace(await next_policy(session), scoring="never")
        await decision_policies.publish_policy(session, policy, **BY_A_PERSON, now=NOW)

    made = await world.decide(await world.buyer(), now=NOW + timedelta(days=1))

    assert (made.reasons, made.score) == (("installments.scoring_rejected",), 0)
    assert made.facts["scoring"] == "never/7"


async def test_whoever_was_late_at_night_and_paid_waits_for_two_weeks(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    plan = await world.plan(**owed(buyer, 100_00, due_on=TODAY - timedelta(days=3)))
    async with transaction(world.engine) as session:
        await limits.note_arrears(session, on=TODAY)
        await session.execute(
            text("""UPDATE installment_plans SET outstanding_kopecks = 0, standing = 'repaid', next_due_on = NULL
                     WHERE id = :id"""),
            {"id": plan.id},
        )
        assert await limits.note_arrears(session, on=TODAY + timedelta(days=1)) is None

    within = await world.decide(buyer, now=NOW + timedelta(days=14))
    after = await world.decide(buyer, now=NOW + timedelta(days=15))

    assert (within.reasons, after.reasons) == (("installments.arrears_recent",), ())


async def test_a_decision_tells_nobody_who_the_buyer_is(world: BuyerWorld) -> None:
    made = await world.decide(await world.buyer())

    async with transaction(world.engine) as session:
        row = (await session.execute(text("SELECT facts::text || verdicts::text AS kept FROM plan_decisions"))).one()
    assert made.buyer_id not in row.kept
    assert "1990" not in row.kept
    assert "916" not in row.kept


async def test_the_night_writes_down_who_is_overdue(world: BuyerWorld) -> None:
    late, current = await world.buyer(), await world.buyer("+79160000001")
    await world.plan(**owed(late, 100_00, due_on=TODAY - timedelta(days=3)))
    await world.plan(**owed(current, 100_00, due_on=TODAY - timedelta(days=2)))

    async with transaction(world.engine) as session:
        assert await limits.note_arrears(session, on=TODAY) is None
        seen = [(await buyers.load_buyer(session, buyer.id)).arrears_seen_on for buyer in (late, current)]

    assert seen == [TODAY, None]


async def bureau(world: BuyerWorld, *, is_ready: bool) -> None:
    async with transaction(world.engine) as session:
        assert await decision_policies.note_bureau(session, is_ready, now=NOW)
