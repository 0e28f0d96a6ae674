"""Retention: what is past its policy is gone, the rest stays, and every run is written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from ledger.database import transaction
from pci.evidence import retention
from pci.evidence.errors import RetentionPolicyRefused
from pci.evidence.outages import beat, silent_controls
from pci.evidence.retention import Purge, RetentionPolicy, purge_due
from tests.card_world import MIR, NEIGHBOUR, OTHER, SHOP, VISA, World
from tests.conftest import VaultDatabase
from tokenization.retention import RETAINED

SEALED = "pan_sealed IS NOT NULL OR holder_sealed IS NOT NULL OR fingerprint IS NOT NULL OR key_number IS NOT NULL"


async def set_policy(world: World, **changes: Any) -> RetentionPolicy:
    terms = {
        "merchant_id": SHOP, "data_class": "expired_card", "days": 10, "legal_basis": "contract 7",
        "justification": "no disputes after ten days", "actor": "person:per_1", "origin": "req_1", "now": world.now,
    }  # fmt: skip
    async with transaction(world.engine) as session:
        return await retention.set_policy(session, **(terms | changes))


async def run(world: World, at: datetime) -> dict[tuple[str, str], Purge]:
    done = await purge_due(world.transactions, RETAINED, now=at, origin="vault")
    return {(purge.policy.merchant_id, purge.policy.data_class): purge for purge in done}


async def test_a_card_past_its_time_is_emptied_and_others_stay(world: World) -> None:
    over = await world.tokenize(MIR, "2026-12", holder="IVAN PETROV")
    kept = await world.tokenize(VISA, "2027-01")
    in_december = datetime(2026, 12, 31, 12, tzinfo=UTC)

    before = await run(world, in_december + timedelta(days=180))
    after = await run(world, in_december + timedelta(days=181))

    assert before["", "expired_card"].rows_purged == 0
    assert (after["", "expired_card"].rows_purged, after["", "expired_card"].rows_left) == (1, 0)
    assert world.sql(f"SELECT token FROM cards WHERE {SEALED}") == [(kept.card.token,)]
    assert (await world.find(over.card.token)).mask == "220011******9001"


async def test_a_merchants_own_policy_comes_before_the_houses(world: World) -> None:
    await set_policy(world)
    await world.tokenize(MIR, "2026-12")
    foreign = await world.tokenize(MIR, "2026-12", merchant_id=NEIGHBOUR)

    done = await run(world, datetime(2027, 1, 12, tzinfo=UTC))

    assert (done[SHOP, "expired_card"].rows_purged, done["", "expired_card"].rows_purged) == (1, 0)
    assert world.sql(f"SELECT token FROM cards WHERE {SEALED}") == [(foreign.card.token,)]


async def test_more_than_one_batch_is_purged_in_one_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PURGE_BATCH", 2)
    for number in (MIR, VISA, OTHER):
        await world.tokenize(number, "2026-12")

    assert (await run(world, datetime(2028, 1, 1, tzinfo=UTC)))["", "expired_card"].rows_purged == 3


async def test_every_run_is_a_row_and_an_event(world: World) -> None:
    await world.tokenize(MIR, "2026-12")
    at = datetime(2028, 1, 1, tzinfo=UTC)

    await run(world, at)

    rows = world.sql(
        "SELECT data_class, rows_purged, rows_left, method FROM purges JOIN retention_policies p ON p.id = policy_id"
        " ORDER BY 1"
    )
    assert rows == [("card_session", 0, 0, "deleted"), ("expired_card", 1, 0, "emptied"), ("sad", 0, 0, "deleted")]
    assert [event["facts"]["rows_purged"] for event in world.events("retention.purged")] == [0, 1, 0]
    async with transaction(world.engine) as session:
        assert await retention.was_purged_since(session, at - timedelta(seconds=1))
        assert not await retention.was_purged_since(session, at)


async def test_rows_that_somebody_holds_are_told_as_left(world: World) -> None:
    await world.tokenize(MIR, "2026-12")
    with psycopg.connect(world.database.superuser_url) as holder:
        holder.execute("SELECT * FROM cards FOR UPDATE")
        done = await run(world, datetime(2028, 1, 1, tzinfo=UTC))

    assert (done["", "expired_card"].rows_purged, done["", "expired_card"].rows_left) == (0, 1)
    assert [event["outcome"] for event in world.events("retention.purged")].count("failed") == 1


async def test_forms_that_are_over_go_with_their_policy(world: World) -> None:
    world.sql(
        "INSERT INTO card_sessions (id, merchant_id, request_key, origin, wants_cvc, terms, status, created_at,"
        " expires_at) VALUES ('cse_' || repeat('a', 25), 'mer_shop', 'k', 'https://shop.ru', false, '{}', 'open',"
        " '2026-11-22 09:00Z', '2026-11-22 09:15Z')"
    )

    done = await run(world, world.now + timedelta(days=2))

    assert done["", "card_session"].rows_purged == 1
    assert world.sql("SELECT count(*) FROM card_sessions") == [(0,)]


async def test_a_new_policy_ends_the_one_before_and_is_in_the_log(world: World) -> None:
    first = await set_policy(world)
    second = await set_policy(world, days=5, now=world.now + timedelta(days=1))

    async with transaction(world.engine) as session:
        in_force = [one for one in await retention.policies(session) if one.merchant_id]
    assert in_force == [second]
    assert first.id != second.id
    assert [event["facts"]["days"] for event in world.events("retention.set")] == [10, 5]


@pytest.mark.parametrize(
    "changes",
    [{"days": -1}, {"days": 181}, {"data_class": "everything"}, {"legal_basis": " "}, {"justification": ""}],
    ids=["less than nothing", "longer than the house", "an unknown class", "no basis", "no reason"],
)
async def test_a_policy_without_a_reason_or_beyond_the_houses_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(RetentionPolicyRefused):
        await set_policy(world, **changes)


async def test_a_control_that_was_silent_too_long_is_an_outage(world: World) -> None:
    async def alive(seconds: int) -> bool:
        async with transaction(world.engine) as session:
            at = world.now + timedelta(seconds=seconds)
            return await beat(session, "vault", period_seconds=60, now=at, origin="vault")

    assert [await alive(seconds) for seconds in (0, 60, 240, 1_000)] == [False, False, False, True]
    assert world.sql("SELECT control, ended_at - began_at, cause FROM outages") == [
        ("vault", timedelta(seconds=760), "silent for 760 seconds")
    ]
    assert [event["facts"]["seconds"] for event in world.events("control.was_silent")] == [760]
    async with transaction(world.engine) as session:
        assert await silent_controls(session, now=world.now + timedelta(seconds=1_180)) == []
        assert await silent_controls(session, now=world.now + timedelta(seconds=1_181)) == ["vault"]


POLICY = "INSERT INTO retention_policies ({0}, set_by, set_at) VALUES ({1}, 'x', now())"
OF_POLICY = "merchant_id, data_class, days, legal_basis, justification"
PURGE = "INSERT INTO purges (policy_id, cutoff_at, ran_at, rows_purged, rows_left, method) VALUES ({})"
OUTAGE = "INSERT INTO outages (control, began_at, ended_at, cause) VALUES ({})"
BEAT = "INSERT INTO heartbeats VALUES ({})"
BROKEN = {
    "retention_policies_merchant_form": POLICY.format(OF_POLICY, "'shop', 'x_y', 1, 'abc', 'abc'"),
    "retention_policies_data_class_form": POLICY.format(OF_POLICY, "'', 'X', 1, 'abc', 'abc'"),
    "retention_policies_days_in_range": POLICY.format(OF_POLICY, "'', 'x_y', -1, 'abc', 'abc'"),
    "retention_policies_say_why": POLICY.format(OF_POLICY, "'', 'x_y', 1, 'a', 'abc'"),
    "retention_policies_one_in_force": POLICY.format(OF_POLICY, "'', 'sad', 1, 'abc', 'abc'"),
    "retention_policies_end_after_they_begin": "UPDATE retention_policies SET ended_at = '2020-01-01'",
    "purges_policy_fkey": PURGE.format("99, now(), now(), 0, 0, 'deleted'"),
    "purges_cutoff_before_run": PURGE.format("1, now() + interval '1 day', now(), 0, 0, 'deleted'"),
    "purges_rows_not_negative": PURGE.format("1, now(), now(), -1, 0, 'deleted'"),
    "purges_method_is_known": PURGE.format("1, now(), now(), 0, 0, 'burnt'"),
    "heartbeats_control_form": BEAT.format("'A', now(), 1"),
    "heartbeats_period_positive": BEAT.format("'abc', now(), 0"),
    "heartbeats_pkey": BEAT.format("'abc', now(), 1), ('abc', now(), 1"),
    "outages_control_fkey": OUTAGE.format("'abc', now() - interval '1 day', now(), 'x'"),
    "outages_last": OUTAGE.format("'vault', now(), now(), 'x'"),
    "outages_cause_length": OUTAGE.format("'vault', now() - interval '1 day', now(), ''"),
}


@pytest.mark.parametrize("constraint", BROKEN)
def test_the_database_refuses_too(constraint: str, vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.migrator_url, autocommit=True) as connection:
        connection.execute("INSERT INTO heartbeats VALUES ('vault', now(), 60)")
        with pytest.raises(psycopg.errors.IntegrityError) as refused:
            connection.execute(BROKEN[constraint])

    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize("table", ["purges", "outages"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_was_written_down_stays(table: str, verb: str, vault_database: VaultDatabase) -> None:
    with (
        psycopg.connect(vault_database.migrator_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        connection.execute(verb.format(table))


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM retention_policies", "UPDATE retention_policies SET days = 1", "DELETE FROM heartbeats"],
)
def test_the_vaults_role_may_not_rewrite_policies(statement: str, vault_database: VaultDatabase) -> None:
    with (
        psycopg.connect(vault_database.vault_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_an_operator_sees_and_sets_policies(vault_database: VaultDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPEYKA_DATABASE_URL", vault_database.vault_url)  # the books are not asked for
    monkeypatch.setenv("KOPEYKA_VAULT_MIGRATOR_DATABASE_URL", vault_database.migrator_url)
    run = CliRunner().invoke
    words = ["retention", "set", "expired_card", "--days", "30", "--basis", "contract 7", "--because", "no disputes"]

    done = run(app, [*words, "--merchant", SHOP])
    listed = run(app, ["retention", "list"])

    assert (done.exit_code, "expired_card is kept 30 days" in done.output) == (0, True)
    assert SHOP in listed.output
    refused = run(app, ["retention", "set", "everything", "--days", "1", "--basis", "law", "--because", "none"])
    assert isinstance(refused.exception, RetentionPolicyRefused)
