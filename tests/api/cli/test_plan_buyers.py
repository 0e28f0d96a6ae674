"""Stop lists and the erasure of buyers at the command line: a phone is never an argument and never printed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from api.cli import plan_buyers
from ledger.clock import machine_now, moscow_day
from ledger.database import Engine, text, transaction
from tests.api.cli.conftest import Kopeyka
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, plan_shop

PHONE = "+79165550123"
ADD = ("plans", "stop-list", "add", "--reason", "чужой паспорт", "--source", "police")


async def test_a_buyer_on_the_list_gets_no_plan_until_taken_off_it(
    client: Client, engine: Engine, vault_engine: Engine, kopeyka: Kopeyka, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "phones"
    file.write_text("8 916 555-01-23\n\n+7 916 555 01 24\n")
    monkeypatch.setattr("typer.prompt", lambda *_, **__: PHONE)  # the keyboard
    async with plan_shop(client, engine, vault_engine) as shop:
        await shop.plan()
        added = await asyncio.to_thread(kopeyka, *ADD, str(file))
        again = await asyncio.to_thread(kopeyka, *ADD, str(file))
        found = await asyncio.to_thread(kopeyka, "plans", "stop-list", "find")
        refused = await shop.accepted(phone=PHONE)
        line = re.match(r"stp_\w+", found.out)
        assert line is not None, found.out
        removed = await asyncio.to_thread(kopeyka, "plans", "stop-list", "remove", line[0])
        nobody = await asyncio.to_thread(kopeyka, "plans", "stop-list", "find")
        taken = await shop.accepted(phone=PHONE)

    assert (added.out.strip(), again.out.strip()) == (
        "2 of 2 are new on the list", "0 of 2 are new on the list",
    ), added.err  # fmt: skip
    assert "police: чужой паспорт" in found.out
    assert (refused["status"], taken["status"]) == ("rejected", "wait_for_commit")
    assert (removed.code, nobody.out.strip()) == (0, "not on the list")
    assert "5550123" not in "".join(one.out + one.err for one in (added, again, found, removed, nobody))


def test_a_wrong_line_is_told_by_its_number_and_adds_nothing(kopeyka: Kopeyka, tmp_path: Path) -> None:
    file = tmp_path / "phones"
    file.write_text("+79165550123\n5550199\n")

    told = kopeyka(*ADD, str(file))

    assert (told.code, "line 2 of" in told.err, "5550199" in told.err) == (1, True, False), told.err


async def test_a_buyer_is_erased_when_the_law_lets_it(
    client: Client, engine: Engine, vault_engine: Engine, kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.prompt", lambda *_, **__: PHONE)
    async with plan_shop(client, engine, vault_engine) as shop:
        given_up = await shop.accepted(phone=PHONE)
        open_plan = await shop.begun(phone="+79165550124")
        buyer_id = (await asyncio.to_thread(kopeyka, "plans", "find-buyer")).out.strip()
        await shop.cards.made(f"{PLANS}/{given_up['id']}/cancel", {}, 200)
        erased = await asyncio.to_thread(kopeyka, "plans", "erase-buyer", "--yes", buyer_id)
        gone = await asyncio.to_thread(kopeyka, "plans", "find-buyer")
        early = await asyncio.to_thread(kopeyka, "plans", "erase-buyer", "--yes", open_plan["buyer_id"])
        kept_years = plan_buyers.KEPT_YEARS
        monkeypatch.setattr(plan_buyers, "KEPT_YEARS", 0)
        owes = await asyncio.to_thread(kopeyka, "plans", "erase-buyer", "--yes", open_plan["buyer_id"])
    async with transaction(engine) as session:
        kept = (
            await session.execute(text("SELECT phone, first_name FROM buyers WHERE id = :id"), {"id": buyer_id})
        ).one()

    assert (erased.code, tuple(kept)) == (0, (None, None)), erased.err
    assert gone.out.strip() == "there is no such buyer"
    until = moscow_day(machine_now()).year + kept_years
    assert (early.code, f"is kept until {until}" in early.err) == (1, True), early.err
    assert (owes.code, owes.err.count("\n")) == (1, 1), owes.err
