from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.faults

WAIT_SECONDS_MAX = 120


@dataclass
class Running:
    """A real ``kopeyka up`` and its files."""

    process: subprocess.Popen[bytes]
    data: Path
    file: Path

    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.file.read_text()))

    def get(self, path: str) -> int:
        try:
            return httpx.get(self.told()["urls"]["api"] + path, timeout=60).status_code
        except httpx.HTTPError:
            return 0

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none when it has ended meanwhile, as PostgreSQL's do all the time."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def start(root: Path, api_processes: int = 1) -> Running:
    data, file = root / "data", root / "runtime.json"
    with (root / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "up", "--data-dir", data, "--runtime-file", file],
            stdout=log, stderr=log, env=os.environ | {"KOPEYKA_WORKERS": str(api_processes)},
        )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            process.wait()
            pytest.fail((root / "log").read_text()[-2000:])
        time.sleep(0.05)
    return Running(process, data, file)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="kopeyka-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def running(root: Path) -> Iterator[Running]:
    """Everything, started once for this file."""
    running = start(root, api_processes=2)
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(WAIT_SECONDS_MAX)


def test_everything_is_ready_when_the_runtime_file_appears(running: Running) -> None:
    told = running.told()

    assert 200 in [running.get("/readyz") for _ in range(5)]  # each waits for the database for half a second only
    assert len(told["pids"]["api"]) == 2
    ours = {"api", "worker", "simulators", "supervisor", "vault", "acquirer", "sealer", "dolyame"}
    assert ours == set(told["pids"])
    assert told["sandbox_key"].startswith("kp_test_")
    assert stat.S_IMODE(running.file.stat().st_mode) == 0o600


def test_the_sandbox_key_opens_the_door(running: Running) -> None:
    told = running.told()

    answer = httpx.get(
        told["urls"]["api"] + "/v1/ledger/accounts", headers={"Authorization": f"Bearer {told['sandbox_key']}"},
        timeout=60,
    )  # fmt: skip

    assert answer.status_code == 200


def test_the_first_day_at_a_till_ends_with_a_z_report(running: Running) -> None:
    day = subprocess.run(
        ["sh", Path(__file__).parents[2] / "deploy" / "first_day.sh", running.file],
        capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, check=False,
    )  # fmt: skip

    assert day.returncode == 0, day.stderr
    assert "X-ОТЧЁТ, СМЕНА № 1" in day.stdout
    z = day.stdout.partition("Z-ОТЧЁТ № 1")[2].splitlines()
    assert "ИТОГ                               1000.00" in z


def test_no_secret_is_on_a_command_line(running: Running) -> None:
    told = running.told()
    secrets = [told["sandbox_key"], *json.loads((running.data / "secrets.json").read_text()).values()]

    words = [word for process in running.family() for word in words_of(process)]

    assert words
    assert not [word for word in words if any(secret in word for secret in secrets)]


def test_children_do_not_learn_the_ways_into_what_is_not_theirs(running: Running) -> None:
    told = running.told()
    withheld = [told["database_urls"]["migrator"], told["database_urls"]["vault"]]
    passwords = [url.split(":")[2].split("@")[0] for url in withheld]

    for pid in [pid for name in ("api", "worker", "simulators", "dolyame") for pid in told["pids"][name]]:
        environment = str(psutil.Process(pid).environ())
        assert not [password for password in passwords if password in environment]
    if os.geteuid() == 0:  # the vault's environment is closed to everybody else
        of_the_books = told["database_urls"]["app"].split(":")[2].split("@")[0]
        assert of_the_books not in str(psutil.Process(told["pids"]["vault"][0]).environ())


def test_a_second_start_on_the_same_data_is_refused_with_the_reason(running: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "up", "--data-dir", running.data],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already runs on {running.data} (pid {running.process.pid})" in second.stderr
    until(lambda: running.get("/readyz") == 200)


@pytest.mark.parametrize("role", ["api", "worker", "simulators", "vault", "acquirer", "sealer"])
def test_a_killed_process_is_replaced(running: Running, role: str) -> None:
    before = running.told()["pids"][role]

    os.kill(before[0], signal.SIGKILL)

    until(lambda: len(running.told()["pids"].get(role, [])) == len(before) and running.told()["pids"][role] != before)
    assert before[0] not in running.told()["pids"][role]
    until(lambda: running.get("/readyz") == 200)


def test_the_port_stays_open_while_one_api_process_is_dead(running: Running) -> None:
    os.kill(running.told()["pids"]["api"][0], signal.SIGKILL)

    answers = [running.get("/livez") for _ in range(20)]

    assert answers.count(200) >= 19  # one connection may have been in the hands of the dead
    until(lambda: running.get("/readyz") == 200)


def test_a_killed_postgresql_comes_back_and_so_does_the_door(running: Running) -> None:
    before = running.told()["postgres_pid"]

    os.kill(before, signal.SIGKILL)

    until(lambda: running.told()["postgres_pid"] not in (None, before))
    until(lambda: running.get("/readyz") == 200)


def test_the_books_can_be_verified_while_everything_runs(running: Running) -> None:
    verified = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "verify", "--data-dir", running.data, "--json"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip

    assert json.loads(verified.stdout)["broken"] == []


def test_sigterm_stops_all_within_ten_seconds_and_leaves_nothing(running: Running) -> None:
    family = running.family()
    at = time.monotonic()

    running.process.terminate()

    assert running.process.wait(15) == 0
    assert time.monotonic() - at < 10
    assert [process for process in family if is_alive(process)] == []
    assert not running.file.exists()
    assert not (running.data / "runtime.json").exists()


def test_a_second_run_keeps_the_key_and_ctrl_c_stops_it(running: Running, root: Path) -> None:
    again = start(root)
    key = (again.data / "sandbox_key").read_text()

    assert again.told()["sandbox_key"] == key
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(WAIT_SECONDS_MAX) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_a_killed_supervisor_leaves_no_orphans(running: Running, root: Path) -> None:
    again = start(root)
    family = again.family()

    again.process.kill()
    again.process.wait()

    until(lambda: not [process for process in family if is_alive(process)])
