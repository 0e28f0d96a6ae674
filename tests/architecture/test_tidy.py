"""STYLE.md as a test. An exception to a rule stands here, with its reason on the same line."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.architecture.sources import MONEY_PACKAGES, ROOT, Source, source_of, sources, suite

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
BANNED_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "core", "misc", "shared", "base"}

MAY_COMMIT = {
    "ledger/database.py": "transaction() is the only commit of the packages and the door",
    "ledger/session.py": "how transaction() commits on the connection itself",
    "api/migrations/running.py": "Alembic opens its own connection and commits one migration",
}
MAY_ASK_THE_TIME = {"ledger/clock.py": "the only module that asks the machine"}
MAY_SLEEP = {
    "api/postgres.py": "waits for a child process, before there is an event loop",
    "api/running.py": "waits for a child process, in a process without an event loop",
    "api/processes.py": "waits for a child process, in a process without an event loop",
    "api/supervisor.py": "waits for a child process, in a process without an event loop",
}
MAY_CALL_THE_NETWORK = {
    "sbp_gateway/nspk_transport.py": "the way to NSPK",
    "sbp_gateway/simulator/notifications.py": "the simulator is a network server of its own",
    "reconciliation/bank_http.py": "the adapter to the payout bank",
    "sbp_gateway/payout_bank_http.py": "the adapter to the bank that pays buyers",
    "pci/keys/kek_openbao.py": "the way to the service that keeps the KEK",
    "tokenization/koshelek_pay/sms.py": "the way to the gateway that sends codes to buyers",
}
MAY_USE_FLOATS = {
    "ledger/clock.py": "seconds of a monotonic clock",
    "ledger/group_commit.py": "seconds waited in the queue",
    "ledger/database.py": "a timeout in seconds",
    "ledger/money.py": "the type of the division that always raises",
    "sbp_gateway/nspk_transport.py": "timeouts in seconds",
    "reconciliation/bank_http.py": "timeouts in seconds",
    "sbp_gateway/payout_bank_http.py": "timeouts in seconds",
    "installments/documents/pdf.py": "sizes of type and of lines in points; sums come as text",
}
SIMULATOR = "sbp_gateway/simulator/"
"""Probabilities and delays of faults are its business; it keeps no money."""
NETWORK_CLIENTS = {"httpx", "aiohttp", "requests", "urllib.request", "http.client", "socket", "smtplib"}
BOOKS_WRITTEN = re.compile(
    r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE)\s+"
    r"(postings|accounts|refusals|holds|hold_events|day_totals|period_closes|period_balances)\b",
    re.IGNORECASE,
)

Rule = Callable[[Source], Iterable[str]]


def long_functions(source: Source) -> Iterator[str]:
    for function in source.functions():
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{source.path}:{function.lineno} {function.name} has {lines} lines"


def long_files(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{source.path} has {lines} lines"


def empty_names(source: Source) -> Iterator[str]:
    if words := BANNED_WORDS & set(re.split(r"[/_.]", source.path)):
        yield f"{source.path} says {words.pop()!r}, which says nothing"


def commits_elsewhere(source: Source) -> Iterator[str]:
    if source.path not in MAY_COMMIT:
        yield from (f"{source.path}:{line} commits" for line, name in source.calls() if name.endswith(".commit"))


def clocks_elsewhere(source: Source) -> Iterator[str]:
    asked = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.time|time\.time_ns)$")
    if source.path not in MAY_ASK_THE_TIME:
        yield from (f"{source.path}:{line} asks {name}" for line, name in source.calls() if asked.search(name))


def sleeps(source: Source) -> Iterator[str]:
    if source.path not in MAY_SLEEP:
        yield from (f"{source.path}:{line} sleeps" for line, name in source.calls() if name == "time.sleep")


def prints(source: Source) -> Iterator[str]:
    if not source.path.startswith("api/cli/"):
        yield from (f"{source.path}:{line} prints" for line, name in source.calls() if name == "print")


def network_below_the_door(source: Source) -> Iterator[str]:
    if source.package in {"api", "bench"} or source.path in MAY_CALL_THE_NETWORK:
        return
    for line, module in source.imported():
        if any(module == client or module.startswith(f"{client}.") for client in NETWORK_CLIENTS):
            yield f"{source.path}:{line} imports {module}"


def floats_near_money(source: Source) -> Iterator[str]:
    if source.package not in MONEY_PACKAGES or source.path in MAY_USE_FLOATS or source.path.startswith(SIMULATOR):
        return
    for node in ast.walk(source.tree):
        is_type = isinstance(node, ast.Name) and node.id == "float"
        is_number = isinstance(node, ast.Constant) and isinstance(node.value, float)
        if is_type or is_number:
            yield f"{source.path}:{getattr(node, 'lineno', 0)} has a float"


def unnumbered_promises(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"(^|\s)#.*\b(TODO|FIXME|XXX)\b(?!\s*\(?#\d+)", line):
            yield f"{source.path}:{number} promises something without a number"


def books_written_from_python(source: Source) -> Iterator[str]:
    if source.path.startswith(("api/migrations/", "bench/")):  # a bench fills a server of its own
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BOOKS_WRITTEN.search(node.value):
            yield f"{source.path}:{node.lineno} writes the books past their functions"


OF_SOURCES: tuple[Rule, ...] = (
    long_functions,
    long_files,
    empty_names,
    commits_elsewhere,
    clocks_elsewhere,
    sleeps,
    prints,
    network_below_the_door,
    floats_near_money,
    unnumbered_promises,
    books_written_from_python,
)
OF_TESTS: tuple[Rule, ...] = (long_functions, long_files, empty_names, unnumbered_promises)


@pytest.mark.parametrize("rule", OF_SOURCES)
def test_the_sources_are_tidy(rule: Rule) -> None:
    assert [fault for source in sources() for fault in rule(source)] == []


@pytest.mark.parametrize("rule", OF_TESTS)
def test_the_tests_are_tidy(rule: Rule) -> None:
    assert [fault for source in suite() for fault in rule(source)] == []


BAD = {
    long_functions: "def f():\n" + "    x = 1\n" * 70,
    long_files: "x = 1\n" * 501,
    commits_elsewhere: "async def f(session):\n    await session.commit()\n",
    clocks_elsewhere: "import datetime\nx = datetime.datetime.now()\n",
    sleeps: "import time\ntime.sleep(1)\n",
    prints: "print(1)\n",
    network_below_the_door: "import httpx\n",
    floats_near_money: "x = 0.5\n",
    unnumbered_promises: f"x = 1  # {'TO'}DO later\n",
    books_written_from_python: "x = 'UPDATE accounts SET version = 0'\n",
}


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_bites(rule: Rule) -> None:
    assert list(rule(source_of("checkout/bad.py", BAD[rule])))
    assert not list(rule(source_of("checkout/good.py", "x = 1\n")))


def test_a_name_that_says_nothing_is_noticed() -> None:
    assert list(empty_names(source_of("ledger/date_utils.py", "")))


def test_every_exception_is_still_needed() -> None:
    paths = {source.path for source in sources()}
    listed = MAY_COMMIT | MAY_ASK_THE_TIME | MAY_CALL_THE_NETWORK | MAY_USE_FLOATS

    assert listed.keys() - paths == set()


def test_every_limit_is_used() -> None:
    limit = re.compile(r"^([A-Z][A-Z0-9_]*_MAX)\b", re.MULTILINE)
    word = re.compile(r"\b[A-Z][A-Z0-9_]*_MAX\b")
    made = {source.path: set(limit.findall(source.text)) for source in sources()}
    said = {source.path: Counter(word.findall(source.text)) for source in sources()}
    used = {name for path, counts in said.items() for name in counts if name not in made[path]}

    assert [(path, name) for path, names in made.items() for name in names - used if said[path][name] < 2] == []


def test_every_module_says_what_it_is() -> None:
    assert [source.path for source in sources() if source.text.strip() and not ast.get_docstring(source.tree)] == []


def test_no_registry_host_or_path_of_a_machine_is_named() -> None:
    named = re.compile(r"https?://[\w.-]*(pypi|registry|artifactory|nexus|proxy)[\w.-]*|/(?:home|root|Users|work)/\w")
    texts = [path for pattern in ("*.md", "*.toml", "*.ini", "Makefile") for path in ROOT.glob(pattern)]
    texts += [ROOT / source.path for source in (*sources(), *suite())]

    assert [path.name for path in texts if named.search(path.read_text("utf-8"))] == []
