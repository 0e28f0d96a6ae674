"""What months of plans come to: figures for people and machines, read at the end from the plans and the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from api.demo.plan_days import DayEnd, Months
from installments import portfolio
from installments.arrears import PAST_DUE
from installments.portfolio import RollRate, Vintage
from ledger.database import Session, in_transaction, text
from ledger.money import Kopecks, roubles
from ledger.proofs import broken_proofs

IN_BOOKS = """SELECT coalesce(sum(debits_posted - credits_posted), 0)::bigint FROM accounts
               WHERE starts_with(code, 'asset:plan_receivable:')"""
BY_PLANS = "SELECT coalesce(sum(outstanding_kopecks), 0)::bigint FROM installment_plans"
STANDINGS = "SELECT standing, count(*), sum(price_kopecks)::bigint FROM installment_plans GROUP BY 1 ORDER BY 1"
CHARGES = "SELECT status, count(*), sum(captured_kopecks)::bigint FROM plan_charges GROUP BY 1 ORDER BY 1"
DECLINES = "SELECT reason, count(*) FROM plan_charges WHERE status = 'refused' GROUP BY 1 ORDER BY 2 DESC, 1"


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """The end of a run."""

    asked: int
    days: int
    seed: int
    events: Mapping[str, int]
    rejected: Mapping[str, int]
    standings: Mapping[str, tuple[int, Kopecks]]
    charges: Mapping[str, tuple[int, Kopecks]]
    declines: Mapping[str, int]
    receivable_in_books: Kopecks
    receivable_by_plans: Kopecks
    proofs: int
    """Times the books were compared with the plans, account by account."""
    broken_proofs: tuple[str, ...]
    ends: tuple[DayEnd, ...]
    rolls: tuple[RollRate, ...]
    vintages: tuple[Vintage, ...]
    repeated: int
    differing: int
    kills: Mapping[str, int]
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether the books are the plans, and every proof of the books holds."""
        return self.receivable_in_books == self.receivable_by_plans and not self.broken_proofs and not self.differing

    @property
    def complaint(self) -> str:
        """What does not fit."""
        if self.receivable_in_books != self.receivable_by_plans:
            return f"the books say {self.receivable_in_books}, the plans {self.receivable_by_plans}"
        return f"{len(self.broken_proofs)} proofs are broken, {self.differing} repeats were answered otherwise"

    def lines(self) -> list[tuple[str, str]]:
        """For people."""
        told = [
            ("plans asked for", f"{self.asked:,}"),
            ("days", f"{self.days:,}"),
            ("books compared with plans", f"{self.proofs:,} times, no kopeck between them"),
            ("receivable in the books, roubles", roubles(self.receivable_in_books)),
            ("owed by plans, roubles", roubles(self.receivable_by_plans)),
        ]
        told += [
            (f"plans {name}", f"{count:,} of {amount} roubles") for name, (count, amount) in self.standings.items()
        ]
        told += [(f"charges {name}", f"{count:,}, {amount} roubles") for name, (count, amount) in self.charges.items()]
        told += [(f"declined: {name}", f"{count:,}") for name, count in self.declines.items()]
        told += [(name, f"{count:,}") for name, count in sorted(self.events.items())]
        told += [(f"killed: {name}", f"{count:,}") for name, count in self.kills.items()]
        told += [(f"not sold: {name}", f"{count:,}") for name, count in sorted(self.rejected.items())]
        return [*told, ("seconds in all", f"{self.seconds:.0f}")]

    def as_json(self) -> dict[str, Any]:
        """For machines. Amounts: kopecks."""
        return {
            "fits": self.fits, "asked": self.asked, "days": self.days, "seed": self.seed, "proofs": self.proofs,
            "events": dict(self.events), "rejected": dict(self.rejected),
            "standings": {name: {"plans": count, "price_kopecks": int(amount)}
                          for name, (count, amount) in self.standings.items()},
            "charges": {name: {"charges": count, "captured_kopecks": int(amount)}
                        for name, (count, amount) in self.charges.items()},
            "declines": dict(self.declines),
            "receivable_in_books_kopecks": int(self.receivable_in_books),
            "receivable_by_plans_kopecks": int(self.receivable_by_plans),
            "broken_proofs": list(self.broken_proofs),
            "late_kopecks_by_day": [late_of(end) for end in self.ends],
            "roll_rates": [{"of": one.of, "to": one.to, "plans": one.plans, "kopecks": int(one.amount)}
                           for one in self.rolls],
            "vintages": [{"month": one.month_on.isoformat(), "plans": one.plans, "sold_kopecks": int(one.sold),
                          "outstanding_kopecks": int(one.outstanding), "late_kopecks": int(one.late),
                          "written_off_kopecks": int(one.written_off)} for one in self.vintages],
            "repeats": self.repeated, "kills": dict(self.kills), "seconds": round(self.seconds, 1),
        }  # fmt: skip


def late_of(end: DayEnd) -> int:
    """Kopecks of plans past due on a day."""
    return sum(int(line.outstanding) for line in end.report.lines if line.bucket in PAST_DUE)


async def outcome_of(months: Months, kills: Mapping[str, int], seconds: float) -> PlanOutcome:
    """Everything of a run that is over."""
    return await in_transaction(months.world.engine, lambda session: _read(session, months, kills, seconds))


async def _read(session: Session, months: Months, kills: Mapping[str, int], seconds: float) -> PlanOutcome:
    world, snapshots = months.world, months.snapshots
    rolls: list[RollRate] = []
    for since, until in pairwise(snapshots):
        rolls += await portfolio.roll_rates(session, since, until)
    vintages = await portfolio.vintages(session, snapshots[-1]) if snapshots else []
    return PlanOutcome(
        asked=len(months.wishes), days=months.days, seed=world.seed, events=months.events, rejected=world.rejected,
        standings=await _sums(session, STANDINGS), charges=await _sums(session, CHARGES),
        declines={str(row[0]): row[1] for row in await session.execute(text(DECLINES))},
        receivable_in_books=Kopecks(int(await session.scalar(text(IN_BOOKS)) or 0)),
        receivable_by_plans=Kopecks(int(await session.scalar(text(BY_PLANS)) or 0)), proofs=months.proofs,
        broken_proofs=tuple(str(each) for each in await broken_proofs(session)), ends=tuple(months.ends),
        rolls=tuple(rolls), vintages=tuple(vintages), repeated=world.tally.repeated,
        differing=len(world.tally.differing), kills=kills, seconds=seconds,
    )  # fmt: skip


async def _sums(session: Session, sql: str) -> dict[str, tuple[int, Kopecks]]:
    return {row[0]: (row[1], Kopecks(int(row[2] or 0))) for row in await session.execute(text(sql))}
