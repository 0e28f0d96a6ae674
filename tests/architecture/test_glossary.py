"""GLOSSARY.md is the law: what is named in public is named by a word of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.architecture.sources import ROOT, sources

VERBS = {
    "activate", "advance", "block", "cancel", "close", "confirm", "deactivate", "delete", "dry", "end", "find", "look",
    "lose", "move", "post", "refuse", "release", "replace", "replay", "resend", "resolve", "resume", "run", "set",
    "submit", "suspend", "up", "wipe",
}  # fmt: skip
"""What a route may do to a noun."""
PLUMBING = {
    "v1": "the version of the API",
    "livez": "asked by the orchestrator",
    "readyz": "asked by the orchestrator",
    "startupz": "asked by the orchestrator",
    "metrics": "asked by Prometheus",
    "openapi.json": "the contract itself",
    "docs": "the page of the contract",
    "assets": "what pages load",
}
FOREIGN_ROUTES = {
    "nspk_notifications.py": "the path is NSPK's",
    "tkassa_notifications.py": "ours to choose, and named after theirs",
}
CLASS_EXCEPTIONS = {
    "Xid8": "PostgreSQL's own name of a type",
    "SqlArray": "PostgreSQL's own word",
    "Notifier": "sends the simulator's notifications",
    "Memo": "remembers what texts of a register mean",
}
DOMAIN_PACKAGES = {"ledger", "pci", "checkout", "sbp_gateway", "reconciliation", "installments", "tokenization"}
WIRE_SUFFIXES = {"Body", "View"}
FORM_WORDS = {"kind", "bank", "total", "key"}


@cache
def rows() -> tuple[tuple[str, str], ...]:
    table = [line.split("|") for line in (ROOT / "GLOSSARY.md").read_text("utf-8").splitlines() if line.startswith("|")]
    return tuple((cells[1].strip(), cells[2].strip()) for cells in table[2:])


@cache
def vocabulary() -> frozenset[str]:
    return frozenset(part for word, _ in rows() for part in re.split(r"[ ,_]+", word)) | FORM_WORDS


def is_known(word: str) -> bool:
    word = word.lower()
    singular = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
    return any(form in vocabulary() for form in singular)


def words_of(name: str) -> list[str]:
    return re.findall(r"[A-Z][a-z0-9]*|[a-z0-9]+", name)


def tables() -> set[str]:
    folder = ROOT / "api" / "migrations"
    texts = [path.read_text("utf-8") for path in (*folder.rglob("*.sql"), *folder.rglob("versions/*.py"))]
    return {name for text in texts for name in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)", text)}


def route_paths() -> Iterator[str]:
    for source in sources():
        if not source.path.startswith("api/routes/") or source.path.rsplit("/", 1)[1] in FOREIGN_ROUTES:
            continue
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            if re.fullmatch(r"\w*router\.(get|post|put|delete)", ast.unparse(node.func)):
                yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))
            for keyword in node.keywords:
                is_prefix = keyword.arg == "prefix" and ast.unparse(node.func).endswith("APIRouter")
                if is_prefix and isinstance(keyword.value, ast.Constant):
                    yield keyword.value.value


def public_classes() -> Iterator[tuple[str, str]]:
    for source in sources():
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield source.package, node.name


def test_every_word_has_its_russian_word_and_only_one_row() -> None:
    words = [word for word, _ in rows()]

    assert [word for word, russian in rows() if not re.search("[А-Яа-я]", russian)] == []
    assert {word for word in words if words.count(word) > 1} == set()


def test_tables_are_named_by_the_glossary() -> None:
    unknown = {table: [word for word in table.split("_") if not is_known(word)] for table in tables()}

    assert len(unknown) > 10
    assert {table: words for table, words in unknown.items() if words} == {}


def test_routes_are_named_by_the_glossary() -> None:
    parts = {part for path in route_paths() for part in path.split("/") if part and not part.startswith("{")}
    unknown = {
        part: [word for word in re.split("[-_]", part) if not is_known(word) and word not in VERBS]
        for part in parts - PLUMBING.keys()
    }

    assert {part: words for part, words in unknown.items() if words} == {}


def test_classes_of_the_domain_carry_a_word_of_the_glossary() -> None:
    nameless = [
        f"{package}.{name}"
        for package, name in public_classes()
        if package in DOMAIN_PACKAGES and name not in CLASS_EXCEPTIONS and not any(map(is_known, words_of(name)))
    ]

    assert nameless == []


def test_what_crosses_the_wire_is_named_by_the_glossary() -> None:
    nameless = [
        name
        for package, name in public_classes()
        if package == "api" and words_of(name)[-1] in WIRE_SUFFIXES and len(words_of(name)) > 1
        if not any(is_known(word) or word.lower() in VERBS for word in words_of(name)[:-1])
    ]

    assert nameless == []
