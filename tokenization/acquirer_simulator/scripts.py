"""What the simulated acquirer was told to do: decline, forget, be late, repeat itself, lie.

By amount, without telling it anything: 9 900 roubles and 01 to 99 kopecks is declined with these two digits as the
response code. Everything else is ordered by ``PUT /acquirer/scripts`` and ``PUT /acquirer/faults``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

MAGIC_ROUBLES = 9_900
RULES_MAX = 100
DELAY_SECONDS_MAX = 120


class AcquirerFault(StrEnum):
    """What may go wrong with one message."""

    LOST_REQUEST = "lost_request"
    """It never arrives."""
    LOST_ANSWER = "lost_answer"
    """It is carried out, and nobody is told."""
    LATE_ANSWER = "late_answer"
    """It is carried out at once and answered after the delay."""
    SLOW_REQUEST = "slow_request"
    """It is carried out after the delay: whatever came meanwhile was first."""
    DUPLICATE_ANSWER = "duplicate_answer"
    WRONG_RRN = "wrong_rrn"
    """The answer carries a number that is none."""
    WRONG_AMOUNT = "wrong_amount"
    CUT = "cut"
    """It is carried out, and the connection is closed instead of an answer."""


@dataclass(slots=True)
class FaultRule:
    """One order: what to do to messages of these kinds and this amount."""

    fault: AcquirerFault
    kinds: Sequence[str] = ("0100", "0200")
    amount: int | None = None
    """Any, if none."""
    times: int = 1


@dataclass(slots=True)
class FaultRates:
    """How often each fault happens by itself, of 1.0, drawn from a seed."""

    rates: dict[AcquirerFault, float] = field(default_factory=dict)
    delay_seconds: float = 1.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  # a seed, not a secret


@dataclass(slots=True)
class Scripts:
    """Everything ordered."""

    declines: dict[str, str] = field(default_factory=dict)
    """Response codes by a card's last four digits."""
    balances: dict[str, int] = field(default_factory=dict)
    """Kopecks a card has, by its last four digits; others have enough."""
    capture_code: str = ""
    refund_code: str = ""
    reversal_code: str = ""
    rules: list[FaultRule] = field(default_factory=list)
    faults: FaultRates = field(default_factory=FaultRates)

    def code_for(self, amount: int, last4: str, spent: int) -> str:
        """How the buyer's bank answers."""
        if amount // 100 == MAGIC_ROUBLES and amount % 100:
            return f"{amount % 100:02}"
        if last4 in self.declines:
            return self.declines[last4]
        return "51" if last4 in self.balances and spent + amount > self.balances[last4] else "00"

    def set(self, told: Mapping[str, Any]) -> None:
        """Take orders in; those not named stay. Raises: ValueError."""
        known = {each.name for each in fields(self)} - {"faults"}
        if told.keys() - known:
            raise ValueError(f"unknown: {', '.join(sorted(told.keys() - known))}")
        if "rules" in told:
            self.rules = [_rule_of(rule) for rule in told["rules"][:RULES_MAX]]
        for name in ("declines", "balances", "capture_code", "refund_code", "reversal_code"):
            if name in told:
                setattr(self, name, told[name])

    def set_faults(self, told: Mapping[str, Any]) -> None:
        """Order faults by chance. Raises: ValueError."""
        delay = float(told.get("delay_seconds", 1.0))
        if not 0 <= delay <= DELAY_SECONDS_MAX:
            raise ValueError("delay_seconds")
        rates = {
            AcquirerFault(name): float(rate) for name, rate in told.items() if name not in ("delay_seconds", "seed")
        }
        if not all(0 <= rate <= 1 for rate in rates.values()):
            raise ValueError("a rate is 0.0 to 1.0")
        self.faults = FaultRates(rates, delay, random.Random(told.get("seed", 1)))  # noqa: S311  # a seed, not a secret

    def fault_of(self, kind: str, amount: int) -> AcquirerFault | None:
        """What happens to this message; nothing, mostly. Network messages are spared."""
        if kind == "0800":
            return None
        for rule in self.rules:
            if rule.times > 0 and kind in rule.kinds and rule.amount in (None, amount):
                rule.times -= 1
                return rule.fault
        drawn = self.faults.chance.random() if self.faults.rates else 1.0
        for fault, rate in self.faults.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None


def _rule_of(told: Mapping[str, Any]) -> FaultRule:
    return FaultRule(
        AcquirerFault(told["fault"]), tuple(told.get("kinds", ("0100", "0200"))), told.get("amount_kopecks"),
        int(told.get("times", 1)),
    )  # fmt: skip
