"""Staging: an event is in the log with its effect or not at all, in bytes that never change, and whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from ledger.database import Engine, text, transaction
from pci.audit_log.errors import EventMalformed
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import lines_of, stage
from tests.conftest import Database, VaultDatabase

PAN = "2200111753579001"


def event(now: datetime, **facts: str | int | bool) -> AuditEvent:
    return AuditEvent(
        action="card.tokenized",
        actor="service:api",
        origin="req_1",
        subject="card:tok_1",
        happened_at=now,
        merchant_id="mer_1",
        facts=facts,
    )


def canonical_bytes(of: AuditEvent) -> bytes:
    (line,) = lines_of([of])
    return line


def staged(url: str) -> list[tuple[bytes, bytes]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT event, leaf FROM audit_events ORDER BY xid, id").fetchall()


def test_the_bytes_of_an_event_are_these_and_stay_these(now: datetime) -> None:
    moscow = now.astimezone(timezone(timedelta(hours=3))) + timedelta(milliseconds=5)

    line = canonical_bytes(event(moscow, ticket="ЗАЯВКА-1", count=3, is_first=True))

    assert line.decode() == (
        '{"action":"card.tokenized","actor":"service:api","at":"2026-11-22T09:00:00.005Z",'
        '"facts":{"count":3,"is_first":true,"ticket":"ЗАЯВКА-1"},"merchant_id":"mer_1","origin":"req_1",'
        '"outcome":"done","subject":"card:tok_1","v":1}'
    )


def test_the_bytes_are_those_of_an_encoder_that_knows_any_shape(now: datetime) -> None:
    odd = event(now, b='say "no"\\', a="\u2028\x1f\n", c=-(2**63), d=False, **{'"': "", "\u042f": 1})

    line = canonical_bytes(odd).decode()

    assert line == json.dumps(json.loads(line), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert json.loads(line)["facts"] == dict(odd.facts)


async def test_events_are_staged_in_one_statement_and_in_order(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    async with transaction(vault_engine) as session:
        await stage(session, [event(now, number=number) for number in range(50)])

    rows = staged(vault_database.superuser_url)
    assert [json.loads(line)["facts"]["number"] for line, _ in rows] == list(range(50))
    assert all(leaf == hashlib.sha256(b"\x00" + line).digest() for line, leaf in rows)


async def test_nothing_to_stage_is_no_statement(vault_engine: Engine) -> None:
    async with transaction(vault_engine) as session:
        await stage(session, [])


async def test_an_event_goes_with_its_effect(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    async def fail_after_staging() -> None:
        async with transaction(vault_engine) as session:
            await stage(session, [event(now)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_staging()

    assert staged(vault_database.superuser_url) == []


async def test_the_books_have_a_log_of_the_same_form(engine: Engine, database: Database, now: datetime) -> None:
    lines = lines_of([event(now), event(now, again=True)])
    async with transaction(engine) as session:
        await session.execute(text("SELECT stage_audit_events(CAST(:lines AS bytea[]))"), {"lines": lines})

    assert staged(database.superuser_url) == [(line, hashlib.sha256(b"\x00" + line).digest()) for line in lines]


def test_one_look_at_many_events_stars_what_a_look_at_each_would(now: datetime) -> None:
    plain, loose = event(now, note="nothing"), replace(event(now, note=f"said {PAN}"), origin="a\x00b")
    three = [plain, loose, event(now, pin=1)]

    assert lines_of(three) == [canonical_bytes(one) for one in three]
    assert PAN.encode() not in b"".join(lines_of(three))


def test_what_looks_like_a_card_number_or_a_key_is_starred(now: datetime) -> None:
    loose = replace(event(now, note=f"the buyer said {PAN}"), actor=f"caller:{PAN}", origin=f"at {PAN}", subject=PAN)

    assert PAN.encode() not in canonical_bytes(loose)


def test_a_text_that_postgresql_cannot_hold_does_not_stop_the_work(now: datetime) -> None:
    line = canonical_bytes(replace(event(now), origin="a\x00b\ud800"))

    assert json.loads(line)["origin"] == "a\ufffdb?"


@pytest.mark.parametrize("field", ["action", "actor", "origin", "subject"])
def test_an_event_without_one_of_its_fields_is_refused(field: str, now: datetime) -> None:
    with pytest.raises(EventMalformed):
        canonical_bytes(replace(event(now), **{field: ""}))


@pytest.mark.parametrize("value", [1.5, None, ["a"], b"a"])
def test_facts_are_whole_numbers_texts_and_truths(value: object, now: datetime) -> None:
    with pytest.raises(EventMalformed):
        canonical_bytes(event(now, fact=value))  # type: ignore[arg-type]


def test_a_time_without_a_zone_and_an_endless_event_are_refused(now: datetime) -> None:
    with pytest.raises(EventMalformed):
        canonical_bytes(replace(event(now), happened_at=now.replace(tzinfo=None)))
    with pytest.raises(EventMalformed):
        canonical_bytes(event(now, note="x" * 9_000))


@pytest.mark.parametrize("outcome", AuditOutcome)
def test_every_outcome_has_its_word(outcome: AuditOutcome, now: datetime) -> None:
    assert json.loads(canonical_bytes(replace(event(now), outcome=outcome)))["outcome"] == outcome.value
