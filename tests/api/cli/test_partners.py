"""Partners of the tills' contract at the command line."""

from __future__ import annotations

import json

import psycopg

from tests.api.cli.conftest import Kopeyka
from tests.api.test_rail_constraints import MERCHANT, ROWS, insert
from tests.conftest import Database

HOST = "https://till.example/postbacks"


def test_a_partner_is_named_and_shown_what_its_host_is_told_by(kopeyka: Kopeyka, database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        first, again = (
            json.loads(kopeyka("partners", "set", MERCHANT, "--name", "lenta", "--postback-url", HOST, "--json").out)
            for _ in range(2)
        )
        silent = json.loads(kopeyka("partners", "set", MERCHANT, "--name", "lenta", "--json").out)
        kept = connection.execute("SELECT name, merchant_id, postback_url FROM koshelek_pay_partners").fetchall()

    assert first == again
    assert (first["base_path"], first["postback_login"], len(first["postback_password"])) == (
        "/pos/v1/lenta",
        "lenta",
        64,
    )
    assert (silent["postback_url"], silent["postback_password"]) == ("", "")
    assert kept == [("lenta", MERCHANT, None)]


def test_a_host_that_only_we_can_reach_is_refused(kopeyka: Kopeyka, database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        insert(connection, "merchants", ROWS["merchants"])

        refused = kopeyka("partners", "set", MERCHANT, "--name", "lenta", "--postback-url", "https://10.0.0.1/")

        assert refused.code != 0
        assert connection.execute("SELECT count(*) FROM koshelek_pay_partners").fetchone() == (0,)
