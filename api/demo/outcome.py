"""What a run comes to: figures, comparisons, and both as lines for people and JSON for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.demo.caller import Tally
from api.demo.checking import Check, Expected, Found, as_rows
from api.demo.till_outcome import TillOutcome
from ledger.money import roubles


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took, in milliseconds."""

    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Of these measurements; zeros if there are none."""
        ranked = sorted(seconds) or [0.0]
        at = [ranked[min(len(ranked) - 1, len(ranked) * share // 100)] for share in (50, 99, 100)]
        return cls(*(round(value * 1000, 1) for value in at))

    def __str__(self) -> str:
        return f"p50 {self.p50:,.0f} ms, p99 {self.p99:,.0f} ms, worst {self.worst:,.0f} ms"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a demo."""

    rows: int
    seed: int
    expected: Expected
    found: Found
    checks: list[Check]
    duplicates: int
    tally: Tally
    refused: Counter[str]
    unknown: int
    """Attempts whose link was asked for again because NSPK's answer was lost."""
    simulator: Mapping[str, Any]
    kills: Mapping[str, int]
    create: Latency
    booking: Latency
    seconds: float
    """From the first order to the last payment in the books."""
    seconds_in_all: float
    vault: Sequence[tuple[str, str]] = ()
    """One card's story: each step, and what was seen."""
    till: TillOutcome | None = None
    """Four weeks of baskets."""

    @property
    def fits(self) -> bool:
        """Whether everything is as the file says."""
        is_once = not self.duplicates and not self.tally.differing and self.tally.repeated == self.tally.replayed
        return is_once and all(check.holds for check in self.all_checks)

    @property
    def all_checks(self) -> list[Check]:
        """Of the purchases, then of the tills."""
        return [*self.checks, *(self.till.checks if self.till else ())]

    @property
    def complaint(self) -> str:
        """The first thing that does not fit, in one line."""
        for check in self.all_checks:
            if not check.holds:
                expected, found = (shown(value, check.is_money) for value in (check.expected, check.found))
                return f"{check.what}: {expected} expected, {found} found"
        if self.duplicates:
            return f"{self.duplicates} duplicates were made"
        if self.tally.differing:
            return f"{len(self.tally.differing)} repeats were answered differently: {self.tally.differing[0]}"
        return f"{self.tally.repeated - self.tally.replayed} repeats were carried out again" if not self.fits else ""

    @property
    def orders_a_second(self) -> float:
        """From the till to the books."""
        return round(self.found.paid_orders / max(self.seconds, 0.001), 1)

    def lines(self) -> list[tuple[str, str]]:
        """The figures for people."""
        faults = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.simulator["faults"].items())
        refused = ", ".join(f"{count} {code}" for code, count in self.refused.items())
        kills = ", ".join(f"{name} {count}" for name, count in self.kills.items())
        found, tally = self.found, self.tally
        return [
            ("purchases in the file", f"{self.rows:,} rows"),
            ("orders", f"{found.orders:,}, paid {found.paid_orders:,}"),
            ("refused", refused or "none"),
            ("requests repeated", f"{tally.repeated:,} of {tally.posts:,} POSTs; {tally.replayed:,} replayed"),
            ("answers dropped by us", f"{tally.dropped:,}; retries after breaks {tally.retried:,}"),
            ("trouble at the simulators", faults or "none"),
            ("links asked for again", f"{self.unknown:,}"),
            *([("killed with SIGKILL", kills)] if kills else []),
            ("duplicates made", f"{self.duplicates}"),
            ("turnover", f"{shown(found.booked, True)} roubles"),
            ("fees", f"{shown(found.fees, True)} roubles"),
            ("merchant payable", f"{shown(self.expected.payable, True)} roubles"),
            ("paid out", f"{shown(found.sent_kopecks, True)} roubles in {found.sent_payouts} payouts"),
            ("trial balance", f"Дт {shown(found.debits, True)} = Кт {shown(found.credits, True)}"),
            ("proofs", f"{found.proofs} checked, {len(found.broken_proofs)} broken"),
            ("events delivered", f"{self.simulator['events']['events']:,}"),
            ("an order is created in", str(self.create)),
            ("a payment is in the books after", str(self.booking)),
            *([("till baskets", self.till.line)] if self.till else []),
            (
                "speed",
                f"{self.orders_a_second} orders a second, {self.seconds:.1f} s; in all {self.seconds_in_all:.1f} s",
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures for machines. Amounts in kopecks."""
        found, tally = self.found, self.tally
        return {
            "fits": self.fits,
            "complaint": self.complaint or None,
            "rows": self.rows,
            "seed": self.seed,
            "orders": found.orders,
            "paid": found.paid_orders,
            "refused": dict(self.refused),
            "posts": tally.posts,
            "repeated": tally.repeated,
            "replayed": tally.replayed,
            "dropped": tally.dropped,
            "retried": tally.retried,
            "unknown_attempts": self.unknown,
            "duplicates": self.duplicates,
            "file_kopecks": int(self.expected.turnover),
            "turnover_kopecks": found.booked,
            "fees_kopecks": found.fees,
            "merchant_payable_kopecks": int(self.expected.payable),
            "paid_out_kopecks": found.sent_kopecks,
            "still_owed_kopecks": found.owed,
            "payouts": found.sent_payouts,
            "trial_balance": {"debits": found.debits, "credits": found.credits},
            "proofs": {"checked": found.proofs, "broken": found.broken_proofs},
            "events_delivered": self.simulator["events"]["types"],
            "faults": self.simulator["faults"],
            "kills": dict(self.kills),
            "create_order_ms": {"p50": self.create.p50, "p99": self.create.p99, "max": self.create.worst},
            "pay_to_books_ms": {"p50": self.booking.p50, "p99": self.booking.p99, "max": self.booking.worst},
            "orders_a_second": self.orders_a_second,
            "seconds": round(self.seconds, 2),
            "seconds_in_all": round(self.seconds_in_all, 2),
            "checks": as_rows(self.checks),
            "till": self.till.as_json() if self.till else None,
            "vault": [{"step": what, "seen": seen} for what, seen in self.vault],
        }


def shown(value: int, is_money: bool) -> str:
    """A count, or an amount in roubles, with spaces between thousands."""
    if not is_money:
        return f"{value:,}".replace(",", " ")
    whole, _, rest = roubles(value).partition(".")
    return f"{int(whole):,}".replace(",", " ") + f".{rest}"
