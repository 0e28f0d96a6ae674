"""What merchants pay, what banks charge, and codes of trade, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client

TARIFF = {
    "member_id": "100000000007", "tariff_group": "everyday", "valid_from_on": "2026-11-01", "basis_points": 40,
    "cap_kopecks": 150_000, "rounding": "half_up", "is_withheld": False, "source": "Договор 17",
}  # fmt: skip


async def test_tariffs_say_where_they_are_from_and_whether_anybody_checked(client: Client) -> None:
    tariffs = {each["tariff_group"]: each for each in (await client.get("/v1/tariffs")).json()}
    assert tariffs["everyday"]["basis_points"] == 40
    assert tariffs["everyday"]["cap_kopecks"] == 150_000
    assert (tariffs["everyday"]["is_confirmed"], tariffs["standard"]["is_confirmed"]) == (True, False)
    groups = (await client.get("/v1/mcc-groups")).json()
    assert {"5411": "everyday", "4900": "utilities"}.items() <= {
        each["first_mcc"]: each["tariff_group"] for each in groups
    }.items()


async def test_a_banks_tariff_is_written_down_once(client: Client) -> None:
    made = await client.post("/v1/bank-tariffs", TARIFF)
    assert made.status_code == 201, made.text
    assert made.json() == TARIFF | {"rail": "sbp", "is_confirmed": False}
    assert (await client.get("/v1/bank-tariffs")).json() == [made.json()]
    again = await client.post("/v1/bank-tariffs", TARIFF | {"basis_points": 30})
    assert (again.status_code, again.json()["code"]) == (409, "reconciliation.bank_tariff_taken")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"member_id": "7"}, id="no member of SBP"),
        pytest.param({"basis_points": 10_001}, id="more than all of it"),
        pytest.param({"basis_points": 0.4}, id="percents"),
        pytest.param({"cap_kopecks": -1}, id="negative cap"),
        pytest.param({"rounding": "even"}, id="unknown rounding"),
        pytest.param({"source": ""}, id="from nowhere"),
        pytest.param({"valid_from_on": "1 November"}, id="no date"),
    ],
)
async def test_a_bad_tariff_is_refused(client: Client, change: dict[str, Any]) -> None:
    response = await client.post("/v1/bank-tariffs", TARIFF | change)
    assert (response.status_code, response.json()["code"]) == (422, "api.request_invalid")
    assert (await client.get("/v1/bank-tariffs")).json() == []
