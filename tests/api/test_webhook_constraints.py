"""PostgreSQL holds every truth of webhooks by itself: each constraint, trigger and grant of 0024 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import EVENT, MERCHANT, NOW, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as OF_RAIL

EARLIER = "2026-11-22T08:00:00Z"
WEBHOOK = shown("whk")

ROWS: dict[str, dict[str, Any]] = {
    "webhooks": {
        "id": WEBHOOK, "merchant_id": MERCHANT, "url": "https://shop.example/", "event_types": ["*"],
        "created_at": NOW, "changed_at": NOW,
    },
    "webhook_secrets": {
        "webhook_id": WEBHOOK, "number": 1, "salt": b"s" * 32, "key_mark": b"m" * 8, "created_at": NOW,
    },
    "delivery_tries": {
        "webhook_id": WEBHOOK, "event_id": EVENT, "number": 1, "url": "https://shop.example/", "tried_at": NOW,
        "milliseconds": 12, "http_status": 204,
    },
}  # fmt: skip
"""One good row of each table, in the order of their dependence."""

WEBHOOK_2 = {"id": shown("whk", 2)}
SECRET_2 = {"number": 2, "expires_at": NOW}
TRY_2 = {"number": 2}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("webhooks_pkey", "webhooks", {}),
    ("webhooks_merchant_fkey", "webhooks", WEBHOOK_2 | {"merchant_id": shown("mer", 9)}),
    ("webhooks_id_is_shown", "webhooks", {"id": "whk_1"}),
    ("webhooks_url_is_http", "webhooks", WEBHOOK_2 | {"url": "ftp://shop.example/"}),
    ("webhooks_url_is_http", "webhooks", WEBHOOK_2 | {"url": "https://" + "a" * 2048}),
    ("webhooks_event_types_named", "webhooks", WEBHOOK_2 | {"event_types": []}),
    ("webhooks_event_types_named", "webhooks", WEBHOOK_2 | {"event_types": ["*"] * 101}),
    ("webhooks_description_length", "webhooks", WEBHOOK_2 | {"description": ""}),
    ("webhooks_description_length", "webhooks", WEBHOOK_2 | {"description": "d" * 201}),
    ("webhooks_status_is_known", "webhooks", WEBHOOK_2 | {"status": "lost"}),
    ("webhooks_suspended_for_a_reason", "webhooks", WEBHOOK_2 | {"status": "suspended"}),
    ("webhooks_suspended_for_a_reason", "webhooks", WEBHOOK_2 | {"suspension_reason": "asked"}),
    ("webhooks_suspended_for_a_reason", "webhooks", WEBHOOK_2 | {"status": "suspended", "suspension_reason": "x"}),
    ("webhook_secrets_pkey", "webhook_secrets", SECRET_2 | {"number": 1}),
    ("webhook_secrets_webhook_fkey", "webhook_secrets", SECRET_2 | {"webhook_id": shown("whk", 9)}),
    ("webhook_secrets_number_positive", "webhook_secrets", SECRET_2 | {"number": 0}),
    ("webhook_secrets_salt_length", "webhook_secrets", SECRET_2 | {"salt": b"s"}),
    ("webhook_secrets_mark_length", "webhook_secrets", SECRET_2 | {"key_mark": b"m"}),
    ("webhook_secrets_ends_after_it_begins", "webhook_secrets", SECRET_2 | {"expires_at": EARLIER}),
    ("webhook_secrets_one_lasting", "webhook_secrets", {"number": 2}),
    ("delivery_tries_pkey", "delivery_tries", {}),
    ("delivery_tries_webhook_fkey", "delivery_tries", TRY_2 | {"webhook_id": shown("whk", 9)}),
    ("delivery_tries_event_fkey", "delivery_tries", TRY_2 | {"event_id": shown("evt", 9)}),
    ("delivery_tries_number_positive", "delivery_tries", {"number": 0}),
    ("delivery_tries_time_not_negative", "delivery_tries", TRY_2 | {"milliseconds": -1}),
    ("delivery_tries_status_is_http", "delivery_tries", TRY_2 | {"http_status": 99}),
    ("delivery_tries_answer_length", "delivery_tries", TRY_2 | {"answer": "a" * 1001}),
    ("delivery_tries_answered_or_failed", "delivery_tries", TRY_2 | {"http_status": None}),
]
CHANGES = ("UPDATE {} SET webhook_id = webhook_id", "DELETE FROM {}", "TRUNCATE {}")


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in {"merchants": OF_RAIL["merchants"], "events": OF_RAIL["events"], **ROWS}.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        assert refused_by(filled, table, ROWS[table] | change) == name


def test_no_constraint_of_webhooks_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | {"delivery_tries_append_only"}


@pytest.mark.parametrize("change", CHANGES)
def test_the_log_of_tries_is_never_rewritten(filled: psycopg.Connection[Any], change: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        filled.execute(change.format("delivery_tries").encode())


@pytest.mark.parametrize("after", [-1, 1])
def test_a_delivery_was_replayed_after_attempts_that_were_made(filled: psycopg.Connection[Any], after: int) -> None:
    row = OF_RAIL["deliveries"] | {"replayed_after": after}
    assert refused_by(filled, "deliveries", row) == "deliveries_replayed_within_attempts"


def test_the_application_deletes_nothing_and_rewrites_no_try(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in ROWS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE delivery_tries SET number = number")
