"""Registers over HTTP: a file in, verdicts out, and nothing at all of a broken file."""

from __future__ import annotations

import io
from typing import Any

import psycopg
import pytest

from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.writing import write_register
from tests.api.conftest import Client
from tests.sbp_gateway.registers.operations import DAY, Paid, lay, paid

PATH = f"/v1/sbp/registers?profile=tbank&day={DAY}"
FILE = {"content-type": "application/octet-stream"}


def file_of(payments: list[Paid], profile: str = "tbank") -> bytes:
    file = io.BytesIO()
    write_register(load_profile(profile), [payment.line() for payment in payments], file, day_on=DAY)
    return file.getvalue()


def rows_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM registers) + (SELECT count(*) FROM register_lines)"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_register_is_taken_in_checked_and_read(client: Client, database: Any) -> None:
    payments = paid(3)
    lay(database.superuser_url, payments)
    strange = Paid(9, 700, 2)

    taken = await client.post(PATH, content=file_of([*payments[:2], strange]), headers=FILE)
    register = taken.json()
    read = await client.get(f"/v1/sbp/registers/{register['id']}")
    first = await client.get(f"/v1/sbp/registers/{register['id']}/differences?limit=1")
    rest = await client.get(f"/v1/sbp/registers/{register['id']}/differences?limit=5&after={first.json()['next']}")
    listed = await client.get(f"/v1/sbp/registers?day={DAY}")

    assert taken.status_code == 201, taken.text
    assert (register["lines"], register["status"], register["footer"]) == (3, "checked", "none")
    assert [(total["verdict"], total["lines"], total["operations"]) for total in register["check"]["totals"]] == [
        ("matched", 2, 2), ("only_in_register", 1, 0), ("only_with_us", 0, 1),
    ]  # fmt: skip
    assert read.json() == register
    found = first.json()["items"] + rest.json()["items"]
    assert [(one["verdict"], one["line_number"], one["operation_id"]) for one in found] == [
        ("only_in_register", 3, None), ("only_with_us", None, payments[2].payment_id),
    ]  # fmt: skip
    assert [item["id"] for item in listed.json()["items"]] == [register["id"]]


async def test_a_repeat_with_the_same_key_is_the_same_register(client: Client, database: Any) -> None:
    file = file_of(paid(1))

    first = await client.post(PATH, content=file, headers=FILE, key="register-key-000001")
    again = await client.post(PATH, content=file, headers=FILE, key="register-key-000001")
    other = await client.post(PATH, content=file_of(paid(2)), headers=FILE, key="register-key-000001")

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")


async def test_the_same_file_is_one_register(client: Client, database: Any) -> None:
    first = await client.post(PATH, content=file_of(paid(1)), headers=FILE)
    again = await client.post(PATH, content=file_of(paid(1)), headers=FILE)

    assert (again.status_code, again.json()["code"]) == (409, "sbp_gateway.register_taken")
    assert again.json()["facts"]["register_id"] == first.json()["id"]


RIGHT = file_of(paid(3))
BROKEN = {
    "a line cut short": (RIGHT[:-60], "register_line_malformed", {"line": 3}),
    "an amount that is none": (RIGHT.replace(b"1499.91", b"1499,9l"), "register_value_malformed", {"line": 2}),
    "another encoding": (RIGHT.decode("cp1251").replace("Dom", "Дом").encode(), "register_encoding_wrong", {}),
    "nothing": (b"", "register_empty", {}),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_file_leaves_nothing(client: Client, database: Any, name: str) -> None:
    file, code, facts = BROKEN[name]

    refused = await client.post(PATH, content=file, headers=FILE)

    assert (refused.status_code, refused.json()["code"]) == (422, f"sbp_gateway.{code}")
    assert facts.items() <= refused.json().get("facts", {}).items()
    assert rows_of(database.superuser_url) == 0


async def test_a_day_without_a_file_is_told(client: Client, database: Any) -> None:
    lay(database.superuser_url, paid(1))

    told = await client.post(f"{PATH}&is_absent=true")
    of_another_bank = await client.post(f"/v1/sbp/registers?profile=tochka&day={DAY}&is_absent=true")

    assert (told.status_code, told.json()["is_absent"], told.json()["check"]["is_clean"]) == (201, True, False)
    assert of_another_bank.json()["code"] == "sbp_gateway.register_absent"


async def test_a_file_that_is_said_to_be_absent_is_not_taken(client: Client, database: Any) -> None:
    refused = await client.post(f"{PATH}&is_absent=true", content=file_of(paid(1)), headers=FILE)

    assert (refused.status_code, refused.json()["code"]) == (422, "sbp_gateway.register_not_absent")
    assert rows_of(database.superuser_url) == 0


async def test_a_register_is_checked_again(client: Client, database: Any) -> None:
    (payment,) = paid(1)
    taken = await client.post(PATH, content=file_of([payment]), headers=FILE)
    lay(database.superuser_url, [payment])

    again = await client.post(f"/v1/sbp/registers/{taken.json()['id']}/checks")

    assert (taken.json()["check"]["is_clean"], again.status_code, again.json()["is_clean"]) == (False, 201, True)
    assert again.json()["number"] == 2


async def test_operations_without_entries_are_told_beside_the_three_sums(client: Client, database: Any) -> None:
    (payment,) = paid(1)
    lay(database.superuser_url, [payment], is_booked=False)

    taken = await client.post(PATH, content=file_of([payment]), headers=FILE)
    found = await client.get(f"/v1/sbp/registers/{taken.json()['id']}/differences")

    check = taken.json()["check"]
    assert (check["is_clean"], check["totals"][0]["verdict"]) == (False, "matched")
    assert check["books"] == [
        {
            "kind": "payment", "register_kopecks": 149_990, "operation_kopecks": 149_990, "book_kopecks": 0,
            "register_less_operations_kopecks": 0, "operations_less_books_kopecks": 149_990, "operations": 1,
            "differing": 1,
        }
    ]  # fmt: skip
    assert [(one["verdict"], one["operation_id"], one["book_kopecks"]) for one in found.json()["items"]] == [
        ("differs_from_books", payment.payment_id, None)
    ]


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (f"/v1/sbp/registers?profile=sber&day={DAY}", FILE, "sbp_gateway.register_profile_unknown"),
        (PATH, {"content-type": "application/json"}, "api.media_type_unsupported"),
        ("/v1/sbp/registers?profile=tbank&day=2026-02-30", FILE, "api.request_invalid"),
        (f"{PATH}&member_id=7", FILE, "api.request_invalid"),
    ],
    ids=["an unknown bank", "JSON", "no such day", "no such member"],
)
async def test_a_bad_request_is_refused(client: Client, path: str, headers: dict[str, str], code: str) -> None:
    refused = await client.post(path, content=RIGHT, headers=headers)

    assert refused.json()["code"] == code


async def test_an_unknown_register_is_not_found(client: Client) -> None:
    found = await client.get("/v1/sbp/registers/reg_1")

    assert (found.status_code, found.json()["code"]) == (404, "sbp_gateway.register_not_found")
