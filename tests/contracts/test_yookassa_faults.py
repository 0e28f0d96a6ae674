"""A shop that only repeats its keys loses nothing and pays nothing twice, whatever NSPK's side loses."""

from __future__ import annotations

import itertools
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg

from tests.contracts.conftest import Installation, Shop, until
from tests.contracts.test_yookassa import QR

PAYMENTS = 40
FAULTS = {"lost_request": 0.3, "lost_answer": 0.3, "lost_notification": 0.3, "duplicate_notification": 0.3}
PATIENCE_SECONDS = 240.0


def sold(http: httpx.Client, installation: Installation) -> tuple[int, dict[str, Any]]:
    """One sale as a till makes it: the same key until there is an answer, a new one when the payment is canceled.

    How many payments that took, and the one that was paid.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    for tries in itertools.count(1):
        key = {"idempotence-key": str(uuid.uuid4())}
        answer = http.post("/payments", json=QR, headers=key)
        while answer.status_code != 200:
            assert answer.status_code in (202, 500), answer.text
            assert time.monotonic() < deadline
            time.sleep(0.2)
            answer = http.post("/payments", json=QR, headers=key)
        made = answer.json()
        if made["status"] == "pending":
            installation.pays(made["confirmation"]["confirmation_data"])
            return tries, made
        assert made["cancellation_details"]["reason"] == "internal_timeout"
        assert time.monotonic() < deadline, "NSPK never gave a link"
        time.sleep(0.5)  # the breaker may be open: then nothing is sent for some seconds
    raise AssertionError("unreachable")


def test_every_payment_is_made_once_under_faults(installation: Installation) -> None:
    shop = installation.shop()
    installation.faults(**FAULTS, seed=20261122)
    with installation.client(shop) as http:
        with ThreadPoolExecutor(6) as pool:
            sales = list(pool.map(lambda _: sold(http, installation), range(PAYMENTS)))
        installation.faults(**dict.fromkeys(FAULTS, 0.0))

        def read(made: dict[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = http.get(f"/payments/{made['id']}").json()
            return found

        found = [until(lambda made=made: read(made), lambda payment: payment["status"] != "pending")
                 for _, made in sales]  # fmt: skip

    assert {payment["status"] for payment in found} == {"succeeded"}
    assert len({payment["payment_method"]["sbp_operation_id"] for payment in found}) == PAYMENTS
    with psycopg.connect(installation.database_url) as connection:
        placed, canceled, moved = connection.execute(
            """SELECT count(*), count(*) FILTER (WHERE a.status IN ('rejected', 'expired')),
                      (SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE merchant_id = %(shop)s)
                 FROM yookassa_payments AS y JOIN attempts AS a ON a.id = y.attempt_id
                WHERE y.merchant_id = %(shop)s""",
            {"shop": shop.id},
        ).fetchone() or (0, 0, 0)
    assert placed == sum(tries for tries, _ in sales)
    assert canceled == placed - PAYMENTS
    assert moved == PAYMENTS * 149_990


def test_a_payment_survives_the_death_of_the_api_in_the_middle_of_the_call(installation: Installation) -> None:
    shop, key = installation.shop(), {"idempotence-key": str(uuid.uuid4())}
    nspk = installation.processes["simulators"]
    with installation.client(installation.shop()) as http:
        sold(http, installation)  # the breaker that the faults before may have opened is closed: the call goes out
    with installation.client(shop) as http, ThreadPoolExecutor(1) as pool:
        assert http.get("/payments").status_code == 200
        nspk.send_signal(signal.SIGSTOP)
        cut = pool.submit(http.post, "/payments", json=QR, headers=key)
        until(lambda: payments_of(installation, shop), lambda count: count == 1)
        installation.processes["api"].kill()
        installation.processes["api"].wait()
        assert isinstance(cut.exception(), httpx.TransportError)
        lease_until(installation, "lease_until + interval '1 hour'")  # however long the api takes to start
        nspk.send_signal(signal.SIGCONT)
        installation.start("api")

        waiting = http.post("/payments", json=QR, headers=key)
        assert (waiting.status_code, waiting.json()["type"]) == (202, "processing")  # the dead one's lease still runs
        installation.made("/v1/clock/advance", {"seconds": 60})  # the worker takes the lost link up
        lease_until(installation, "clock_timestamp()")
        made = until(lambda: http.post("/payments", json=QR, headers=key), lambda answer: answer.status_code == 200)

    assert made.json()["confirmation"]["confirmation_data"].startswith("https://qr.nspk.ru/")
    assert payments_of(installation, shop) == 1


def lease_until(installation: Installation, moment: str) -> None:
    with psycopg.connect(installation.database_url) as connection:
        connection.execute(f"UPDATE idempotency_keys SET lease_until = {moment} WHERE status = 'started'".encode())


def payments_of(installation: Installation, shop: Shop) -> int:
    with psycopg.connect(installation.database_url) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM yookassa_payments WHERE merchant_id = %s", [shop.id]
        ).fetchone() or (0,)
    return int(count)
