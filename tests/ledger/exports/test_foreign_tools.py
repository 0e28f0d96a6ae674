"""Real hledger and real Beancount read our books and come to our balances."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader
from beancount.core import data, realization
from sqlalchemy import text

from ledger.balances import trial_balance
from ledger.database import Engine, transaction
from ledger.exports import beancount, hledger, naming
from ledger.exports.reading import Period
from tests.ledger.exports.conftest import KeepBook

Balances = dict[tuple[str, str], Decimal]
MONTH = Period(date(2026, 11, 1), date(2026, 11, 15))
NO_CACHE = os.environ | {"BEANCOUNT_DISABLE_LOAD_CACHE": "1"}


async def our_balances(engine: Engine, book: str, through_on: date | None) -> Balances:
    """Every account that has moved, debits less credits, in whole units of its commodity."""
    async with transaction(engine) as session:
        scales = {row.code: row.scale for row in await session.execute(text("SELECT code, scale FROM commodities"))}
        lines = await trial_balance(session, book=book, through_on=through_on)
    return {
        (line.code, line.commodity): Decimal(line.debits - line.credits).scaleb(-scales[line.commodity])
        for line in lines
        if line.debits != line.credits
    }


def hledger_balances(journal: Path) -> Balances:
    if shutil.which("hledger") is None:
        pytest.skip("hledger is missing: install the Debian package")
    subprocess.run(["hledger", "-f", journal, "check", "--strict"], check=True)
    answer = subprocess.run(
        ["hledger", "-f", journal, "bal", "--flat", "--no-total", "-O", "json"],
        check=True,
        capture_output=True,
    )
    rows, _ = json.loads(answer.stdout, parse_float=Decimal)
    return {
        (name, amount["acommodity"]): Decimal(amount["aquantity"]["decimalMantissa"]).scaleb(
            -amount["aquantity"]["decimalPlaces"]
        )
        for name, _, _, amounts in rows
        for amount in amounts
    }


def beancount_balances(journal: Path) -> Balances:
    subprocess.run(
        [sys.executable, "-m", "beancount.scripts.check", journal], check=True, env=NO_CACHE, capture_output=True
    )
    entries, errors, _ = loader.load_file(str(journal))
    assert errors == []
    root = realization.realize([entry for entry in entries if isinstance(entry, data.Transaction)])
    return {
        (account.account, position.units.currency): position.units.number
        for account in realization.iter_children(root)
        for position in account.balance
    }


@pytest.mark.parametrize("period", [Period(), MONTH], ids=["the whole book", "half a month"])
async def test_hledger_comes_to_our_balances(
    engine: Engine, now: datetime, tmp_path: Path, keep_busy_book: KeepBook, period: Period
) -> None:
    for seed in range(3):
        await keep_busy_book(engine, f"busy{seed}", seed, 60, now)
        journal = tmp_path / f"{seed}.journal"

        await hledger.write(engine, f"busy{seed}", journal, period)

        ours = await our_balances(engine, f"busy{seed}", period.through_on)
        assert hledger_balances(journal) == {
            (naming.hledger_account(code), naming.commodity_symbol(commodity)): amount
            for (code, commodity), amount in ours.items()
        }


@pytest.mark.parametrize("period", [Period(), MONTH], ids=["the whole book", "half a month"])
async def test_beancount_comes_to_our_balances(
    engine: Engine, now: datetime, tmp_path: Path, keep_busy_book: KeepBook, period: Period
) -> None:
    for seed in range(3):
        await keep_busy_book(engine, f"busy{seed}", seed, 60, now)
        journal = tmp_path / f"{seed}.beancount"

        await beancount.write(engine, f"busy{seed}", journal, period)

        ours = await our_balances(engine, f"busy{seed}", period.through_on)
        assert beancount_balances(journal) == {
            (naming.beancount_account(code), naming.commodity_symbol(commodity)): amount
            for (code, commodity), amount in ours.items()
        }


async def test_a_missing_kopeck_stops_both_tools(
    engine: Engine, now: datetime, tmp_path: Path, keep_busy_book: KeepBook
) -> None:
    await keep_busy_book(engine, "busy", 1, 20, now)
    journal, bean = tmp_path / "busy.journal", tmp_path / "busy.beancount"
    await hledger.write(engine, "busy", journal)
    await beancount.write(engine, "busy", bean)

    last = max(line for line in journal.read_text().splitlines() if "==" in line and "RUB" in line)
    journal.write_text(journal.read_text().replace(last, last[:-5] + f"{(int(last[-5]) + 1) % 10} RUB"))
    directive = max(line for line in bean.read_text().splitlines() if " ~ 0 RUB" in line)
    amount, rest = directive.rsplit(" ~ ", 1)
    bean.write_text(bean.read_text().replace(directive, f"{amount[:-1]}{(int(amount[-1]) + 1) % 10} ~ {rest}"))

    with pytest.raises(subprocess.CalledProcessError):
        hledger_balances(journal)
    _, errors, _ = loader.load_file(str(bean))
    assert [type(error).__name__ for error in errors] == ["BalanceError"]


async def test_an_empty_book_is_a_journal_too(engine: Engine, tmp_path: Path) -> None:
    await hledger.write(engine, "main", tmp_path / "main.journal")
    await beancount.write(engine, "main", tmp_path / "main.beancount")

    assert hledger_balances(tmp_path / "main.journal") == {}
    assert beancount_balances(tmp_path / "main.beancount") == {}
