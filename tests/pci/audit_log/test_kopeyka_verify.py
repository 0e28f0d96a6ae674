"""kopeyka-verify: alone in a folder, it finds every kind of tampering and names the line."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pci.audit_log import kopeyka_verify
from pci.audit_log.checkpoint import VAULT_ORIGIN, Checkpoint, sign
from pci.audit_log.dumping import dump, dump_line, prove_consistency, prove_inclusion
from pci.audit_log.exporting import export_due
from pci.audit_log.merkle import EMPTY, leaf_hash
from pci.audit_log.sinks import FileSink
from tests.pci.audit_log.log import KEY, VERIFIER, Log

PROGRAM = Path(kopeyka_verify.__file__)


@dataclass(frozen=True)
class Case:
    """What an auditor carries away: files in a folder."""

    folder: Path
    log: Log
    first: Checkpoint

    async def redump(self) -> None:
        async with self.log.transactions() as session:
            pieces = [piece async for piece in dump(session, size=1_000)]
        (self.folder / "dump.jsonl").write_bytes(b"".join(lines for lines, _ in pieces))
        (self.folder / "dump.leaves").write_bytes(b"".join(leaves for _, leaves in pieces))

    def verify(self, *arguments: str) -> tuple[int, str]:
        """In a process of its own, with nothing of ours within reach."""
        done = subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def verify_dump(self) -> tuple[int, str]:
        return self.verify("verify-dump", "dump.jsonl", "note.txt", "key.txt", "--witness", "sink.jsonl")

    def edit(self, lines: list[bytes]) -> None:
        (self.folder / "dump.jsonl").write_bytes(b"".join(lines))

    def lines(self) -> list[bytes]:
        return (self.folder / "dump.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
async def case(log: Log, tmp_path: Path) -> Case:
    first = await log.grow(0, 7)
    last = await log.grow(7, 6)
    await export_due(log.transactions, VAULT_ORIGIN, FileSink(tmp_path / "sink.jsonl"), now=lambda: log.now)
    made = Case(tmp_path, log, first)
    await made.redump()
    shutil.copy(PROGRAM, tmp_path / "verify.py")
    (tmp_path / "key.txt").write_text(VERIFIER.show())
    (tmp_path / "note.txt").write_text(last.note)
    (tmp_path / "old.txt").write_text(first.note)
    return made


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(PROGRAM.read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

    assert {str(module).split(".")[0] for module in modules} - set(sys.stdlib_module_names) == {"nacl"}


async def test_a_dump_that_nobody_touched_holds(case: Case) -> None:
    code, said = case.verify_dump()

    assert code == 0
    assert "13 leaves give the root that was signed" in said


async def test_an_older_checkpoint_and_the_file_of_a_sink_serve_too(case: Case) -> None:
    code, said = case.verify("verify-dump", "dump.jsonl", "old.txt", VERIFIER.show())
    assert (code, "7 leaves give" in said, "6 more lines" in said) == (0, True, True)

    assert case.verify("verify-dump", "dump.jsonl", "sink.jsonl", "key.txt")[0] == 0


EDITED = """UPDATE audit_events SET event = convert_to(replace(convert_from(event, 'UTF8'), 'tok_4', 'tok_9'), 'UTF8')
             WHERE convert_from(event, 'UTF8') LIKE '%tok_4%'"""
RESEALED = "UPDATE audit_leaves AS l SET leaf = e.leaf FROM audit_events AS e WHERE e.id = l.event_id"
SWAPPED = "UPDATE audit_leaves SET idx = CASE idx WHEN -3 THEN 5 WHEN -5 THEN 3 ELSE -idx END WHERE abs(idx) IN (3, 5)"


@pytest.mark.parametrize(
    ("deeds", "named"),
    [
        ((EDITED,), "line 5 was changed (leaf 4)"),
        ((EDITED, RESEALED), "line 5 was changed (leaf 4)"),
        (("DELETE FROM audit_leaves WHERE idx = 6",), "leaf 6 is missing before line 7"),
        (("DELETE FROM audit_leaves WHERE idx >= 11",), "the end is cut off: leaves 11 to 12 are missing"),
        (("DELETE FROM audit_events WHERE convert_from(event, 'UTF8') LIKE '%tok_4%'",), "line 5 has lost its event"),
        ((f"ALTER TABLE audit_leaves DROP CONSTRAINT audit_leaves_not_negative; {SWAPPED}; {SWAPPED}",),
         "line 4 is out of order: it was line 6"),
        (("INSERT INTO audit_leaves (idx, leaf, event_xid, event_id) VALUES (13, sha256('x'), '1', 0)",),
         "1 more lines are not under this checkpoint"),
    ],
    ids=["edited", "edited and resealed", "deleted", "truncated", "event dropped", "reordered", "inserted at the end"],
)  # fmt: skip
async def test_tampering_with_the_database_is_named_to_the_line(case: Case, deeds: tuple[str, ...], named: str) -> None:
    case.log.tamper(*deeds)
    await case.redump()

    code, said = case.verify_dump()

    assert named in said
    assert code == (0 if "more lines" in named else 1), said


async def test_lines_whose_events_retention_took_are_let_through_when_said_so(case: Case) -> None:
    case.edit([dump_line(leaf_hash(line[:-1]), None) if idx < 3 else line for idx, line in enumerate(case.lines())])

    assert case.verify("verify-dump", "dump.jsonl", "note.txt", "key.txt")[0] == 1
    code, said = case.verify("verify-dump", "dump.jsonl", "note.txt", "key.txt", "--retained-from", "4")
    assert (code, "3 lines before line 4" in said) == (0, True)


async def test_tampering_with_the_dump_is_named_to_the_line(case: Case) -> None:
    lines = case.lines()
    forged = lines[4].replace(b"tok_4", b"tok_9")
    for changed, named in (
        ([*lines[:4], forged, *lines[5:]], "line 5 was changed"),
        ([*lines[:4], *lines[5:]], "leaf 4 is missing before line 5"),
        ([*lines[:4], forged, *lines[4:]], "line 5 was inserted"),
        ([*lines[:4], lines[6], lines[5], lines[4], *lines[7:]], "line 5 is out of order: it was line 7"),
        ([*lines[:4], b"nonsense\n", *lines[5:]], "line 5 was changed"),
        (lines[:9], "4 lines are missing"),
    ):
        case.edit(changed)
        code, said = case.verify_dump()
        assert (code, named in said) == (1, True), said


async def test_without_a_witness_the_hashes_of_the_database_name_what_was_edited_alone(case: Case) -> None:
    case.log.tamper(EDITED)
    await case.redump()

    code, said = case.verify("verify-dump", "dump.jsonl", "note.txt", "key.txt")

    assert (code, "by the database: line 5 was changed (leaf 4)" in said) == (1, True)


async def test_two_dumps_are_compared_line_by_line(case: Case) -> None:
    shutil.copy(case.folder / "dump.jsonl", case.folder / "older.jsonl")
    assert case.verify("diff", "older.jsonl", "dump.jsonl") == (0, "")

    case.edit(case.lines()[1:])
    assert case.verify("diff", "older.jsonl", "dump.jsonl") == (1, "FLAW: leaf 0 is missing before line 1\n")


async def test_inclusion_is_proved_and_not_for_a_line_that_was_changed(case: Case) -> None:
    async with case.log.transactions() as session:
        proof = await prove_inclusion(session, 9, size=13)
    path = case.folder / "proof.json"
    path.write_text(json.dumps(proof))
    assert case.verify("inclusion", "proof.json", "note.txt", "key.txt")[0] == 0

    for change in ({"idx": 8}, {"leaf": "00" * 32}, {"path": proof["path"][:-1]}, {"line": proof["line"] + " "}):
        path.write_text(json.dumps(proof | change))
        assert case.verify("inclusion", "proof.json", "note.txt", "key.txt")[0] == 1


async def test_growth_is_proved_and_not_for_another_log(case: Case) -> None:
    async with case.log.transactions() as session:
        proof = await prove_consistency(session, 7, size=13)
    path = case.folder / "proof.json"
    path.write_text(json.dumps(proof))
    assert case.verify("consistency", "proof.json", "old.txt", "note.txt", "key.txt")[0] == 0

    path.write_text(json.dumps(proof | {"path": proof["path"][1:]}))
    assert case.verify("consistency", "proof.json", "old.txt", "note.txt", "key.txt")[0] == 1


async def test_what_cannot_be_checked_is_said_so(case: Case) -> None:
    (case.folder / "note.txt").write_text((case.folder / "note.txt").read_text().replace("\n13\n", "\n12\n"))
    assert case.verify_dump() == (2, "kopeyka-verify: the signature of the checkpoint is false\n")
    assert case.verify("verify-dump", "dump.jsonl", "old.txt", "name+00000000+AAAA")[0] == 2
    assert case.verify("verify-dump", "nothing.jsonl", "old.txt", "key.txt")[0] == 2
    assert case.verify("verify-dump", "dump.jsonl", "dump.jsonl", "key.txt")[0] == 2


async def test_a_witness_whose_hashes_are_not_those_that_were_signed_is_none(case: Case) -> None:
    path = case.folder / "sink.jsonl"
    exported = [json.loads(line) for line in path.read_text().splitlines()]
    exported[0]["leaves"] = exported[0]["leaves"][::-1].lstrip("=").ljust(len(exported[0]["leaves"]), "A")
    path.write_text("".join(json.dumps(line) + "\n" for line in exported))
    case.edit(case.lines()[1:])

    assert case.verify_dump()[0] == 2


async def test_a_dump_of_an_older_copy_is_noticed_by_a_witness_that_holds_more(case: Case) -> None:
    """The older checkpoint is genuine and its root fits: only the sink knows that there is more."""
    case.edit(case.lines()[:7])
    asked = ("verify-dump", "dump.jsonl", "old.txt", "key.txt", "--witness", "sink.jsonl")

    named = "leaves 7 to 12 left the house and are not in this dump"
    code, said = case.verify(*asked)
    assert (code, named in said) == (0, True), said
    for limit in (["--strict"], ["--newer-max", "5"]):
        code, said = case.verify(*asked, *limit)
        assert (code, f"FLAW: by sink.jsonl: {named}" in said, "give the root" in said) == (1, True, False), said
    assert case.verify(*asked, "--newer-max", "6")[0] == 0


async def test_an_edited_log_that_was_signed_anew_is_named_by_a_witness(case: Case) -> None:
    lines = case.lines()
    lines[4] = lines[4].replace(b"tok_4", b"tok_9")
    case.edit(lines)
    forged = sign(VAULT_ORIGIN, EMPTY.grown([leaf_hash(line[:-1]) for line in lines]), KEY)
    (case.folder / "note.txt").write_text(forged.note)

    code, said = case.verify_dump()

    assert (code, "by sink.jsonl: line 5 was changed (leaf 4)" in said, "give the root" in said) == (1, True, False)


async def test_a_proof_whose_line_is_no_text_makes_no_sense(case: Case) -> None:
    async with case.log.transactions() as session:
        proof = await prove_inclusion(session, 9, size=13)
    (case.folder / "proof.json").write_text(json.dumps(proof | {"line": 5}))

    assert case.verify("inclusion", "proof.json", "note.txt", "key.txt")[0] == 2
