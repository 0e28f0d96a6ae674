"""Enrolment: people choose their own factors, once, in time, and no token alone is enough."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from pci.access import enrolments, own_password, people, totp_resets, twofactor
from pci.access.deeds import Access, deed
from pci.access.enrolments import FINISH_WITHIN, OPEN_FOR
from pci.access.errors import (
    EnrolmentRefused,
    OwnAccount,
    OwnRequest,
    PasswordRepeated,
    PasswordWeak,
    PersonStatusRejected,
    ResetOver,
    ResetUnknown,
    SignInNeeded,
    SignInRefused,
)
from pci.access.passwords import check_password
from pci.access.roles import Scope
from pci.access.signing_in import sign_in
from pci.secret import Secret
from tests.conftest import VaultDatabase
from tests.pci.access.world import (
    ORIGIN,
    PASSWORD,
    STEP,
    Member,
    enrolled,
    events,
    invited,
    secret_in,
    signed_in,
    wish,
)

NEW = Secret("another horse 9 battery")


def first_code(secret: bytes, now: datetime) -> Secret:
    return Secret(twofactor.code_at(secret, twofactor.step_of(now)))


async def begin(access: Access, token: Secret, now: datetime, password: Secret = NEW) -> enrolments.BegunEnrolment:
    return await enrolments.begin(access, token, password, origin=ORIGIN, now=now)


async def finish(access: Access, token: Secret, code: Secret, now: datetime) -> None:
    await enrolments.finish(access, token, code, origin=ORIGIN, now=now)


async def test_the_secret_is_shown_once(access: Access, vault_database: VaultDatabase, now: datetime) -> None:
    _, token = await invited(access, "olga", ["support"], now)
    begun = await begin(access, token, now)

    with pytest.raises(EnrolmentRefused):
        await begin(access, token, now)

    assert begun.uri is not None
    assert begun.uri.expose().startswith("otpauth://totp/Kopeyka%20Vault:olga?")
    assert events(vault_database.superuser_url)[-1]["outcome"] == "refused"


async def test_of_two_who_begin_at_the_same_moment_one_sees_the_secret(access: Access, now: datetime) -> None:
    _, token = await invited(access, "olga", ["support"], now)

    ended = await asyncio.gather(*(begin(access, token, now) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(one, enrolments.BegunEnrolment) for one in ended) == 1


async def test_nobody_signs_in_between_the_two_steps(access: Access, now: datetime) -> None:
    person, token = await invited(access, "olga", ["support"], now)
    begun = await begin(access, token, now)
    member = Member(person, secret_in(begun.uri), NEW.expose())

    with pytest.raises(SignInRefused):
        await signed_in(access, member, now)
    await finish(access, token, first_code(member.secret, now), now)
    with pytest.raises(SignInRefused):  # the code that finished the enrolment is used up
        await signed_in(access, member, now)
    await signed_in(access, member, now + STEP)


@pytest.mark.parametrize(
    ("begun_after", "finished_after"),
    [
        pytest.param(OPEN_FOR, timedelta(0), id="begun a day late"),
        pytest.param(timedelta(0), FINISH_WITHIN + timedelta(seconds=1), id="finished a quarter of an hour late"),
    ],
)
async def test_late_is_refused(
    access: Access, now: datetime, begun_after: timedelta, finished_after: timedelta
) -> None:
    _, token = await invited(access, "olga", ["support"], now)

    async def enrol() -> None:
        begun = await begin(access, token, now + begun_after)
        later = now + begun_after + finished_after
        await finish(access, token, first_code(secret_in(begun.uri), later), later)

    with pytest.raises(EnrolmentRefused):
        await enrol()


async def test_five_wrong_codes_end_it_and_nothing_of_it_stays(access: Access, now: datetime) -> None:
    _, token = await invited(access, "olga", ["support"], now)
    begun = await begin(access, token, now)
    for _ in range(enrolments.FAILURES_MAX):
        with pytest.raises(EnrolmentRefused):
            await finish(access, token, Secret("000000"), now)

    with pytest.raises(EnrolmentRefused, match="enrolment"):
        await finish(access, token, first_code(secret_in(begun.uri), now), now)


@pytest.mark.parametrize("token", ["", "x" * 43, "\ud800"])
async def test_a_made_up_token_is_refused(access: Access, now: datetime, token: str) -> None:
    with pytest.raises(EnrolmentRefused):
        await begin(access, Secret(token), now)
    with pytest.raises(EnrolmentRefused):
        await finish(access, Secret(token), Secret("123456"), now)


WEAK = {
    "short": "abc45678901",
    "only letters": "correct horse battery",
    "only digits": "123456789012",
    "the login": "olga.petrova1",
    "the login inside": "my Olga.Petrova1 pass",
    "long": "a1" * 65,
    "short after its accents are joined": "e\u03011" * 4,
}


@pytest.mark.parametrize("password", WEAK.values(), ids=WEAK)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(PasswordWeak):
        check_password(Secret(password), "olga.petrova1")


async def test_a_forgotten_password_is_set_anew_only_with_the_second_factor(access: Access, now: datetime) -> None:
    admin, olga = await enrolled(access, "root", ["admin"], now), await enrolled(access, "olga", ["support"], now)
    _, session_token = await signed_in(access, admin, now)
    _, open_token = await signed_in(access, olga, now)
    later = now + STEP
    async with deed(access.transactions, wish(session_token, later, Scope.PEOPLE_WRITE)) as tried:
        token = await people.reset_password(tried, olga.person.id, reason="called from her phone")

    assert (await begin(access, token, later)).uri is None
    with pytest.raises(EnrolmentRefused):
        await finish(access, token, Secret("000000"), later)
    with pytest.raises(EnrolmentRefused):  # used to sign in a moment ago
        await finish(access, token, Secret(olga.code(now)), later)
    await finish(access, token, Secret(olga.code(later)), later)

    with pytest.raises(SignInNeeded):
        async with deed(access.transactions, wish(open_token, later)):
            pass
    with pytest.raises(SignInRefused):
        await signed_in(access, olga, later + STEP)
    await sign_in(access, olga.given(later + STEP, password=NEW.expose()), now=later + STEP)


async def test_the_last_four_passwords_do_not_come_back(access: Access, now: datetime) -> None:
    olga = await enrolled(access, "olga", ["support"], now)
    _, token = await signed_in(access, olga, now)
    used = [PASSWORD, *(f"number {index} horse battery" for index in range(4))]
    for index, (present, new) in enumerate(pairwise(used)):
        at = now + timedelta(seconds=index)
        if index < 4:
            with pytest.raises(PasswordRepeated):
                await own_password.change_password(access, wish(token, at), Secret(present), Secret(PASSWORD))
        await own_password.change_password(access, wish(token, at), Secret(present), Secret(new))

    later = now + timedelta(seconds=9)
    await own_password.change_password(access, wish(token, later), Secret(used[-1]), Secret(PASSWORD))


async def test_changing_a_password_ends_what_else_is_open_and_guessing_locks(access: Access, now: datetime) -> None:
    olga = await enrolled(access, "olga", ["support"], now)
    _, other = await signed_in(access, olga, now)
    _, token = await signed_in(access, olga, now + STEP)
    at = now + STEP
    await own_password.change_password(access, wish(token, at), Secret(PASSWORD), NEW)
    with pytest.raises(SignInNeeded):
        async with deed(access.transactions, wish(other, at)):
            pass

    for _ in range(10):
        with pytest.raises(SignInRefused):
            await own_password.change_password(access, wish(token, at), Secret(PASSWORD), Secret("third horse 1 bat"))
    with pytest.raises(SignInRefused):
        await sign_in(access, olga.given(at + STEP, password=NEW.expose()), now=at + STEP)


async def lost(access: Access, now: datetime) -> tuple[Member, Secret, Secret, totp_resets.TotpReset]:
    """Olga lost her phone; the admin asked for a reset; Vera may approve."""
    olga = await enrolled(access, "olga", ["support"], now)
    _, admin = await signed_in(access, await enrolled(access, "root", ["admin"], now), now)
    _, officer = await signed_in(access, await enrolled(access, "vera", ["security_officer"], now), now)
    async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_WRITE)) as tried:
        reset = await totp_resets.request_reset(tried, olga.person.id, reason="lost her phone")
    return olga, admin, officer, reset


async def test_a_lost_second_factor_takes_two_people_and_the_password(access: Access, now: datetime) -> None:
    olga, _, officer, reset = await lost(access, now)
    async with deed(access.transactions, wish(officer, now, Scope.PEOPLE_APPROVE)) as tried:
        _, token = await totp_resets.approve_reset(tried, reset.id)

    with pytest.raises(EnrolmentRefused):
        await begin(access, token, now, Secret("not her password 1"))
    begun = await begin(access, token, now, Secret(PASSWORD))
    await finish(access, token, first_code(secret_in(begun.uri), now), now)

    with pytest.raises(SignInRefused):
        await signed_in(access, olga, now + STEP)
    await signed_in(access, Member(olga.person, secret_in(begun.uri)), now + STEP)


async def test_who_asked_does_not_approve_and_a_reset_counts_once(access: Access, now: datetime) -> None:
    _, admin, officer, reset = await lost(access, now)

    with pytest.raises(OwnRequest):  # even if a table of roles once let them
        async with deed(access.transactions, wish(admin, now)) as tried:
            await totp_resets.approve_reset(tried, reset.id)
    async with deed(access.transactions, wish(officer, now, Scope.PEOPLE_APPROVE)) as tried:
        await totp_resets.approve_reset(tried, reset.id)
    for at in (now, now + totp_resets.OPEN_FOR):
        with pytest.raises((ResetOver, SignInNeeded)):
            async with deed(access.transactions, wish(officer, at, Scope.PEOPLE_APPROVE)) as tried:
                await totp_resets.approve_reset(tried, reset.id)


async def test_resets_of_nobody_of_oneself_and_of_the_invited_are_refused(access: Access, now: datetime) -> None:
    olga, admin, officer, _ = await lost(access, now)
    invitee, _ = await invited(access, "new", ["support"], now)
    async with deed(access.transactions, wish(admin, now)) as tried:
        me = tried.actor.person_id

    with pytest.raises(OwnAccount):
        async with deed(access.transactions, wish(admin, now)) as tried:
            await totp_resets.request_reset(tried, me, reason="lost")
    with pytest.raises(PersonStatusRejected):
        async with deed(access.transactions, wish(admin, now)) as tried:
            await totp_resets.request_reset(tried, invitee.id, reason="lost")
    for unknown in ("rst_unknown", "rst_" + "a" * 26, "\x00"):
        with pytest.raises(ResetUnknown):
            async with deed(access.transactions, wish(officer, now)) as tried:
                await totp_resets.approve_reset(tried, unknown)
    async with deed(access.transactions, wish(officer, now)) as tried:
        assert [one.person_id for one in await totp_resets.open_resets(tried.session, now=now)] == [olga.person.id]
        assert await totp_resets.open_resets(tried.session, now=now + totp_resets.OPEN_FOR) == []
