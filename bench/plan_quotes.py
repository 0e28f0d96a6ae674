"""A quote over HTTP, against the health endpoint of the same process: the 99th percentile of each, asked in turns."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import uvloop

from api.demo.premises import premises
from bench.rows import Row
from ledger.clock import machine_now, monotonic, moscow_day

ASKED = 3_000
WARM = 200
PERCENT = 99
TARGET = 0.33
MERCHANT = {
    "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893",
    "bank_account": {"bik": "044525225", "number": "40702810938000000001"}, "tariff_group": "everyday",
}  # fmt: skip
AGAINST = "GET /livez of the same process, p99 in microseconds; both asked one at a time, in turns"


def rows() -> list[Row]:
    """``quote_p99``."""
    return uvloop.run(_rows())


async def _rows() -> list[Row]:
    async with premises(log_level="info", workers=1) as ours:
        told = ours.runtime()
        place = urlsplit(told["urls"]["api"])
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        headers = {"authorization": f"Bearer {told['sandbox_key']}"}
        path = _open(connection, headers)
        health, quotes = [], []
        for number in range(WARM + ASKED):
            alive, quote = _ask(connection, "/livez", {}), _ask(connection, path, headers)
            if number >= WARM:
                health.append(alive)
                quotes.append(quote)
    figure, baseline = _p99(quotes) * 1_000_000, _p99(health) * 1_000_000
    ratio = round(baseline / figure, 2)
    return [Row("quote_p99", round(figure, 1), round(baseline, 1), ratio, TARGET, "µs", AGAINST)]


def _open(connection: http.client.HTTPConnection, headers: Mapping[str, str]) -> str:
    """Take a merchant in with its terms; the path of a quote for it."""
    merchant = _make(connection, "/v1/merchants", headers, MERCHANT)
    terms = {
        "merchant_id": merchant["id"], "product_code": "dolyame", "fee_basis_points": 690,
        "effective_on": moscow_day(machine_now()).isoformat(),
    }  # fmt: skip
    _make(connection, "/v1/installments/merchant-terms", headers, terms)
    return f"/v1/installments/quotes?merchant_id={merchant['id']}&product_code=dolyame&price_kopecks=1000056"


def _make(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str], body: Any) -> Any:
    named = {"idempotency-key": f"bench-{path}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), {**headers, **named})
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"POST {path} was answered with {answer.status}: {told[:300].decode()}")
    return json.loads(told)


def _ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    """Seconds to an answer. Raises: RuntimeError if it is none."""
    start = monotonic()
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 200 or not told:
        raise RuntimeError(f"GET {path} was answered with {answer.status}: {told[:300].decode()}")
    return monotonic() - start


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * PERCENT // 100]
