"""The daily review: what the log says of a day becomes cases, and a day that nobody reviewed is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from ledger.database import Engine, create_engine, transaction
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.evidence.cases import Case, close_case, list_cases, moscow_day, open_case
from pci.evidence.control import Where
from pci.evidence.controls import CONTROLS
from pci.evidence.errors import CaseRefused
from pci.evidence.log_reviews import LogReview, bounds_of, due_days, review_day
from pci.evidence.results import ControlStatus, check_all
from pci.evidence.suspicions import Suspicion
from tests.card_world import MIR
from tests.conftest import VaultDatabase
from tests.pci.evidence.people import add_person

ANNA, BORIS = "person:per_anna", "person:per_boris"
NOTE = "Anna was on the night shift, ticket 77"


@pytest_asyncio.fixture
async def reader(vault_database: VaultDatabase) -> AsyncIterator[Engine]:
    """As the sealer comes to the vault's database."""
    engine = create_engine(vault_database.sequencer_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def today() -> date:
    """Events carry the database's own time, so the day is the real one."""
    return moscow_day(datetime.now(UTC))


async def told(engine: Engine, *events: tuple[str, str, str, AuditOutcome]) -> None:
    now = datetime.now(UTC)
    async with transaction(engine) as session:
        await stage(session, [AuditEvent(a, actor, "192.0.2.7 req_1", s, now, o) for a, actor, s, o in events])


async def review(reader: Engine, day: date, now: datetime | None = None) -> LogReview:
    at = now or bounds_of(day)[1] + timedelta(hours=1)
    return await review_day(partial(transaction, reader), day, actor="system:sealer", origin="sealer:1", now=at)


async def due(reader: Engine, now: datetime) -> list[date]:
    async with transaction(reader) as session:
        return await due_days(session, now=now)


def rows(database: VaultDatabase, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        found = connection.execute(query.encode())
        return found.fetchall() if found.description else []


LOCKED = ("person.locked", "system:access", ANNA, AuditOutcome.DONE)


async def test_a_days_suspicions_are_cases_and_a_second_review_opens_no_others(
    vault_engine: Engine, reader: Engine, vault_database: VaultDatabase, today: date
) -> None:
    await told(vault_engine, LOCKED, ("key.compromised", BORIS, "key:dek_7", AuditOutcome.DONE))

    first, second = await review(reader, today), await review(reader, today)

    found = {(case.rule, case.about): case.facts["events"] for case in first.opened}
    assert found.items() >= {("person_locked", ANNA): 1, ("key_withdrawn", "key:dek_7"): 1}.items()
    assert (second.opened, second.suspicions) == ((), first.suspicions)
    assert second.events == first.events + len(first.opened) + 1  # what the first review wrote
    runs = rows(vault_database, "SELECT day, cases_opened, ran_by FROM log_reviews ORDER BY id")
    assert runs == [(today, len(first.opened), "system:sealer"), (today, 0, "system:sealer")]


async def test_a_review_and_its_cases_are_events_themselves(
    vault_engine: Engine, reader: Engine, vault_database: VaultDatabase, today: date
) -> None:
    await told(vault_engine, LOCKED)

    case = (await review(reader, today)).opened[0]

    events = rows(
        vault_database,
        "SELECT event ->> 'action', event ->> 'subject' FROM (SELECT id, convert_from(event, 'UTF8')::jsonb AS event"
        " FROM audit_events) AS e WHERE event ->> 'action' ~ '^(case|audit_log)' ORDER BY id",
    )
    assert events[-2:] == [("case.opened", f"case:{case.id}"), ("audit_log.reviewed", f"day:{today}")]


async def test_only_the_days_own_events_are_read(vault_engine: Engine, reader: Engine, today: date) -> None:
    await told(vault_engine, LOCKED)

    assert (await review(reader, today - timedelta(days=1))).events == 0
    assert (await review(reader, today + timedelta(days=1))).events == 0
    assert (await review(reader, today)).events > 0


async def test_a_days_routine_is_counted_and_its_failures_are_read(
    vault_engine: Engine, reader: Engine, today: date
) -> None:
    services = [("card.read", "service:api", "card:tok_1", AuditOutcome.DONE)] * 30
    odd = ("card.read", "service:api", "card:tok_2", AuditOutcome.FAILED)
    await told(vault_engine, *services, odd, ("card.tokenized", "service:api", "card:tok_1", AuditOutcome.DONE))

    done = await review(reader, today)

    assert done.events == 32
    assert [(case.rule, case.about) for case in done.opened] == [("row_not_opened", "card:tok_2")]


async def test_missed_days_are_due_the_oldest_first_until_each_was_reviewed_to_its_end(
    vault_engine: Engine, reader: Engine, today: date
) -> None:
    await told(vault_engine, LOCKED)
    in_three_days = bounds_of(today)[1] + timedelta(days=2, minutes=10)
    days = [today + timedelta(days=number) for number in range(3)]

    assert await due(reader, in_three_days - timedelta(seconds=1)) == days[:2]
    assert await due(reader, in_three_days) == days
    await review(reader, today, now=bounds_of(today)[1] - timedelta(hours=1))
    assert await due(reader, in_three_days) == days
    await review(reader, today)
    await review(reader, days[2])
    assert await due(reader, in_three_days) == [days[1]]


async def test_a_log_without_events_has_no_day_to_review(reader: Engine, now: datetime) -> None:
    assert await due(reader, now) == []


async def opened(session: Session, at: datetime = datetime(2026, 11, 22, tzinfo=UTC)) -> Case:
    case = await open_case(
        session, Suspicion("person_locked", ANNA, {"events": 1, "card": MIR}), day=date(2026, 11, 21),
        actor="system:sealer", origin="sealer:1", now=at,
    )  # fmt: skip
    assert case is not None
    return case


def add_people(database: VaultDatabase) -> None:
    for login in ("anna", "boris", "vera"):
        add_person(database.superuser_url, login, is_disabled=login == "vera")


async def test_another_person_closes_a_case_once_with_what_they_found(
    vault_engine: Engine, reader: Engine, vault_database: VaultDatabase
) -> None:
    add_people(vault_database)
    async with transaction(reader) as session:
        case = await opened(session)
    later = case.opened_at + timedelta(hours=9)

    async with transaction(vault_engine) as session:
        closed = await close_case(session, case.id, login="boris", note=f"{NOTE} {MIR}", origin="cli:1", now=later)
        still_open = await list_cases(session)
        everything = await list_cases(session, with_closed=True)

    assert (closed.closed_by, closed.closed_at, closed.facts["card"]) == ("person:per_boris", later, "220011******9001")
    assert closed.note == f"{NOTE} 220011******9001"
    assert (still_open, everything) == ([], [closed])


@pytest.mark.parametrize(
    ("login", "note", "says"),
    [
        ("anna", NOTE, "about themselves"),
        ("vera", NOTE, "Nobody with this login"),
        ("nobody", NOTE, "Nobody with this login"),
        ("boris", "ok", "Say what was found"),
        ("boris", "x" * 1_001, "Say what was found"),
    ],
    ids=["whom it is about", "who was put out", "an unknown person", "a note that says nothing", "a book"],
)
async def test_a_case_is_not_closed_by(
    login: str, note: str, says: str, vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    add_people(vault_database)
    async with transaction(vault_engine) as session:
        case = await opened(session)

    with pytest.raises(CaseRefused, match=says):
        async with transaction(vault_engine) as session:
            await close_case(session, case.id, login=login, note=note, origin="cli:1", now=now + timedelta(days=1))


async def test_a_closed_case_and_an_unknown_one_are_not_closed(
    vault_engine: Engine, vault_database: VaultDatabase
) -> None:
    add_people(vault_database)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    async with transaction(vault_engine) as session:
        case = await opened(session)
        await close_case(session, case.id, login="boris", note=NOTE, origin="cli:1", now=at)

    for number, says in ((case.id, "closed already"), (999, "no such case")):
        with pytest.raises(CaseRefused, match=says):
            async with transaction(vault_engine) as session:
                await close_case(session, number, login="boris", note=NOTE, origin="cli:1", now=at)


async def control(database: VaultDatabase, requirement: str, until: datetime) -> tuple[ControlStatus, int]:
    engine = create_engine(database.migrator_url)
    (asked,) = [one for one in CONTROLS if one.requirement == requirement]
    async with transaction(engine) as session:
        since = until - timedelta(days=92)
        (result,) = await check_all([asked], {Where.VAULT: session}, {}, since=since, until=until)
    await engine.dispose()
    assert result.why == ""
    return result.status, result.rows_total


def backdate(database: VaultDatabase, days: int) -> None:
    """As if the log had begun so many days ago."""
    rows(
        database,
        "ALTER TABLE audit_events DISABLE TRIGGER ALL; INSERT INTO audit_events (event, staged_at)"
        f" SELECT event, staged_at - interval '{days} days' FROM audit_events ORDER BY id LIMIT 1",
    )


async def test_a_day_that_nobody_reviewed_fails_its_control(
    vault_engine: Engine, reader: Engine, vault_database: VaultDatabase, today: date
) -> None:
    await told(vault_engine, LOCKED)
    now = datetime.now(UTC)
    fresh = await control(vault_database, "10.4.1", now)
    backdate(vault_database, 4)
    began = today - timedelta(days=4)
    missed = await control(vault_database, "10.4.1", now)

    await review(reader, began, now=bounds_of(began)[1] - timedelta(minutes=1))
    in_part = await control(vault_database, "10.4.1", now)
    for day in await due(reader, now):
        await review(reader, day, now=now)

    assert (fresh, missed, in_part) == (
        (ControlStatus.MET, 0), (ControlStatus.FAILING, 3), (ControlStatus.FAILING, 3),
    )  # fmt: skip
    assert await control(vault_database, "10.4.1", now) == (ControlStatus.MET, 0)


async def test_a_case_that_nobody_closes_fails_its_control(vault_engine: Engine, vault_database: VaultDatabase) -> None:
    add_people(vault_database)
    now = datetime.now(UTC)
    async with transaction(vault_engine) as session:
        case = await opened(session, at=now - timedelta(days=8))
    overdue = await control(vault_database, "10.4.3", now)

    async with transaction(vault_engine) as session:
        await close_case(session, case.id, login="boris", note=NOTE, origin="cli:1", now=now)

    assert overdue == (ControlStatus.FAILING, 1)
    assert await control(vault_database, "10.4.3", now) == (ControlStatus.MET, 0)
    assert await control(vault_database, "10.4.3.a", now + timedelta(days=1)) == (ControlStatus.MET, 1)


CASE = "INSERT INTO cases (rule, about, day, facts, opened_at, opened_by) VALUES ({}, '2026-11-21', {}, now(), 'x')"
CLOSE = "UPDATE cases SET closed_at = {}, closed_by = {}, note = {}"
REVIEW = (
    "INSERT INTO log_reviews (day, reviewed_until, ran_at, ran_by, events, suspicions, cases_opened)"
    " VALUES ('2026-11-21', {}, now(), 'x', {})"
)
BROKEN = {
    "cases_one_a_day": CASE.format("'person_locked', 'person:per_anna'", "'{}'"),
    "cases_rule_form": CASE.format("'X', 'y'", "'{}'"),
    "cases_about_length": CASE.format("'person_locked', ''", "'{}'"),
    "cases_facts_are_named": CASE.format("'person_locked', 'y'", "'[]'"),
    "cases_closed_whole": CLOSE.format("now()", "'person:per_boris'", "NULL"),
    "cases_closed_by_a_person": CLOSE.format("now()", "'system:sealer'", "'ten letters at least'"),
    "cases_closed_by_another": CLOSE.format("now()", "'person:per_anna'", "'ten letters at least'"),
    "cases_closed_after_they_open": CLOSE.format("'2020-01-01'", "'person:per_boris'", "'ten letters at least'"),
    "cases_note_length": CLOSE.format("now()", "'person:per_boris'", "'short'"),
    "log_reviews_within_the_day": REVIEW.format("'2026-11-21 21:00:01Z'", "0, 0, 0"),
    "log_reviews_counts": REVIEW.format("'2026-11-21 20:00Z'", "0, 0, 1"),
    "log_reviews_of_what_was": REVIEW.format("'2026-11-21 20:00Z'", "0, 0, 0").replace("now()", "'2026-11-21 19:59Z'"),
}


@pytest.mark.parametrize("constraint", BROKEN)
def test_the_database_refuses_too(constraint: str, vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.migrator_url, autocommit=True) as connection:
        connection.execute(CASE.format("'person_locked', 'person:per_anna'", "'{}'").encode())
        with pytest.raises(psycopg.errors.IntegrityError) as refused:
            connection.execute(BROKEN[constraint].encode())

    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM cases",
        "TRUNCATE cases",
        "UPDATE cases SET about = 'somebody else'",
        "UPDATE cases SET note = 'something else to say'",
        "DELETE FROM log_reviews",
        "UPDATE log_reviews SET events = 0",
    ],
)
def test_what_was_written_down_stays(statement: str, vault_database: VaultDatabase) -> None:
    closed = CLOSE.format("now()", "'person:per_boris'", "'ten letters at least'")
    with psycopg.connect(vault_database.migrator_url, autocommit=True) as connection:
        connection.execute(CASE.format("'person_locked', 'person:per_anna'", "'{}'").encode())
        connection.execute(closed.encode())
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("sequencer_url", CLOSE.format("now()", "'person:per_boris'", "'ten letters at least'")),
        ("sequencer_url", "DELETE FROM cases"),
        ("vault_url", "SELECT event FROM audit_events"),
        ("vault_url", REVIEW.format("'2026-11-21 20:00Z'", "0, 0, 0")),
        ("vault_url", "UPDATE cases SET facts = '{}'"),
    ],
    ids=[
        "the sealer closes",
        "the sealer deletes",
        "the vault reads events",
        "the vault reviews",
        "the vault rewrites",
    ],
)
def test_who_opens_cannot_close_and_who_closes_cannot_read(
    role: str, statement: str, vault_database: VaultDatabase
) -> None:
    with (
        psycopg.connect(getattr(vault_database, role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())
