"""Sinks: where checkpoints go, out of the reach of whoever could rewrite the database.

A sink gets every checkpoint with the leaf hashes that are new in it, as one line of JSON: whoever holds a sink's file
can name the very line that was changed. A sink that takes a checkpoint twice holds it twice; that harms nobody.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from pci.audit_log.checkpoint import Checkpoint

FOLDER_FILES_MAX = 10_000
"""Checkpoints in one folder: about an hour and a half of a busy day."""
TAIL_BYTES = 1 << 20
"""Read at first from the end of a file, and doubled until it holds a whole line: one with 20,000 hashes is 850 kB."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A checkpoint on its way out, and the leaf hashes since the one before it."""

    checkpoint: Checkpoint
    first: int
    """The number of the first leaf hash."""
    leaves: bytes

    def line(self) -> bytes:
        """As sinks keep it."""
        told = {
            "first": self.first,
            "leaves": base64.b64encode(self.leaves).decode(),
            "note": self.checkpoint.note,
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class CheckpointSink(Protocol):
    """Where checkpoints are written and cannot be taken back by us."""

    @property
    def name(self) -> str:
        """Names the sink in the record of what was exported."""

    async def write(self, exported: Exported) -> None:
        """Keep a checkpoint; it counts as exported when this returns. Raises: OSError if it could not be kept."""

    async def latest(self) -> str | None:
        """The note of the last checkpoint that was kept; nothing if there is none or the sink cannot be asked."""


@dataclass(frozen=True, slots=True)
class FileSink:
    """A file that only grows: of another owner, on another host, with the file system's append-only mark."""

    path: Path

    @property
    def name(self) -> str:
        return f"file:{self.path}"

    async def write(self, exported: Exported) -> None:
        await asyncio.to_thread(self._append, exported.line())

    async def latest(self) -> str | None:
        return await asyncio.to_thread(self._last_note)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # a crash cut the last line off
            written = os.write(handle, line)
            if written != len(line):
                raise OSError(f"{self.path}: only {written} bytes of {len(line)} were written")
            os.fsync(handle)
        finally:
            os.close(handle)

    def _last_note(self) -> str | None:
        try:
            with self.path.open("rb") as lines:
                return _note_at_the_end(lines)
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class FolderSink:
    """A folder of files written once and never again: object storage with a lock, mounted or mirrored."""

    path: Path

    @property
    def name(self) -> str:
        return f"folder:{self.path}"

    async def write(self, exported: Exported) -> None:
        await asyncio.to_thread(self._add, exported)

    async def latest(self) -> str | None:
        return await asyncio.to_thread(self._last_note)

    def _add(self, exported: Exported) -> None:
        number = self._last_number() + 1
        folder = self.path / f"{number // FOLDER_FILES_MAX:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:012d}-{exported.checkpoint.size}.json"
        path.with_suffix(".part").unlink(missing_ok=True)  # a crash left it
        handle = os.open(path.with_suffix(".part"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o440)
        with os.fdopen(handle, "wb") as part:
            part.write(exported.line())
            part.flush()
            os.fsync(part.fileno())
        os.link(path.with_suffix(".part"), path)  # refuses to replace what is there
        path.with_suffix(".part").unlink()
        _keep_names(folder)

    def _files(self) -> Iterator[Path]:
        """The files of the last folder that has any, the last first."""
        for folder in sorted(self.path.glob("[0-9]*"), reverse=True):
            if found := sorted(folder.glob("*.json"), reverse=True):
                yield from found
                return

    def _last_number(self) -> int:
        return next((int(path.name.split("-")[0]) for path in self._files()), -1)

    def _last_note(self) -> str | None:
        return next((last_note(path.read_bytes()) for path in self._files()), None)


def last_note(lines: bytes) -> str | None:
    """The note in the last whole line; nothing if there is none. Raises: ValueError if it is not a sink's line."""
    whole = [line for line in lines.split(b"\n")[:-1] if line]
    for line in reversed(whole):
        try:
            return str(json.loads(line)["note"])
        except (ValueError, KeyError, TypeError):
            continue  # cut off by a crash; what is older is looked at
    if whole:
        raise ValueError("nothing in the sink is a checkpoint")
    return None


def _note_at_the_end(lines: BinaryIO) -> str | None:
    end, tail = lines.seek(0, os.SEEK_END), TAIL_BYTES
    while True:
        lines.seek(max(0, end - tail))
        try:
            note = last_note(lines.read(min(tail, end)))
        except ValueError:
            note = None
            if tail >= end:
                raise
        if note is not None or tail >= end:
            return note
        tail *= 2


def _keep_names(folder: Path) -> None:
    """A file is kept when its folder knows its name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
