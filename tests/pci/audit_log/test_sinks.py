"""Sinks and exporting: every checkpoint, in order, with its leaf hashes, whatever crashes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pci.audit_log.checkpoint import VAULT_ORIGIN, read_checkpoint, sign
from pci.audit_log.exporting import export_due, waiting_exports
from pci.audit_log.merkle import EMPTY
from pci.audit_log.sinks import TAIL_BYTES, CheckpointSink, Exported, FileSink, FolderSink, last_note
from tests.pci.audit_log.log import KEY, VERIFIER, Log


class DownSink:
    """A sink that is away."""

    name = "file:/away"

    async def write(self, exported: Exported) -> None:
        raise OSError(f"away: {exported.first}")

    async def latest(self) -> str | None:
        raise OSError("away")


def make_sink(kind: str, folder: Path) -> CheckpointSink:
    return FileSink(folder / "sink.jsonl") if kind == "file" else FolderSink(folder / "sink")


async def export(log: Log, sink: CheckpointSink) -> int:
    return await export_due(log.transactions, VAULT_ORIGIN, sink, now=lambda: log.now)


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_every_checkpoint_reaches_a_sink_once_and_in_order(kind: str, log: Log, tmp_path: Path) -> None:
    sink = make_sink(kind, tmp_path)
    assert await sink.latest() is None
    checkpoints = [await log.grow(first, 3) for first in range(0, 9, 3)]

    assert await export(log, sink) == 3
    assert await export(log, sink) == 0
    last = await sink.latest()

    assert last is not None
    assert read_checkpoint(last, VERIFIER) == checkpoints[-1]
    assert log.rows("SELECT size FROM audit_exports ORDER BY size") == [(3,), (6,), (9,)]


async def test_a_sink_holds_every_leaf_hash(log: Log, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "sink.jsonl")
    await log.grow(0, 3)
    await log.grow(3, 2)
    await export(log, sink)

    lines = [json.loads(line) for line in sink.path.read_text().splitlines()]
    assert [line["first"] for line in lines] == [0, 3]
    assert [len(line["leaves"]) for line in lines] == [128, 88]


async def test_a_checkpoint_that_was_not_taken_waits(log: Log) -> None:
    await log.grow(0, 1)
    with pytest.raises(OSError, match="away"):
        await export(log, DownSink())

    async with log.transactions() as session:
        assert await waiting_exports(session, [DownSink()]) == {"file:/away": 1}


async def test_a_line_that_a_crash_cut_off_is_passed_over(log: Log, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "sink.jsonl")
    first = await log.grow(0, 1)
    await export(log, sink)
    with sink.path.open("ab") as file:
        file.write(b'{"first":1,"lea')

    assert await sink.latest() == first.note
    second = await log.grow(1, 1)
    await export(log, sink)
    assert await sink.latest() == second.note


def test_a_sink_full_of_something_else_is_not_an_empty_sink() -> None:
    assert last_note(b"") is None
    with pytest.raises(ValueError, match="checkpoint"):
        last_note(b"nothing of ours\n")


async def test_files_of_a_folder_are_written_once(log: Log, tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "sink")
    await log.grow(0, 1)
    await export(log, sink)

    (path,) = sink.path.rglob("*.json")
    assert path.stat().st_mode & 0o777 == 0o440
    assert path.name == "000000000000-1.json"


async def test_the_last_note_is_found_however_long_its_line_is(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "sink.jsonl")
    tree = EMPTY.grown([bytes(32)])
    await sink.write(Exported(sign(VAULT_ORIGIN, tree, KEY), 0, bytes(32)))
    leaves = [bytes(32)] * 30_000
    last = sign(VAULT_ORIGIN, tree.grown(leaves), KEY)
    await sink.write(Exported(last, 1, b"".join(leaves)))
    assert sink.path.stat().st_size > TAIL_BYTES

    assert await sink.latest() == last.note

    sink.path.write_bytes(b"x" * (TAIL_BYTES + 9) + b"\n")
    with pytest.raises(ValueError, match="nothing in the sink"):
        await sink.latest()
