"""Cards while processes die: whatever is killed, nobody pays twice and the books agree with the acquirer."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ledger.database import Engine
from tests.conftest import Database, VaultDatabase
from tests.scenarios.card_installation import CardInstallation, card_installation

pytestmark = pytest.mark.faults

SEED = 20_261_122


@pytest_asyncio.fixture
async def cards(
    database: Database, vault_database: VaultDatabase, engine: Engine, vault_engine: Engine, tmp_path: Path
) -> AsyncIterator[CardInstallation]:
    async with card_installation(database, vault_database, engine, vault_engine, tmp_path) as opened:
        yield opened


async def agree(cards: CardInstallation) -> Any:
    """The sum of captures less refunds is the same for us, for the books and for the acquirer."""
    summary = await cards.acquirer.ask("GET", "summary")
    listed = [await cards.read(payment["id"]) for payment in cards.answers]
    ours = sum(payment["captured_kopecks"] - payment["refunded_kopecks"] for payment in listed)
    assert (ours, await cards.books(), summary["net_kopecks"]) == (ours, ours, ours)
    assert (summary["doubles"], summary["held_kopecks"]) == (0, 0)
    assert {payment["status"] for payment in listed} <= {"captured", "refused", "voided"}
    return summary


async def test_a_vault_killed_between_question_and_answer_reverses_what_it_asked(cards: CardInstallation) -> None:
    await cards.acquirer.ask("PUT", "faults", {"delay_seconds": 60})
    await cards.acquirer.ask("PUT", "scripts", {"rules": [{"fault": "late_answer"}]})
    paying = asyncio.create_task(cards.pay(12_300))
    while (await cards.acquirer.ask("GET", "summary"))["net_kopecks"] != 12_300:
        assert not paying.done(), "the acquirer was never asked"

    cards.vault.kill()
    assert (await paying)["status"] == "unknown"
    cards.vault.start()
    await cards.settle()

    payment = await cards.read(cards.answers[0]["id"])
    assert (payment["status"], payment["reason"]) == ("refused", "answer_lost")
    assert (await agree(cards))["reversals"] == 1


async def test_a_vault_that_stood_still_for_longer_than_anybody_waits_charges_once_what_is_shown(
    cards: CardInstallation,
) -> None:
    """The question and its repeat lie before it together, and are answered at once when it goes on."""
    await asyncio.gather(*(cards.pay(100 + number) for number in range(16)))  # connections that are open already
    cards.vault.process.send_signal(signal.SIGSTOP)
    try:
        paying = [asyncio.create_task(cards.pay(1_000 + number)) for number in range(16)]
        await asyncio.wait(paying)
        await asyncio.sleep(2.5)  # the worker asks again
    finally:
        cards.vault.process.send_signal(signal.SIGCONT)
    found = {(await payment)["status"] for payment in paying}
    assert "unknown" in found
    assert found <= {"unknown", "refused"}  # refused: no connection was free, so nothing was asked
    await cards.settle()

    await agree(cards)


async def test_payments_and_refunds_survive_dead_acquirers_dead_vaults_and_lost_answers(
    cards: CardInstallation,
) -> None:
    chance = random.Random(SEED)
    await cards.acquirer.ask(
        "PUT", "faults",
        {"lost_request": 0.04, "lost_answer": 0.04, "duplicate_answer": 0.05, "cut": 0.02, "wrong_rrn": 0.02,
         "late_answer": 0.03, "delay_seconds": 8, "seed": SEED},
    )  # fmt: skip
    places = asyncio.Semaphore(8)

    async def buy(number: int) -> None:
        async with places:
            payment = await cards.pay(1_000 + number, capture=chance.random() < 0.8)
            if payment["status"] == "authorised":
                step = "capture" if chance.random() < 0.5 else "void"
                await cards.api.post(f"/v1/card-payments/{payment['id']}/{step}", {})
            elif payment["status"] == "captured" and chance.random() < 0.4:
                body = {"amount_kopecks": chance.randrange(1, 900)}
                await cards.api.post(f"/v1/card-payments/{payment['id']}/refunds", body)

    async def kill() -> None:
        for _ in range(3):
            await asyncio.sleep(2.5)
            cards.acquirer.kill()
            cards.acquirer.start()
            await asyncio.sleep(2.5)
            cards.vault.kill()
            cards.vault.start()

    await asyncio.gather(kill(), *(buy(number) for number in range(120)))
    await asyncio.to_thread(cards.vault.until_alive)
    await cards.settle()
    for payment in cards.answers:  # what was held when its capture or void could not be asked for
        if (await cards.read(payment["id"]))["status"] == "authorised":
            await cards.api.post(f"/v1/card-payments/{payment['id']}/void", {})
    await cards.settle()

    summary = await agree(cards)
    assert summary["captured"] >= 10  # of 120; a busy machine is dead for longer between kills
    assert summary["reversals"] >= 1
