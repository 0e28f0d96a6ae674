"""People come, get roles, and go; nobody does it to themselves; every change is in the log."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import datetime, timedelta
from itertools import combinations, product

import pytest

from pci.access import enrolments, people, repository, review
from pci.access.deeds import Access, deed
from pci.access.errors import (
    AccessRejected,
    EnrolmentWaits,
    LoginTaken,
    OwnAccount,
    OwnRequest,
    PersonRejected,
    PersonStatusRejected,
    PersonUnknown,
    ReasonRejected,
    ReviewRejected,
    RolesRejected,
    ScopeMissing,
    SignInNeeded,
    SignInRefused,
)
from pci.access.person import ALLOWED, PersonStatus, advance
from pci.access.roles import ALONE, SCOPES_OF, Role, Scope, read_roles, scopes_of
from pci.secret import Secret
from tests.conftest import VaultDatabase
from tests.pci.access.world import ORIGIN, PASSWORD, STEP, enrolled, events, invited, signed_in, wish


def test_every_role_has_its_line_and_what_has_none_is_refused() -> None:
    assert set(SCOPES_OF) == set(Role)
    assert scopes_of([]) == frozenset()
    assert frozenset[Scope]().union(*SCOPES_OF.values()) == set(Scope)


def test_who_lets_people_in_sees_no_card_and_who_approves_is_shown_none() -> None:
    for roles in (set(some) for count in range(1, 6) for some in combinations(Role, count)):
        try:
            scopes = scopes_of(read_roles(roles))
        except RolesRejected:
            continue
        assert not {Scope.CARDS_REVEAL, Scope.REVEALS_APPROVE} <= scopes
        assert not {Scope.PEOPLE_WRITE, Scope.PEOPLE_APPROVE} <= scopes
        if Scope.PEOPLE_WRITE in scopes:
            assert scopes.isdisjoint({Scope.CARDS_REVEAL, Scope.CARDS_SEARCH, Scope.KEYS_UNSEAL})
        if Role.AUDITOR in roles:
            assert roles == {Role.AUDITOR}


@pytest.mark.parametrize(
    "names", [["king"], ["admin", "support"], ["auditor", "custodian"], ["support", "security_officer"]]
)
def test_roles_that_are_unknown_or_not_for_one_person_are_refused(names: list[str]) -> None:
    with pytest.raises(RolesRejected):
        read_roles(names)


def test_the_square_of_statuses() -> None:
    for status, to in product(PersonStatus, PersonStatus):
        if to in ALLOWED[status]:
            assert advance(status, to) is to
        else:
            with pytest.raises(PersonStatusRejected):
                advance(status, to)


MALFORMED = {
    "short login": ("ol", "Olga", PersonRejected),
    "capital": ("Olga", "Olga", PersonRejected),
    "digit first": ("1olga", "Olga", PersonRejected),
    "zero byte": ("ol\x00ga", "Olga", PersonRejected),
    "a card for a name": ("olga", "4111 1111 1111 1111", PersonRejected),
    "no name": ("olga", "", PersonRejected),
    "a name of two lines": ("olga", "Olga\nPetrova", PersonRejected),
}


@pytest.mark.parametrize(("login", "name", "refusal"), MALFORMED.values(), ids=MALFORMED)
async def test_malformed_people_are_refused(
    access: Access, now: datetime, login: str, name: str, refusal: type[AccessRejected]
) -> None:
    with pytest.raises(refusal):
        async with access.transactions() as session:
            await people.add_person(
                session, access.ring, login, name, ["support"], by="system:init", reason="hired", now=now
            )


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "card 4111111111111111", "two\nlines"])
async def test_a_reason_is_needed_and_holds_no_card(access: Access, now: datetime, reason: str) -> None:
    with pytest.raises(ReasonRejected):
        async with access.transactions() as session:
            await people.add_person(
                session, access.ring, "olga", "Olga", ["support"], by="system:init", reason=reason, now=now
            )


async def test_logins_are_never_given_twice_even_at_the_same_moment(access: Access, now: datetime) -> None:
    ended = await asyncio.gather(*(invited(access, "olga", [], now) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(one, LoginTaken) for one in ended) == 2


async def admin_of(access: Access, now: datetime) -> Secret:
    return (await signed_in(access, await enrolled(access, "root", ["admin"], now), now))[1]


async def test_roles_change_at_once_and_the_log_says_which(
    access: Access, vault_database: VaultDatabase, now: datetime
) -> None:
    admin, olga = await admin_of(access, now), await enrolled(access, "olga", ["custodian", "support"], now)
    _, token = await signed_in(access, olga, now)

    async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_WRITE, "person.roles_changed")) as tried:
        await people.change_roles(tried, olga.person.id, ["custodian"], reason="moved")

    told = events(vault_database.superuser_url)[-1]
    assert (told["action"], told["facts"]) == ("person.roles_changed", {"support": False})
    with pytest.raises(ScopeMissing):
        async with deed(access.transactions, wish(token, now, Scope.CARDS_REVEAL, "card.revealed")):
            pass
    told = events(vault_database.superuser_url)[-1]
    assert (told["outcome"], told["actor"], told["facts"]) == (
        "refused", f"person:{olga.person.id}", {"code": "access.scope_missing"},
    )  # fmt: skip


async def test_who_is_disabled_is_out_at_once_and_comes_back_only_with_new_factors(
    access: Access, now: datetime
) -> None:
    admin, olga = await admin_of(access, now), await enrolled(access, "olga", ["support"], now)
    _, token = await signed_in(access, olga, now)

    async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_WRITE)) as tried:
        gone = await people.disable(tried, olga.person.id, reason="left")

    assert (gone.status, gone.disabled_reason) == (PersonStatus.DISABLED, "left")
    with pytest.raises(SignInNeeded):
        async with deed(access.transactions, wish(token, now)):
            pass
    with pytest.raises(SignInRefused):
        await signed_in(access, olga, now + STEP)
    with pytest.raises(PersonStatusRejected):
        async with deed(access.transactions, wish(admin, now)) as tried:
            await people.disable(tried, olga.person.id, reason="left")
    async with deed(access.transactions, wish(admin, now)) as tried:
        again = await people.invite_again(tried, olga.person.id, reason="came back")
    with pytest.raises(EnrolmentWaits):
        await enrolments.begin(access, again, Secret("fresh horse 5 battery"), origin=ORIGIN, now=now)
    await confirmed(access, olga.person.id, ["support"], now)
    with pytest.raises(SignInRefused):
        await signed_in(access, olga, now + STEP)
    with pytest.raises(AccessRejected):  # the old password is among the last four
        await enrolments.begin(access, again, Secret(PASSWORD), origin=ORIGIN, now=now)
    await enrolments.begin(access, again, Secret("fresh horse 5 battery"), origin=ORIGIN, now=now)


async def officer_of(access: Access, now: datetime) -> Secret:
    return (await signed_in(access, await enrolled(access, "vera", ["security_officer"], now), now))[1]


async def confirmed(access: Access, person_id: str, roles: list[str], now: datetime) -> None:
    officer = await officer_of(access, now)
    async with deed(access.transactions, wish(officer, now, Scope.PEOPLE_APPROVE)) as tried:
        assert not (await people.confirm(tried, person_id, roles)).is_waiting


async def test_an_admin_alone_becomes_nobody_else(access: Access, now: datetime) -> None:
    admin = await admin_of(access, now)

    for roles in (["support"], ["security_officer"], ["custodian"], ["admin"]):
        async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_WRITE)) as tried:
            _, token = await people.add_person(
                tried.session,
                access.ring,
                f"puppet-{roles[0][:4]}",
                "Puppet",
                roles,
                by=tried.actor.label,
                reason="hired",
                now=now,
            )
        with pytest.raises(EnrolmentWaits):
            await enrolments.begin(access, token, Secret(PASSWORD), origin=ORIGIN, now=now)


async def test_a_role_more_puts_a_person_out_until_another_confirms_it(access: Access, now: datetime) -> None:
    admin, olga = await admin_of(access, now), await enrolled(access, "olga", [], now)
    _, token = await signed_in(access, olga, now)

    async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_WRITE)) as tried:
        await people.change_roles(tried, olga.person.id, ["support"], reason="moved")

    with pytest.raises(SignInNeeded):
        async with deed(access.transactions, wish(token, now, Scope.CARDS_REVEAL)):
            pass
    with pytest.raises(SignInRefused):
        await signed_in(access, olga, now + STEP)
    with pytest.raises(ScopeMissing):
        async with deed(access.transactions, wish(admin, now, Scope.PEOPLE_APPROVE)) as tried:
            await people.confirm(tried, olga.person.id, ["support"])
    await confirmed(access, olga.person.id, ["support"], now)
    _, token = await signed_in(access, olga, now + 2 * STEP)
    async with deed(access.transactions, wish(token, now + 2 * STEP, Scope.CARDS_REVEAL)):
        pass


async def test_who_gave_a_right_does_not_confirm_it_whatever_they_became(access: Access, now: datetime) -> None:
    officer, olga = await officer_of(access, now), await enrolled(access, "olga", [], now)

    async with deed(access.transactions, wish(officer, now)) as tried:
        await people.change_roles(tried, olga.person.id, ["support"], reason="moved")

    with pytest.raises(OwnRequest):
        async with deed(access.transactions, wish(officer, now, Scope.PEOPLE_APPROVE)) as tried:
            await people.confirm(tried, olga.person.id, ["support"])


async def test_nobody_changes_themselves_and_nobody_unknown_is_changed(access: Access, now: datetime) -> None:
    member = await enrolled(access, "root", ["admin"], now)
    _, admin = await signed_in(access, member, now)
    for change in (people.disable, people.invite_again, people.reset_password, people.unlock):
        for person_id, refusal in ((member.person.id, OwnAccount), ("per_" + "a" * 26, PersonUnknown)):
            with pytest.raises(refusal):
                async with deed(access.transactions, wish(admin, now)) as tried:
                    await change(tried, person_id, reason="why not")  # type: ignore[operator]
    with pytest.raises(OwnAccount):
        async with deed(access.transactions, wish(admin, now)) as tried:
            await people.change_roles(tried, member.person.id, ["support"], reason="why not")


async def test_two_admins_who_disable_each_other_both_get_an_answer(access: Access, now: datetime) -> None:
    one, two = await enrolled(access, "one", ["admin"], now), await enrolled(access, "two", ["admin"], now)
    tokens = [(await signed_in(access, member, now))[1] for member in (one, two)]

    async def disable(token: Secret, whom: str) -> None:
        async with deed(access.transactions, wish(token, now, Scope.PEOPLE_WRITE)) as tried:
            await people.disable(tried, whom, reason="quarrel")

    ended = await asyncio.gather(
        disable(tokens[0], two.person.id), disable(tokens[1], one.person.id), return_exceptions=True
    )

    assert all(one is None or isinstance(one, SignInNeeded) for one in ended)
    assert None in ended


async def test_unlocking_lets_a_locked_person_try_again(access: Access, now: datetime) -> None:
    admin, olga = await admin_of(access, now), await enrolled(access, "olga", ["support"], now)
    async with access.transactions() as session:
        until = now + timedelta(minutes=30)
        await repository.update(session, olga.person.id, failed_attempts=10, locked_until=until)

    async with deed(access.transactions, wish(admin, now)) as tried:
        assert not (await people.unlock(tried, olga.person.id, reason="it was she")).is_locked(now)

    await signed_in(access, olga, now)


async def test_the_review_says_who_may_do_what_and_who_gave_it(access: Access, now: datetime) -> None:
    olga = await enrolled(access, "olga", ["support"], now)
    await signed_in(access, olga, now)
    await invited(access, "zoe", [], now)

    async with access.transactions() as session:
        lines = await review.review_lines(session)
    read = list(csv.DictReader(io.StringIO(review.table_of([line.cells(now + timedelta(days=3)) for line in lines]))))

    assert [line["login"] for line in read] == ["olga", "zoe"]
    assert read[0] | {} == read[0] | {
        "roles": "support", "scopes": "cards:reveal cards:search", "idle_days": "3", "status": "active",
        "granted": "support by system:init on 2026-11-22 (hired)", "last_signed_in_at": "2026-11-22T09:00:00Z",
    }  # fmt: skip
    assert "argon2" not in json.dumps(read)


async def test_a_formula_in_a_name_is_text_in_the_table(access: Access, now: datetime) -> None:
    async with access.transactions() as session:
        await people.add_person(
            session, access.ring, "eve", "=HYPERLINK(1)", [], by="system:init", reason="hired", now=now
        )
        lines = await review.review_lines(session)

    assert "'=HYPERLINK(1)" in review.table_of([line.cells(now) for line in lines])


async def test_a_sign_off_is_of_what_stands_now(access: Access, now: datetime) -> None:
    auditor = await enrolled(access, "anna", ["auditor"], now)
    _, token = await signed_in(access, auditor, now)
    async with access.transactions() as session:
        digest = review.digest_of(await review.review_lines(session))
    await invited(access, "late", ["support"], now)

    with pytest.raises(ReviewRejected):
        async with deed(access.transactions, wish(token, now, Scope.PEOPLE_REVIEW)) as tried:
            await review.sign_off(tried, digest, note="second half of 2026")
    async with deed(access.transactions, wish(token, now, Scope.PEOPLE_REVIEW)) as tried:
        digest = review.digest_of(await review.review_lines(tried.session))
        await review.sign_off(tried, digest, note="second half of 2026")

    async with access.transactions() as session:
        kept = await review.past_reviews(session)
    assert [(one["reviewed_by"], one["people"], one["digest"]) for one in kept] == [(auditor.person.id, 2, digest)]


def test_only_one_who_works_alone_gives_rights_or_looks_at_all() -> None:
    assert {Role.ADMIN, Role.AUDITOR} == ALONE


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SECURITY_OFFICER])
async def test_there_is_one_first_of_each_even_when_two_begin_at_once(
    access: Access, vault_database: VaultDatabase, now: datetime, role: Role
) -> None:
    async def first(login: str) -> Secret:
        async with access.transactions() as session:
            return (await people.add_first(session, access.ring, login, login.title(), role, origin="cli", now=now))[1]

    ended = await asyncio.gather(first("one"), first("two"), return_exceptions=True)

    assert sum(isinstance(one, PersonStatusRejected) for one in ended) == 1
    told = [event["action"] for event in events(vault_database.superuser_url)]
    assert [action for action in told if not action.startswith("key.")] == ["person.added"]
