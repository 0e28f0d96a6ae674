"""Every error has a code, every code a status, and nothing else is told."""

from __future__ import annotations

import importlib
import pkgutil
import re

import psycopg
import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

import api
import checkout
import installments
import ledger
import pci
import reconciliation
import sbp_gateway
from api import problems
from api.errors import RateLimited, RequestInvalid, ResourceUnknown
from ledger.errors import LEDGER_REFUSALS, KopeykaError

PACKAGES = (api, checkout, installments, ledger, pci, reconciliation, sbp_gateway)


def every_code() -> set[str]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith("errors"):
                importlib.import_module(module.name)
    ours = [error for error in problems.every_error() if not error.__module__.startswith("tests")]
    return {error.code for error in ours} | set(LEDGER_REFUSALS)


def test_the_table_knows_every_code_and_no_other() -> None:
    assert every_code() | {problems.INTERNAL} == set(problems.STATUS)


def test_every_status_is_one_that_the_door_uses() -> None:
    assert set(problems.STATUS.values()) <= {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 501, 502, 503}


def test_every_tip_is_for_a_known_code_and_in_russian() -> None:
    assert set(problems.CASHIER_TIPS) <= set(problems.STATUS)
    assert all(re.search("[а-я]{3}", tip) for tip in problems.CASHIER_TIPS.values())


def test_whatever_the_till_and_the_rail_refuse_has_a_tip_of_one_breath() -> None:
    refusals = {code for code, status in problems.STATUS.items() if 400 <= status < 500}
    needed = {code for code in refusals if code.split(".")[0] in ("checkout", "sbp_gateway")}

    assert needed - set(problems.CASHIER_TIPS) == set()
    assert [code for code, tip in problems.CASHIER_TIPS.items() if len(tip) > 100] == []


def test_a_problem_names_its_code_and_hides_card_numbers() -> None:
    found = problems.document(ResourceUnknown(id="4111 1111 1111 1111", note="n"), "req-1")

    assert (found["code"], found["status"], found["request_id"]) == ("api.resource_unknown", 404, "req-1")
    assert found["facts"] == {"id": "411111******1111", "note": "n"}


def test_validation_errors_lose_what_was_sent() -> None:
    error = RequestValidationError([{"loc": ("body", "a/b", 0), "msg": "no", "type": "x", "input": "4111111111111111"}])

    ours = problems.as_ours(error)

    assert isinstance(ours, RequestInvalid)
    assert [fault.pointer for fault in ours.faults] == ["/a~1b/0"]


AWAY = [
    pytest.param(PoolTimeoutError(), id="no connection is free"),
    pytest.param(psycopg.OperationalError(), id="the server is away"),
    pytest.param(OperationalError("SELECT 1", {}, psycopg.OperationalError()), id="the server went away"),
    pytest.param(ConnectionRefusedError(), id="nobody listens"),
]


@pytest.mark.parametrize("error", AWAY)
def test_a_database_that_is_away_is_503(error: BaseException) -> None:
    ours = problems.as_ours(error)

    assert ours is not None
    assert problems.status_of(ours) == 503
    assert problems.retry_after(ours, 503) == 1


def test_a_bug_is_told_as_nothing_but_a_bug() -> None:
    assert problems.as_ours(ZeroDivisionError("4111111111111111")) is None
    assert b"4111" not in problems.internal_bytes("req-1")


def test_waiting_is_told_in_seconds() -> None:
    error: KopeykaError = RateLimited(retry_after_seconds=3)

    assert problems.retry_after(error, 429) == 3
