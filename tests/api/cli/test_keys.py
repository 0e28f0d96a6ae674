from __future__ import annotations

import json

from tests.api.cli.conftest import Kopeyka


def test_a_key_is_made_listed_and_revoked(kopeyka: Kopeyka) -> None:
    made = json.loads(kopeyka("keys", "create", "till", "--scope", "orders:write", "--json").out)

    before = json.loads(kopeyka("keys", "list", "--json").out)
    revoked = kopeyka("keys", "revoke", made["id"])
    after = json.loads(kopeyka("keys", "list", "--json").out)

    assert made["key"].startswith("kp_test_")
    assert before == [{"id": made["id"], "name": "till", "status": "works"}]
    assert revoked.code == 0
    assert after[0]["status"] == "revoked"


def test_a_key_is_rotated_and_the_old_one_ends_in_its_time(kopeyka: Kopeyka) -> None:
    made = json.loads(kopeyka("keys", "create", "till", "--scope", "orders:write", "--json").out)

    later = json.loads(kopeyka("keys", "rotate", made["id"], "--json").out)
    at_once = json.loads(kopeyka("keys", "rotate", later["id"], "--overlap-hours", "0", "--json").out)

    assert len({made["key"], later["key"], at_once["key"]}) == 3
    assert at_once["scopes"] == ["orders:write"]
    standing = {key["id"]: key["status"] for key in json.loads(kopeyka("keys", "list", "--json").out)}
    assert standing == {made["id"]: "works", later["id"]: "expired", at_once["id"]: "works"}
    assert kopeyka("keys", "rotate", later["id"]).code == 1


def test_the_list_never_shows_a_key(kopeyka: Kopeyka) -> None:
    made = json.loads(kopeyka("keys", "create", "till", "--scope", "orders:write", "--json").out)

    told = kopeyka("keys", "list")

    assert made["id"] in told.out
    assert made["key"] not in told.out


def test_an_unknown_scope_is_refused_with_the_known_ones(kopeyka: Kopeyka) -> None:
    told = kopeyka("keys", "create", "till", "--scope", "everything")

    assert told.code == 1
    assert "Scopes are: ledger:read" in told.err


def test_a_key_of_a_merchant_that_is_not_there_is_refused(kopeyka: Kopeyka) -> None:
    refused = kopeyka("keys", "create", "till", "--scope", "orders:read", "--merchant", "mer_" + "0" * 26)

    assert (refused.code, "There is no such merchant." in refused.err) == (1, True)
    assert json.loads(kopeyka("keys", "list", "--json").out) == []


def test_a_key_that_does_not_exist_cannot_be_revoked(kopeyka: Kopeyka) -> None:
    assert kopeyka("keys", "revoke", "key_none").code == 1
