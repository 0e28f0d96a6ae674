"""Putting an export into a file or a stream, whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

ENCODING = "utf-8"


async def write_lines(lines: AsyncIterator[str], out: Path | TextIO, *, encoding: str = ENCODING) -> int:
    """Write the lines and say how many there were.

    A file appears under its name only when it is complete: a journal that lost its end would
    also have lost the assertions that show it.
    """
    if not isinstance(out, Path):
        return await _pour(lines, out)
    unfinished = out.with_name(f"{out.name}.part")
    try:
        with unfinished.open("w", encoding=encoding, newline="") as stream:
            count = await _pour(lines, stream)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


async def _pour(lines: AsyncIterator[str], stream: TextIO) -> int:
    count = 0
    async for line in lines:
        stream.write(line)
        count += 1
    return count
