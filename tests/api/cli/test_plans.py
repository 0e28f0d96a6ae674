"""``kopeyka plans``: what is set at the command line holds, and a plan is shown with its books."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ledger.database import Engine
from tests.api.cli.conftest import Kopeyka
from tests.api.conftest import Client
from tests.api.installment_world import merchant, today_plus
from tests.api.plan_shop import plan_shop


async def test_a_plan_is_shown_with_installments_movements_and_vouchers(
    client: Client, engine: Engine, vault_engine: Engine, kopeyka: Kopeyka, tmp_path: Path
) -> None:
    async with plan_shop(client, engine, vault_engine) as shop:
        plan = await shop.begun()
        shown = await asyncio.to_thread(kopeyka, "plans", "show", plan["id"])
        told = json.loads((await asyncio.to_thread(kopeyka, "plans", "show", plan["id"], "--json")).out)
        arrears = json.loads((await asyncio.to_thread(kopeyka, "plans", "arrears", "--json")).out)
        night = await asyncio.to_thread(kopeyka, "plans", "night")
        file = tmp_path / "register.csv"
        made = await asyncio.to_thread(
            kopeyka, "plans", "register", "--merchant", shop.merchant_id, "--from", today_plus(-1), "--out", str(file)
        )

    assert shown.code == 0, shown.err
    assert "price 10000.56, owed 7500.42" in shown.out
    assert [part["paid_kopecks"] for part in told["installments"]] == [250_014, 0, 0, 0]
    assert [one["kind"] for one in told["movements"]] == ["down_payment"]
    vouchers = [(one["kind"], one["amount_kopecks"]) for one in told["vouchers"]]
    assert ("plan.committed", 1_000_056) in vouchers
    assert sum(line["plans"] for line in arrears) == 1
    assert (night.code, "is done" in night.out) == (0, True), night.err
    assert (made.code, file.read_bytes()[:3]) == (0, b"\xef\xbb\xbf"), made.err


async def test_terms_and_the_licence_are_set_from_a_day_on(client: Client, kopeyka: Kopeyka) -> None:
    merchant_id = await merchant(client)
    words = ("plans", "terms", "set", "--merchant", merchant_id, "--fee", "690")
    agreed = await asyncio.to_thread(kopeyka, *words)
    again = await asyncio.to_thread(kopeyka, *words)
    told = json.loads((await asyncio.to_thread(kopeyka, "plans", "terms", "list", "--json")).out)
    entry = ("plans", "licence", "set", "--number", "26-7", "--capital", "5000000.00")
    active = await asyncio.to_thread(kopeyka, *entry)
    listed = await asyncio.to_thread(kopeyka, "plans", "licence", "list")

    assert "pays 6.9 % for dolyame" in agreed.out
    assert (again.code, "has terms" in again.err) == (1, True), again.err
    assert [(one["merchant_id"], one["fee_basis_points"]) for one in told] == [(merchant_id, 690)]
    assert "26-7 is active" in active.out
    assert "5000000.00" in listed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("show", "pln_" + "0" * 26), "There is no such plan", id="no such plan"),
        pytest.param(("licence", "set", "--number", "1", "--capital", "much"), "--capital is roubles", id="no sum"),
        pytest.param(("bureau", "--from", "2026-01-01", "--to", "2199-01-01", "--out", "x"), "", id="not over"),
    ],
)
def test_wrong_words_are_one_line(kopeyka: Kopeyka, words: tuple[str, ...], said: str, tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    told = kopeyka("plans", *words)

    assert told.code == 1
    assert said in told.err


def test_products_are_listed(kopeyka: Kopeyka) -> None:
    told = kopeyka("plans", "products")

    assert (told.code, "dolyame" in told.out, "150000.00" in told.out) == (0, True, True)
