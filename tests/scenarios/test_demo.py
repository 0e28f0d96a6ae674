"""The demo as a newcomer runs it: the real command line, real processes, real money's worth of kopecks."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.demo.purchases import Purchase, read_purchases, turnover
from api.demo.till_baskets import read_baskets
from api.demo.till_baskets import turnover as till_turnover

SECONDS_MAX = 600.0
ORDERS, SKIPPED, BASKETS = 240, 500, 60
"""Row 732 is of zero dollars."""


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "api.cli.main", "demo", "--json", "--out", str(out), "--baskets", "0", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip


def hear_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, complained = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0, complained[-2000:]
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def assert_fits(found: dict[str, Any], purchases: Sequence[Purchase]) -> None:
    paying = [purchase for purchase in purchases if purchase.amount > 0]
    assert found["fits"], found["complaint"]
    assert found["orders"] == found["paid"] == len(paying)
    assert sum(found["refused"].values()) == len(purchases) - len(paying)
    assert found["turnover_kopecks"] == found["file_kopecks"] == turnover(purchases)
    assert found["merchant_payable_kopecks"] == found["paid_out_kopecks"] == turnover(purchases) - found["fees_kopecks"]
    assert found["duplicates"] == 0
    assert found["proofs"]["broken"] == []
    assert found["repeated"] == found["replayed"] > 0
    assert found["dropped"] > 0
    assert len(found["vault"]) == 7
    assert "was changed" in found["vault"][-1]["seen"]
    assert "220011175357" not in json.dumps(found["vault"])


@dataclass(frozen=True, slots=True)
class ShortDemo:
    """One run that several tests look at: api, worker and PostgreSQL are killed while it sells."""

    folder: Path
    found: dict[str, Any]


@pytest.fixture(scope="module")
def short_demo(tmp_path_factory: pytest.TempPathFactory) -> ShortDemo:
    folder = tmp_path_factory.mktemp("demo")
    options = ("--skip", str(SKIPPED), "--orders", str(ORDERS), "--baskets", str(BASKETS), "--chaos")
    return ShortDemo(folder, ended(started(folder, *options)))


@pytest.mark.faults
def test_killing_everybody_in_the_middle_loses_and_doubles_nothing(short_demo: ShortDemo) -> None:
    assert short_demo.found["kills"] == {"api": 2, "worker": 2, "postgres": 2}
    assert short_demo.found["retried"] > 0
    assert_fits(short_demo.found, read_purchases(orders=ORDERS, skipped=SKIPPED))


def test_a_short_demo_says_what_was_refused_and_writes_its_report(short_demo: ShortDemo) -> None:
    assert short_demo.found["refused"] == {"checkout.amount_not_positive": 1}
    report = (short_demo.folder / "demo-report.html").read_text()
    assert "Everything fits" in report
    assert report.count("<svg") == 3
    assert "http://" not in report
    assert "https://" not in report


def test_the_tills_of_a_short_demo_come_to_what_their_file_says(short_demo: ShortDemo) -> None:
    till = short_demo.found["till"]
    assert (till["baskets"], sum(day["baskets"] for day in till["days"])) == (BASKETS, BASKETS)
    assert [check for check in till["checks"] if not check["holds"]] == []
    payers = ("promo", "points", "sbp", "plate", "card", "device", "plan")
    assert all(sum(day[name] for day in till["days"]) > 0 for name in ("sbp", "card", "device", "back"))
    brought = sum(day[name] for day in till["days"] for name in payers)
    assert brought == till_turnover(read_baskets(BASKETS))
    assert till["shifts"] == 20
    assert "<h2>The tills</h2>" in (short_demo.folder / "demo-report.html").read_text()


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed")
def test_hledger_reads_the_journal(short_demo: ShortDemo) -> None:
    journal, fees_kopecks = str(short_demo.folder / "demo-journal.hledger"), short_demo.found["fees_kopecks"]
    subprocess.run(["hledger", "-f", journal, "check", "--strict"], check=True)
    fees = subprocess.run(
        ["hledger", "-f", journal, "bal", "Income:fee", "-O", "csv"], check=True, capture_output=True, text=True
    )
    assert f'"-{fees_kopecks // 100}.{fees_kopecks % 100:02} RUB"' in fees.stdout


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none when it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGINT])
def test_a_stopped_demo_leaves_no_process_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    process = started(tmp_path, "--orders", "5000")
    deadline = time.monotonic() + SECONDS_MAX
    while len(children := psutil.Process(process.pid).children(recursive=True)) < 6 and time.monotonic() < deadline:
        time.sleep(0.1)
    folders = {word for child in children for word in words_of(child) if word.endswith("/runtime.json")}
    process.send_signal(number)
    _, complained = process.communicate(timeout=SECONDS_MAX)

    assert process.returncode == 1
    assert complained.strip().splitlines()[-1] == "the demo was stopped"
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert len(folders) == 1
    assert not Path(folders.pop()).parent.exists()
