"""Breaks are planted where they are ordered, each in its own line, and the same seed plants the same ones."""

from __future__ import annotations

from collections import Counter

import pytest

from sbp_gateway.registers.lines import LineKind
from sbp_gateway.simulator.registers import plant, read_breaks
from tests.sbp_gateway.registers.operations import paid

LINES = [payment.line() for payment in paid(20)]


def test_every_break_is_planted_once_and_told() -> None:
    wanted = read_breaks("missing:2,doubled,amount:3,fee,foreign:2,footer")

    lines, planted = plant(LINES, wanted, seed=7)

    assert Counter(one.kind for one in planted) == Counter(wanted)
    assert len({one.trx_id for one in planted if one.trx_id}) == 9, "each in its own line"
    assert len(lines) == 20 - 2 + 1 + 2
    changed = {line.trx_id for line in lines} - {line.trx_id for line in LINES}
    assert changed == {one.trx_id for one in planted if one.kind == "foreign"}


def test_the_same_seed_breaks_the_same_lines() -> None:
    wanted = read_breaks("missing,fee,foreign")

    assert plant(LINES, wanted, seed=1) == plant(LINES, wanted, seed=1)
    assert plant(LINES, wanted, seed=1) != plant(LINES, wanted, seed=2)


def test_nothing_ordered_is_nothing_broken() -> None:
    assert plant(LINES, read_breaks(""), seed=1) == (LINES, [])


def test_refunds_are_never_broken() -> None:
    refunds = [line._replace(kind=LineKind.REFUND) for line in LINES]

    with pytest.raises(ValueError, match="1 of 0 payments"):
        plant(refunds, read_breaks("missing"), seed=1)


@pytest.mark.parametrize("text", ["lost", "missing:0", "missing:x", "missing:-1", "missing:1001"])
def test_an_order_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="how many"):
        read_breaks(text)
