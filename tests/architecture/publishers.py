"""Where the code publishes events: names and fields, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from tests.architecture.sources import Source, sources

EXTRA = "**"
"""Among the fields of a place whose data is put together of more than what is written there."""


@dataclass(frozen=True)
class Teller:
    """A function that publishes for others."""

    name_at: int
    """Which argument is the event's name."""
    facts_at: int | None
    """Which argument holds the event's own fields; they may be given as ``facts`` too."""
    prefix: str = ""
    fields: frozenset[str] = frozenset()
    """What it adds to every event."""


TELLERS: Mapping[tuple[str, str], Teller] = {
    ("checkout.telling", "tell"): Teller(1, 5, fields=frozenset({"merchant_id"})),
    ("installments.telling", "tell"): Teller(2, None, "plan.", frozenset({EXTRA})),
    ("installments.buyer_news", "tell"): Teller(1, None, "buyer.", frozenset({"buyer_id"})),
    ("installments.buyers", "_changed"): Teller(2, 5, "buyer.", frozenset({"buyer_id"})),
    ("installments.offering", "_tell"): Teller(1, 4),
    ("checkout.rail_switches", "_tell"): Teller(1, 5, fields=frozenset({"merchant_id"})),
    ("api.webhooks.keeping", "_tell"): Teller(1, None, fields=frozenset({EXTRA})),
    ("sbp_gateway.onboarding", "_publish"): Teller(99, None),
    ("reconciliation.paying_out", "_publish"): Teller(1, None, fields=frozenset({EXTRA})),
    ("ledger.outbox", "Event"): Teller(0, 3),
}
"""The constructor of events, and functions that are called with a name."""


@dataclass(frozen=True)
class Place:
    """One place that publishes."""

    path: str
    line: int
    name: str
    """Literal, or the source of an expression."""
    is_literal: bool
    fields: frozenset[str]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


@cache
def places() -> tuple[Place, ...]:
    """Every place of the code that publishes an event."""
    words = [f"{name}(" for _, name in TELLERS]
    return tuple(
        place for source in sources() if any(word in source.text for word in words) for place in _places_of(source)
    )


def _places_of(source: Source) -> Iterator[Place]:
    module = source.path.removesuffix(".py").replace("/", ".")
    known = _tellers_in(source, module)
    for function in source.functions():
        if any((module, function.name) == key for key in TELLERS):
            continue  # what it publishes is read where it is called
        for node in ast.walk(function):
            teller = known.get(ast.unparse(node.func)) if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and teller is not None and len(node.args) > teller.name_at:
                yield _place(source.path, node, teller, function)


def _tellers_in(source: Source, module: str) -> dict[str, Teller]:
    """How the tellers are called in this file."""
    found = {name: teller for (home, name), teller in TELLERS.items() if home == module}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                called = alias.asname or alias.name
                if (teller := TELLERS.get((node.module, alias.name))) is not None:
                    found[called] = teller
                for (home, name), teller in TELLERS.items():
                    if home == f"{node.module}.{alias.name}":
                        found[f"{called}.{name}"] = teller
    return found


def _place(path: str, call: ast.Call, teller: Teller, function: ast.AST) -> Place:
    name = call.args[teller.name_at]
    is_literal = isinstance(name, ast.Constant)
    text = str(name.value) if isinstance(name, ast.Constant) else ast.unparse(name)
    facts: ast.expr | None = next((keyword.value for keyword in call.keywords if keyword.arg == "facts"), None)
    if facts is None and teller.facts_at is not None and len(call.args) > teller.facts_at:
        facts = call.args[teller.facts_at]
    fields = teller.fields | (frozenset() if facts is None else _keys_of(facts, function))
    return Place(path, call.lineno, (teller.prefix if is_literal else "") + text, is_literal, fields)


def _keys_of(facts: ast.expr, function: ast.AST) -> frozenset[str]:
    if isinstance(facts, ast.Dict):
        return frozenset(key.value if isinstance(key, ast.Constant) else EXTRA for key in facts.keys)  # type: ignore[misc]
    if isinstance(facts, ast.Name):
        for node in ast.walk(function):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            is_it = any(isinstance(target, ast.Name) and target.id == facts.id for target in targets)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and is_it and isinstance(value, ast.Dict):
                return _keys_of(value, function)
    return frozenset({EXTRA})
