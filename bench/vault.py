"""``kopeyka bench vault``: tokens, files, rotation, the log and cryptograms, each against the least it could cost.

Each part gives its rows; a new part is one line here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

from api import GARBAGE_THRESHOLDS
from bench import arqc, audit_log, vault_tokens
from bench.rows import Row, show

PARTS: Sequence[Callable[[], list[Row]]] = (vault_tokens.rows, audit_log.rows, arqc.rows)


def run(*, as_json: bool) -> None:
    """Measure and print every row, with the garbage collector set as in a process that serves."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    show([row for part in PARTS for row in part()], as_json=as_json)
