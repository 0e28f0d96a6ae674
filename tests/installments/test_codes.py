"""One-time codes: right once, wrong five times, good for five minutes, sent three times an hour, kept as a digest."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from installments import codes, consents
from installments.buyer import Buyer
from installments.buyer_errors import (
    BuyerNotFound,
    CodeExpired,
    CodeNotSent,
    CodesTooOften,
    CodeTriesSpent,
    CodeUsed,
    CodeWrong,
    ConsentDiffers,
    ConsentWithoutCode,
)
from installments.codes import CodeEntry, CodePurpose, CodeSending, CodeVerdict, IssuedCode
from installments.stop_lists import StopListKind, digest_of
from ledger.database import Engine, Session, in_transaction, text, transaction
from ledger.errors import InvariantBroken
from pci.secret import Secret
from tests.installments.buyer_world import KEY, NOW, PHONE, BuyerWorld

SECOND = timedelta(seconds=1)
PURPOSE = CodePurpose.PHONE


@pytest_asyncio.fixture
async def world(engine: Engine) -> BuyerWorld:
    return await BuyerWorld(engine).begin()


@pytest_asyncio.fixture
async def buyer(world: BuyerWorld) -> Buyer:
    return await world.buyer()


async def new(
    world: BuyerWorld, buyer: Buyer, now: datetime = NOW, purpose: CodePurpose = PURPOSE, subject: str = ""
) -> IssuedCode:
    async with transaction(world.engine) as session:
        return await codes.new_code(session, buyer.id, purpose, subject, key=KEY, now=now)


async def enter(
    world: BuyerWorld,
    buyer: Buyer,
    code: Secret,
    now: datetime = NOW,
    purpose: CodePurpose = PURPOSE,
    subject: str = "",
) -> CodeEntry:
    async def work(session: Session) -> CodeEntry:
        return await codes.enter_code(session, buyer.id, purpose, subject, code, key=KEY, now=now)

    return await in_transaction(world.engine, work)


def wrong(issued: IssuedCode) -> Secret:
    """Another code of six digits."""
    return Secret(f"{(int(issued.code.expose()) + 1) % 1_000_000:06d}")


async def test_the_right_code_is_right_once(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)

    first = await enter(world, buyer, issued.code)
    again = await enter(world, buyer, issued.code)

    assert (first.verdict, first.code_id) == (CodeVerdict.RIGHT, issued.id)
    assert again.verdict is CodeVerdict.USED


async def test_two_who_enter_one_code_at_once_use_it_once(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)

    entries = await asyncio.gather(*(enter(world, buyer, issued.code) for _ in range(5)))

    assert sorted(entry.verdict for entry in entries) == [CodeVerdict.RIGHT, *[CodeVerdict.USED] * 4]


async def test_the_fifth_try_may_still_be_right(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)

    left = [(await enter(world, buyer, wrong(issued))).tries_left for _ in range(4)]

    assert left == [4, 3, 2, 1]
    assert (await enter(world, buyer, issued.code)).verdict is CodeVerdict.RIGHT


async def test_after_five_wrong_tries_the_right_code_is_refused(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)

    tries = [(await enter(world, buyer, wrong(issued))).verdict for _ in range(5)]

    assert tries == [CodeVerdict.WRONG] * 5
    assert (await enter(world, buyer, issued.code)).verdict is CodeVerdict.TRIES_SPENT


async def test_five_guesses_at_once_cost_five_tries(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)

    await asyncio.gather(*(enter(world, buyer, wrong(issued)) for _ in range(8)))

    assert (await enter(world, buyer, issued.code)).verdict is CodeVerdict.TRIES_SPENT


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        pytest.param(timedelta(minutes=5) - timedelta(microseconds=1), CodeVerdict.RIGHT, id="the last moment"),
        pytest.param(timedelta(minutes=5), CodeVerdict.EXPIRED, id="five minutes"),
        pytest.param(timedelta(days=1), CodeVerdict.EXPIRED, id="tomorrow"),
    ],
)
async def test_a_code_lives_for_five_minutes(
    world: BuyerWorld, buyer: Buyer, after: timedelta, verdict: CodeVerdict
) -> None:
    issued = await new(world, buyer)

    assert (await enter(world, buyer, issued.code, NOW + after)).verdict is verdict


async def test_a_code_that_expired_stays_so_when_the_clock_goes_back(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)
    await enter(world, buyer, issued.code, NOW + timedelta(minutes=5))

    assert (await enter(world, buyer, issued.code)).verdict is CodeVerdict.EXPIRED


async def test_a_new_code_ends_the_one_before(world: BuyerWorld, buyer: Buyer) -> None:
    first = await new(world, buyer)
    second = await new(world, buyer, NOW + timedelta(seconds=60))

    if first.code != second.code:
        assert (await enter(world, buyer, first.code, NOW + timedelta(seconds=61))).verdict is CodeVerdict.WRONG
    assert (await enter(world, buyer, second.code, NOW + timedelta(seconds=61))).verdict is CodeVerdict.RIGHT


@pytest.mark.parametrize(
    ("purpose", "subject"),
    [
        pytest.param(CodePurpose.SIGN_IN, "pln_1", id="for another purpose"),
        pytest.param(CodePurpose.CONSENT, "pln_2", id="for another plan"),
    ],
)
async def test_a_code_is_for_one_purpose_and_subject(
    world: BuyerWorld, buyer: Buyer, purpose: CodePurpose, subject: str
) -> None:
    issued = await new(world, buyer, purpose=CodePurpose.CONSENT, subject="pln_1")

    entry = await enter(world, buyer, issued.code, purpose=purpose, subject=subject)

    assert entry == CodeEntry(CodeVerdict.NOT_SENT, None, 0)


async def test_anothers_code_is_none(world: BuyerWorld, buyer: Buyer) -> None:
    other = await world.buyer("+79160000001")
    issued = await new(world, buyer)
    await new(world, other)

    verdict = (await enter(world, other, issued.code)).verdict

    assert verdict is CodeVerdict.WRONG


async def test_codes_are_sent_with_pauses_three_an_hour_and_ten_a_day(world: BuyerWorld, buyer: Buyer) -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    await new(world, buyer)
    with pytest.raises(CodesTooOften) as refusal:
        await new(world, buyer, NOW + minute - SECOND)
    assert refusal.value.facts == {"retry_after_seconds": 1}
    for at in (minute, 2 * minute):
        await new(world, buyer, NOW + at)
    with pytest.raises(CodesTooOften) as refusal:
        await new(world, buyer, NOW + 3 * minute)
    assert refusal.value.facts == {"retry_after_seconds": 57 * 60}
    for number in range(7):
        await new(world, buyer, NOW + (number + 1) * hour)
    with pytest.raises(CodesTooOften) as refusal:
        await new(world, buyer, NOW + 9 * hour)
    assert refusal.value.facts == {"retry_after_seconds": 15 * 60 * 60}
    await new(world, buyer, NOW + 24 * hour)


async def test_two_who_ask_at_once_get_one_code(world: BuyerWorld, buyer: Buyer) -> None:
    asked = await asyncio.gather(*(new(world, buyer) for _ in range(4)), return_exceptions=True)

    assert sum(isinstance(answer, IssuedCode) for answer in asked) == 1
    assert sum(isinstance(answer, CodesTooOften) for answer in asked) == 3


async def test_no_code_is_made_for_nobody(world: BuyerWorld, buyer: Buyer) -> None:
    nobody = Buyer(**{name: getattr(buyer, name) for name in Buyer.__slots__} | {"id": "byr_" + "0" * 26})

    with pytest.raises(BuyerNotFound):
        await new(world, nobody)


async def test_the_first_code_digests_the_phone_for_stop_lists(world: BuyerWorld, buyer: Buyer) -> None:
    await new(world, buyer)

    async with transaction(world.engine) as session:
        kept = await session.scalar(text("SELECT phone_digest FROM buyers"))
    assert bytes(kept) == digest_of(KEY, StopListKind.PHONE, Secret(PHONE))


async def test_what_is_kept_of_a_code_does_not_open_without_the_key(world: BuyerWorld, buyer: Buyer) -> None:
    issued = await new(world, buyer)
    async with transaction(world.engine) as session:
        await codes.mark_sending(session, issued.id, CodeSending.SENT)
        row = (await session.execute(text("SELECT * FROM buyer_codes"))).one()

    assert issued.code.expose() not in repr(row) + repr(issued)
    assert bytes(row.digest) == codes.digest_of(KEY, issued.id, issued.code)
    assert bytes(row.digest) != codes.digest_of(
        Secret("another key, of as many characters too"), issued.id, issued.code
    )
    assert row.sending == "sent"


@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        (CodeVerdict.WRONG, CodeWrong),
        (CodeVerdict.EXPIRED, CodeExpired),
        (CodeVerdict.TRIES_SPENT, CodeTriesSpent),
        (CodeVerdict.USED, CodeUsed),
        (CodeVerdict.NOT_SENT, CodeNotSent),
    ],
)
def test_each_verdict_has_its_refusal(verdict: CodeVerdict, refusal: type[Exception]) -> None:
    assert isinstance(codes.refusal_of(CodeEntry(verdict, None, 2)), refusal)


def test_the_right_code_has_no_refusal() -> None:
    with pytest.raises(InvariantBroken):
        codes.refusal_of(CodeEntry(CodeVerdict.RIGHT, "otc_1", 5))


async def test_a_consent_rests_on_a_code_that_was_entered_for_this_plan(world: BuyerWorld, buyer: Buyer) -> None:
    plan, other = await world.plan(), await world.plan()
    issued = await new(world, buyer, purpose=CodePurpose.CONSENT, subject=plan.id)

    async def give(plan_id: str, digest: bytes = b"1" * 32) -> consents.Consent:
        async with transaction(world.engine) as session:
            return await consents.give_consent(
                session, buyer.id, plan_id, pack_digest=digest, text_version="1", code_id=issued.id,
                origin="192.0.2.1", now=NOW,
            )  # fmt: skip

    with pytest.raises(ConsentWithoutCode):
        await give(plan.id)
    await enter(world, buyer, issued.code, purpose=CodePurpose.CONSENT, subject=plan.id)
    with pytest.raises(ConsentWithoutCode):
        await give(other.id)
    first = await give(plan.id)

    assert await give(plan.id) == first
    with pytest.raises(ConsentDiffers):
        await give(plan.id, b"2" * 32)


async def test_one_plan_sends_ten_codes_a_day_to_whatever_phones(world: BuyerWorld) -> None:
    """Whoever has a link does not make us send messages to every phone there is."""
    buyers = [await world.buyer(f"+7916000{number:04}") for number in range(11)]
    for number, each in enumerate(buyers[:10]):
        await new(world, each, NOW + number * SECOND, CodePurpose.CONSENT, "pln_one")

    with pytest.raises(CodesTooOften) as refusal:
        await new(world, buyers[10], NOW + 10 * SECOND, CodePurpose.CONSENT, "pln_one")

    assert refusal.value.facts == {"retry_after_seconds": 24 * 60 * 60 - 10}
    await new(world, buyers[10], NOW + 10 * SECOND, CodePurpose.CONSENT, "pln_other")
    await new(world, buyers[0], NOW + timedelta(days=1), CodePurpose.CONSENT, "pln_one")
