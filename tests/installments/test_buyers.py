"""Buyers are found by a phone, told of once, identified, frozen, given limits, and erased when nothing is owed."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from installments import buyer_rows, buyers, limits
from installments.buyer import (
    Buyer,
    Identification,
    PersonalDetails,
    age_on,
    checked_details,
    checked_limit,
    phone_mask,
    read_phone,
)
from installments.buyer_errors import (
    BirthDateFixed,
    BuyerNotFound,
    DebtOpen,
    DetailsMalformed,
    LimitOutOfRange,
    PhoneMalformed,
)
from installments.codes import CodePurpose, enter_code, new_code
from installments.consents import find_consent, give_consent
from installments.plan import PlanStatus, Standing
from ledger.database import Engine, Session, in_transaction, text, transaction
from ledger.money import Kopecks
from tests.installments.buyer_world import KEY, NOW, PHONE, TODAY, BuyerWorld, over, owed


@pytest_asyncio.fixture
async def world(engine: Engine) -> BuyerWorld:
    return await BuyerWorld(engine).begin()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("+79161234567", "+79161234567", id="as kept"),
        pytest.param("8 (916) 123-45-67", "+79161234567", id="with eight and brackets"),
        pytest.param("7 916 123 45 67", "+79161234567", id="with seven"),
        pytest.param("+998 90 123-45-67", "+998901234567", id="Uzbekistan"),
        pytest.param("+7\u00a0916\u2013123\u201345\u201367", "+79161234567", id="pasted from a page"),
    ],
)
def test_a_phone_is_read_as_people_write_it(written: str, read: str) -> None:
    assert read_phone(written).expose() == read


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="nothing"),
        pytest.param("9161234567", id="no country"),
        pytest.param("+7916123", id="too short"),
        pytest.param("+1234567890123456", id="too long"),
        pytest.param("+0123456789", id="country zero"),
        pytest.param("+7916123456O", id="a letter"),
        pytest.param("+7916\uff11234567", id="a digit of another script"),
        pytest.param("+79161234567;+79990000000", id="two"),
    ],
)
def test_what_is_no_phone_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(PhoneMalformed) as refusal:
        read_phone(written)
    assert refusal.value.facts == {}


@pytest.mark.parametrize(
    ("born_on", "on", "age"),
    [
        (date(2008, 11, 22), date(2026, 11, 22), 18),
        (date(2008, 11, 23), date(2026, 11, 22), 17),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(2008, 2, 29), date(2028, 2, 29), 20),
    ],
)
def test_age_is_in_whole_years(born_on: date, on: date, age: int) -> None:
    assert age_on(born_on, on) == age


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(PersonalDetails(first_name="n" * 101), id="a name too long"),
        pytest.param(PersonalDetails(last_name="a\x00b"), id="a zero in a name"),
        pytest.param(PersonalDetails(email="no address"), id="no e-mail"),
        pytest.param(PersonalDetails(email=f"{'a' * 250}@b.ru"), id="an e-mail too long"),
        pytest.param(PersonalDetails(born_on=date(2026, 11, 23)), id="born tomorrow"),
        pytest.param(PersonalDetails(born_on=date(1899, 12, 31)), id="born two centuries ago"),
    ],
)
def test_details_that_cannot_be_are_refused(details: PersonalDetails) -> None:
    with pytest.raises(DetailsMalformed):
        checked_details(details, on=TODAY)


def test_details_are_trimmed_and_empty_ones_are_none() -> None:
    assert checked_details(PersonalDetails(" Анна ", "", None, " a@b.ru "), on=TODAY) == PersonalDetails(
        "Анна", None, None, "a@b.ru"
    )


@pytest.mark.parametrize("kopecks", [-1, 100_000_001])
def test_a_limit_out_of_range_is_refused(kopecks: int) -> None:
    with pytest.raises(LimitOutOfRange):
        checked_limit(kopecks)


async def test_ten_at_once_find_one_buyer(world: BuyerWorld) -> None:
    async def find(session: Session) -> Buyer:
        return await buyers.find_or_add_buyer(session, "8 916 123-45-67", now=NOW)

    found = await asyncio.gather(*(in_transaction(world.engine, find) for _ in range(10)))

    assert len({buyer.id for buyer in found}) == 1


async def test_what_is_said_is_kept_and_a_birth_date_is_said_once(world: BuyerWorld) -> None:
    buyer = await world.buyer(born_on=None)
    async with transaction(world.engine) as session:
        await buyers.tell_of_buyer(
            session, buyer.id, PersonalDetails(first_name="Анна", born_on=date(2009, 1, 1)), now=NOW
        )
        await buyers.tell_of_buyer(session, buyer.id, PersonalDetails(last_name="Иванова"), now=NOW)
        kept = await buyers.load_buyer(session, buyer.id)
        with pytest.raises(BirthDateFixed):
            await buyers.tell_of_buyer(session, buyer.id, PersonalDetails(born_on=date(1990, 1, 1)), now=NOW)

    assert kept.details == PersonalDetails("Анна", "Иванова", None, None, date(2009, 1, 1))
    assert "Анна" not in repr(kept)
    assert PHONE not in repr(kept)


async def test_a_change_of_a_limit_is_kept_with_who_and_why(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        await limits.set_limit(session, buyer.id, 5_000_00, reason="asked", by="person:per_1", now=NOW)
        await limits.set_limit(session, buyer.id, 5_000_00, reason="again", by="person:per_1", now=NOW)
        await limits.set_limit(session, buyer.id, 0, reason="lost phone", by="person:per_2", now=NOW)
        history = await buyer_rows.load_limit_changes(session, buyer.id)

    assert [(each.number, each.before, each.limit, each.reason, each.set_by) for each in history] == [
        (2, Kopecks(5_000_00), Kopecks(0), "lost phone", "person:per_2"),
        (1, Kopecks(100_000_00), Kopecks(5_000_00), "asked", "person:per_1"),
    ]


async def test_identification_keeps_level_and_source_and_may_be_taken_back(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        known = await buyers.identify(session, buyer.id, Identification.SIMPLIFIED, "esia", b"1" * 32, now=NOW)
        none = await buyers.identify(session, buyer.id, Identification.NONE, "esia", now=NOW)

    assert (known.identification, known.identified_by, known.identified_at) == ("simplified", "esia", NOW)
    assert (none.identification, none.identified_by, none.identified_at, none.document_digest) == (
        "none", None, None, b"1" * 32,
    )  # fmt: skip


async def test_a_frozen_buyer_is_thawed(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        first = await buyers.freeze(session, buyer.id, "suspected_fraud", by="person:per_1", now=NOW)
        again = await buyers.freeze(session, buyer.id, "other", by="person:per_1", now=NOW)
        thawed = await buyers.unfreeze(session, buyer.id, "cleared", by="person:per_2", now=NOW)
        idle = await buyers.unfreeze(session, buyer.id, "cleared", by="person:per_2", now=NOW)

    assert (first.frozen_reason, again.frozen_reason, thawed.frozen_reason, idle.version) == (
        "suspected_fraud", "suspected_fraud", None, thawed.version,
    )  # fmt: skip


UNFINISHED: list[Any] = [
    pytest.param(lambda b: {"buyer_id": b.id}, id="a new plan"),
    pytest.param(lambda b: {"buyer_id": b.id, "status": PlanStatus.APPROVED}, id="an approved plan"),
    pytest.param(lambda b: owed(b, 1), id="a kopeck owed"),
    pytest.param(lambda b: over(b) | {"penalty": Kopecks(1)}, id="a kopeck of penalty"),
    pytest.param(lambda b: over(b) | {"overpaid": Kopecks(1)}, id="a kopeck owed to the buyer"),
]


@pytest.mark.parametrize("more", UNFINISHED)
async def test_a_buyer_with_an_open_plan_is_not_erased(world: BuyerWorld, more: Any) -> None:
    buyer = await world.buyer()
    await world.plan(**more(buyer))

    async with transaction(world.engine) as session:
        with pytest.raises(DebtOpen):
            await buyers.erase_buyer(session, buyer.id, by="person:per_1", now=NOW)


async def test_an_erased_buyer_leaves_plans_and_decisions_and_nothing_personal(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    plan = await world.plan(**over(buyer, Standing.REPAID))
    async with transaction(world.engine) as session:
        issued = await new_code(session, buyer.id, CodePurpose.CONSENT, plan.id, key=KEY, now=NOW)
        await enter_code(session, buyer.id, CodePurpose.CONSENT, plan.id, issued.code, key=KEY, now=NOW)
        await give_consent(
            session, buyer.id, plan.id, pack_digest=b"1" * 32, text_version="1", code_id=issued.id,
            origin="192.0.2.1", now=NOW,
        )  # fmt: skip
        erased = await buyers.erase_buyer(session, buyer.id, by="person:per_1", now=NOW)
        again = await buyers.erase_buyer(session, buyer.id, by="person:per_1", now=NOW)
        consent = await find_consent(session, plan.id)
        row = (await session.execute(text("SELECT buyers::text AS kept FROM buyers"))).one()

    assert (erased.phone, erased.details, erased.phone_digest) == (None, PersonalDetails(), None)
    assert again == erased
    assert consent is not None
    assert (consent.buyer_id, consent.origin) == (buyer.id, None)
    assert PHONE.removeprefix("+7") not in row.kept
    async with transaction(world.engine) as session:
        assert (await buyers.find_or_add_buyer(session, PHONE, now=NOW)).id != buyer.id


async def test_an_erased_buyer_is_nobody(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        await buyers.erase_buyer(session, buyer.id, by="person:per_1", now=NOW)
        with pytest.raises(BuyerNotFound):
            await buyers.verify_phone(session, buyer.id, now=NOW)
        with pytest.raises(BuyerNotFound):
            await new_code(session, buyer.id, CodePurpose.PHONE, "", key=KEY, now=NOW)


def test_a_mask_shows_four_digits() -> None:
    assert phone_mask(read_phone(PHONE)) == "+7******4567"
