"""``kopeyka explain``: one id in, the whole story out."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.api.cli.conftest import Kopeyka
from tests.api.test_rail_constraints import ATTEMPT, LATER, NOW, ORDER, PAYMENT, PAYOUT, QR, ROWS, insert, shown
from tests.conftest import Database


@pytest.fixture
def sale(database: Database) -> None:
    """An order with its attempt, its QR and its money, an event of it that is on its way, and a payout."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize("name", [ORDER, ATTEMPT, QR, PAYMENT, "A" * 32, ROWS["events"]["id"]])
def test_a_story_is_told_by_any_of_its_names(kopeyka: Kopeyka, name: str) -> None:
    told = kopeyka("explain", name, "--json")

    assert told.code == 0
    story = json.loads(told.out)
    assert {ORDER, ATTEMPT, QR, PAYMENT} <= set(story["objects"])
    said = [one["what"] for one in story["moments"]]
    assert said == [
        "order.placed", "attempt.begun", "sbp.link_asked_for", "sbp.paid", "order.paid", "delivery.pending",
    ]  # fmt: skip


@pytest.mark.usefixtures("sale")
def test_a_story_is_told_to_people_by_day_in_roubles(kopeyka: Kopeyka) -> None:
    told = kopeyka("explain", ORDER).out

    assert told.splitlines()[1] == "2026-11-22"
    assert "09:00:00.000" in told
    assert "amount 1.00 RUB" in told
    assert "6 moments of 4 objects" in told
    assert "leaf" not in told


@pytest.mark.usefixtures("sale")
def test_no_id_is_cut_in_two_however_narrow_the_screen(kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    told = kopeyka("explain", ORDER).out

    assert f"order.placed  {ORDER}\n" in told
    assert PAYMENT in told
    assert ATTEMPT in told


@pytest.mark.usefixtures("sale")
def test_each_try_of_a_webhook_is_told_with_its_answer(kopeyka: Kopeyka, database: Database) -> None:
    webhook = {
        "id": shown("whk"), "url": "https://shop.example/hook", "event_types": ["order.paid"], "created_at": NOW,
        "changed_at": NOW,
    }  # fmt: skip
    tries = {"webhook_id": shown("whk"), "event_id": ROWS["events"]["id"], "url": webhook["url"], "milliseconds": 12}
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "webhooks", webhook)
        insert(connection, "delivery_tries", tries | {"number": 1, "tried_at": NOW, "error": "timeout"})
        insert(connection, "delivery_tries", tries | {"number": 2, "tried_at": LATER, "http_status": 204})

    story = json.loads(kopeyka("explain", ORDER, "--json").out)

    called = [one["facts"] for one in story["moments"] if one["what"] == "webhook.called"]
    assert [(each["number"], each.get("error"), each.get("http_status")) for each in called] == [
        (1, "timeout", None), (2, None, 204),
    ]  # fmt: skip


@pytest.mark.usefixtures("sale")
def test_a_payout_is_explained_alone(kopeyka: Kopeyka) -> None:
    story = json.loads(kopeyka("explain", PAYOUT, "--json").out)

    assert [one["what"] for one in story["moments"]] == ["payout.asked_for"]


@pytest.mark.usefixtures("sale")
def test_the_log_is_read_when_it_is_asked_for_and_that_is_in_it(kopeyka: Kopeyka) -> None:
    told = kopeyka("explain", PAYOUT, "--log")

    assert "audit_log.read" in told.out
    assert f"timeline:{PAYOUT}" in told.out


@pytest.mark.parametrize("name", ["ord_" + "0" * 26, "nobody", ""])
def test_what_nobody_knows_ends_with_code_1(kopeyka: Kopeyka, name: str) -> None:
    told = kopeyka("explain", name)

    assert told.code == 1
    assert "no such thing" in told.err
