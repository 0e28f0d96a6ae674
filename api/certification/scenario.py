"""Scenarios (сценарии связи) and what came of them, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What came of one scenario."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    """The till has not what it is about: no host for postbacks, or a secret that we do not know."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that had to be so."""

    text: str
    is_true: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one scenario, and by what it was judged."""

    code: str
    title: str
    is_mandatory: bool
    outcome: Outcome
    statements: tuple[Statement, ...]
    calls: tuple[str, ...]
    """What the till said, in order, with what happened to it on the way."""
    order_ids: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The verdict for machines."""
        return {
            "code": self.code, "title": self.title, "is_mandatory": self.is_mandatory, "outcome": self.outcome.value,
            "statements": [{"text": each.text, "is_true": each.is_true} for each in self.statements],
            "calls": list(self.calls), "order_ids": list(self.order_ids), "seconds": round(self.seconds, 2),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Certification:
    """A whole run: which till, when, and every verdict."""

    terminal_id: str
    merchant_id: str
    till: str
    """Whose program was tried: an address, or our emulator."""
    begun_at: datetime
    ended_at: datetime
    verdicts: tuple[Verdict, ...] = field(default_factory=tuple)

    @property
    def is_passed(self) -> bool:
        """Whether nothing failed, and nothing mandatory was left out."""
        return all(
            each.outcome is Outcome.PASSED or (each.outcome is Outcome.NOT_APPLICABLE and not each.is_mandatory)
            for each in self.verdicts
        )

    def as_json(self) -> dict[str, Any]:
        """The run for machines."""
        return {
            "terminal_id": self.terminal_id, "merchant_id": self.merchant_id, "till": self.till,
            "begun_at": self.begun_at.isoformat(), "ended_at": self.ended_at.isoformat(), "is_passed": self.is_passed,
            "verdicts": [each.as_json() for each in self.verdicts],
        }  # fmt: skip


class ScenarioStopped(Exception):  # not an error of ours: the till did not get so far
    """The scenario cannot go on; its statements say why."""


class ScenarioLeftOut(Exception):  # not an error: this till has no such thing
    """The scenario is not about this till."""
