"""The project's own sources, read once for the checks beside this file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "ledger",
    "pci",
    "tokenization",
    "sbp_gateway",
    "installments",
    "checkout",
    "reconciliation",
    "api",
    "bench",
)
MONEY_PACKAGES = ("ledger", "checkout", "sbp_gateway", "installments", "reconciliation")


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: str
    """From the project's root: ``ledger/money.py``."""
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/", 1)[0]

    def calls(self) -> Iterator[tuple[int, str]]:
        """Every call as it is written: ``time.sleep``, ``session.commit``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imported(self) -> Iterator[tuple[int, str]]:
        """Every module imported, by its full name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.lineno, node.module


def source_of(path: str, text: str) -> Source:
    return Source(path, text, ast.parse(text))


@cache
def sources() -> tuple[Source, ...]:
    """Every file of the packages, not the tests."""
    return _read(*PACKAGES)


@cache
def suite() -> tuple[Source, ...]:
    return _read("tests")


def _read(*folders: str) -> tuple[Source, ...]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(source_of(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths)
