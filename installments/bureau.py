"""What a credit bureau is told of plans: a numbered stream for each, kept in the transaction of its cause.

    await open_at_bureau(session, plan, schedule, now=now)    # when the buyer accepts a plan that the law wants told
    await require_told(session, plan.id)                      # before the commit: by law the plan may not begin before
    await tell_all(session, facts_of(plan, movements, state), now=now)   # beside what is recorded
    await tell_overdue(session, on, now=now)                  # by the night

Only plans that begin with ``opened`` have a stream: of the others nothing is told, whoever calls. The same cause again
adds nothing, so the stream may be made again from movements. Events name the buyer by id; name and birth date go over
the wire with ``opened`` alone, read when it is sent, and phone and e-mail never go.

Source: installments.md 3.2, 7 and 8 (283-FZ, 218-FZ): over 50 000 roubles of exposure a contract is told before it
begins. The bureaus' own format is not public: fields are ours. Amounts: kopecks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from installments.arrears import bucket_of
from installments.errors import BureauNotTold, BureauRangeNotOver
from installments.movements import Movement, MovementKind
from installments.plan import Plan, Standing
from installments.schedule import Installment
from installments.setbacks import Pick
from installments.state import InstallmentState, PlanState
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Session, text
from ledger.ids import new_ids

TELL_MAX = 1_000
"""Facts told in one call."""
OVERDUE_BATCH_MAX = 500
CAUSE_CHARACTERS_MAX = 100
CHANGES = frozenset({
    MovementKind.MERCHANT_REFUND, MovementKind.PAYOUT_REFUND, MovementKind.GOODWILL, MovementKind.CHARGEBACK,
    MovementKind.RE_AGE, MovementKind.RE_AMORTISE, MovementKind.SNOOZE, MovementKind.UNDO,
})  # fmt: skip
PAYMENTS = frozenset({
    MovementKind.DOWN_PAYMENT, MovementKind.INSTALLMENT_PAYMENT, MovementKind.EARLY_PAYMENT, MovementKind.RECOVERY,
})  # fmt: skip
EXPORT_MARGIN = timedelta(minutes=1)
"""After midnight: no transaction of the day before is still open."""
PAGE_MAX = 1_000


class BureauEventKind(StrEnum):
    """What is told."""

    OPENED = "opened"
    PAYMENT = "payment"
    OVERDUE = "overdue"
    """The debt is past due, or so much longer that it stands in the next bucket."""
    CHANGED = "changed"
    CLOSED = "closed"
    """Repaid, refunded, written off, or never begun."""
    ASSIGNED = "assigned"
    """The debt was sold to somebody else."""


@dataclass(frozen=True, slots=True)
class BureauFact:
    """Something to be told of one plan."""

    plan_id: str
    kind: BureauEventKind
    cause: str
    """Our own name of what happened; the same kind and cause of a plan is told once."""
    happened_on: date
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BureauEvent:
    """A fact in its place of the plan's stream."""

    id: str
    """``bur_…``: what it is repeated by when an answer is lost."""
    plan_id: str
    sequence: int
    kind: BureauEventKind
    happened_on: date
    recorded_at: datetime
    facts: Mapping[str, Any]


async def open_at_bureau(
    session: Session, plan: Plan, schedule: Sequence[Installment], *, register_number: str, now: datetime
) -> None:
    """Begin the plan's stream. It is told by the worker; ``require_told`` refuses the commit until it was taken."""
    assert plan.contract_on is not None
    opened = BureauFact(plan.id, BureauEventKind.OPENED, plan.id, plan.contract_on, {
        "amount_kopecks": int(plan.price),
        "buyer_id": plan.buyer_id,
        "operator_register_number": register_number,
        "installments": _installments(schedule),
    })  # fmt: skip
    await tell_all(session, [opened], now=now)


async def require_told(session: Session, plan_id: str) -> None:
    """Let a plan whose telling was begun begin only when the bureau has acknowledged it. Raises: BureauNotTold."""
    if await is_awaited(session, plan_id):
        raise BureauNotTold(plan_id=plan_id)


async def is_awaited(session: Session, plan_id: str) -> bool:
    """Whether the bureau has been begun to be told of the plan, and has not acknowledged it yet."""
    state = await session.scalar(
        text("SELECT state FROM bureau_deliveries WHERE plan_id = :plan_id AND sequence = 1"), {"plan_id": plan_id}
    )
    return state not in (None, "acknowledged")


async def is_told_of_all(session: Session) -> bool:
    """Whether the bureau is told of every plan, by the settings, as the worker has written it down."""
    return bool(await session.scalar(text("SELECT is_told_of_all FROM plan_bureau")))


async def tell_recorded(
    session: Session, recorded: Sequence[tuple[Plan, Sequence[Movement], PlanState]], *, now: datetime
) -> None:
    """Tell what recorded movements give to tell, of those plans that the bureau knows: see ``facts_of``."""
    rows = await session.execute(
        text("SELECT plan_id FROM bureau_events WHERE plan_id = ANY(CAST(:ids AS text[])) AND sequence = 1"),
        {"ids": [plan.id for plan, _, _ in recorded]},
    )
    known = {row.plan_id for row in rows}
    told = [fact for one in recorded if one[0].id in known for fact in facts_of(*one)]
    for start in range(0, len(told), TELL_MAX):
        await tell_all(session, told[start : start + TELL_MAX], now=now)


async def tell_all(session: Session, told: Sequence[BureauFact], *, now: datetime) -> int:
    """Add facts to the streams of their plans, in the order given; how many were new.

    Locks: the caller holds the plans, so numbers run without a gap.
    """
    assert len(told) <= TELL_MAX
    if not told:
        return 0
    done = await session.execute(text(_TELL), {
        "ids": new_ids("bur", now, len(told)),
        "plans": [fact.plan_id for fact in told],
        "kinds": [fact.kind.value for fact in told],
        "causes": [fact.cause[:CAUSE_CHARACTERS_MAX] for fact in told],
        "days": [fact.happened_on for fact in told],
        "facts": [_canonical(dict(fact.facts)) for fact in told],
        "now": now,
    })  # fmt: skip
    return int(done.scalar() or 0)


_TELL = """
    WITH asked AS (
        SELECT DISTINCT ON (n.plan_id, n.kind, n.cause) n.*
          FROM unnest(CAST(:ids AS text[]), CAST(:plans AS text[]), CAST(:kinds AS text[]), CAST(:causes AS text[]),
                      CAST(:days AS date[]), CAST(:facts AS text[]))
               WITH ORDINALITY AS n (id, plan_id, kind, cause, happened_on, facts, place)
         ORDER BY n.plan_id, n.kind, n.cause, n.place
    ), new AS (
        SELECT a.*, coalesce((SELECT max(e.sequence) FROM bureau_events AS e WHERE e.plan_id = a.plan_id), 0) AS last
          FROM asked AS a
         WHERE NOT EXISTS (SELECT 1 FROM bureau_events AS e
                            WHERE e.plan_id = a.plan_id AND e.kind = a.kind AND e.cause = a.cause)
           AND (a.kind = 'opened' OR EXISTS (SELECT 1 FROM bureau_events AS e
                                              WHERE e.plan_id = a.plan_id AND e.sequence = 1))
    ), kept AS (
        INSERT INTO bureau_events (id, plan_id, sequence, kind, cause, happened_on, recorded_at, facts)
        SELECT id, plan_id, last + row_number() OVER (PARTITION BY plan_id ORDER BY place), kind, cause, happened_on,
               CAST(:now AS timestamptz), CAST(facts AS jsonb) FROM new
        RETURNING id, plan_id, sequence
    ), queued AS (
        INSERT INTO bureau_deliveries (event_id, plan_id, sequence, next_attempt_at)
        SELECT id, plan_id, sequence, CAST(:now AS timestamptz) FROM kept
    )
    SELECT count(*) FROM kept"""


def facts_of(plan: Plan, movements: Sequence[Movement], state: PlanState) -> list[BureauFact]:
    """What recorded movements of a plan give to tell: ``plan`` is as it stood before, ``state`` what it became."""
    told = [fact for movement in movements for fact in _facts_of_one(plan, movement, state)]
    ends = (Standing.REPAID, Standing.WRITTEN_OFF)
    if movements and state.standing in ends and plan.standing not in ends:
        last = movements[-1]
        reason = "refunded" if state.refunded >= plan.price else state.standing.value
        told.append(closed(plan.id, reason, moscow_day(last.happened_at), cause=last.reference))
    return told


def _facts_of_one(plan: Plan, movement: Movement, state: PlanState) -> list[BureauFact]:
    day = moscow_day(movement.happened_at)
    told: list[BureauFact] = []
    if movement.kind in PAYMENTS:
        told.append(BureauFact(plan.id, BureauEventKind.PAYMENT, movement.reference, day, {
            "amount_kopecks": int(movement.amount), "outstanding_kopecks": int(state.outstanding),
        }))  # fmt: skip
    elif movement.kind in CHANGES:
        told.append(BureauFact(plan.id, BureauEventKind.CHANGED, movement.reference, day, {
            "reason": movement.kind.value, "outstanding_kopecks": int(state.outstanding),
            "installments": _installments(state.installments),
        }))  # fmt: skip
    return told


def begun(plan: Plan, installments: Sequence[InstallmentState], approved: int, on: date) -> list[BureauFact]:
    """The plan was committed: something to tell only when for less than was approved, so than ``opened`` says."""
    if plan.price == approved:
        return []
    facts = {"reason": "commit", "outstanding_kopecks": int(plan.price), "installments": _installments(installments)}
    return [BureauFact(plan.id, BureauEventKind.CHANGED, "commit", on, facts)]


def closed(plan_id: str, reason: str, on: date, *, cause: str) -> BureauFact:
    """The plan is over: ``repaid``, ``refunded``, ``written_off``, or ``canceled`` before it began."""
    return BureauFact(plan_id, BureauEventKind.CLOSED, cause, on, {"reason": reason})


def assigned(plan_id: str, to: str, amount_kopecks: int, on: date) -> BureauFact:
    """The debt was sold; ``to`` is the buyer of the debt by its INN."""
    return BureauFact(plan_id, BureauEventKind.ASSIGNED, to, on, {"to_inn": to, "amount_kopecks": amount_kopecks})


async def tell_overdue(
    session: Session, on: date, *, now: datetime, limit: int = OVERDUE_BATCH_MAX, pick: Pick | None = None
) -> int:
    """Tell of plans that are past due on the day and were not told of in this bucket yet; how many were new.

    Locks: those plans, skipping what others hold.
    """
    pick = pick or Pick()
    found = await session.execute(
        text(f"""SELECT p.id, p.next_due_on, p.outstanding_kopecks
                  FROM bureau_events AS o JOIN installment_plans AS p ON p.id = o.plan_id
                 WHERE o.sequence = 1 AND p.next_due_on < :on
                   AND NOT EXISTS (SELECT 1 FROM bureau_events AS e
                                    WHERE e.plan_id = p.id AND e.kind = 'overdue'
                                      AND e.cause = p.next_due_on || CASE
                                          WHEN :on - p.next_due_on <= 3 THEN '/dpd_1_3'
                                          WHEN :on - p.next_due_on <= 14 THEN '/dpd_4_14'
                                          WHEN :on - p.next_due_on <= 30 THEN '/dpd_15_30'
                                          WHEN :on - p.next_due_on <= 60 THEN '/dpd_31_60'
                                          WHEN :on - p.next_due_on <= 90 THEN '/dpd_61_90'
                                          ELSE '/dpd_90_plus' END){pick.where("p.id")}
                 ORDER BY p.id LIMIT :limit FOR UPDATE OF p SKIP LOCKED"""),  # noqa: S608  # our own words
        {"on": on, "limit": limit} | pick.facts(),
    )
    rows = found.all()
    pick.take(row.id for row in rows)
    late = [
        BureauFact(row.id, BureauEventKind.OVERDUE, f"{row.next_due_on}/{bucket_of(row.next_due_on, on=on)}", on, {
            "days_past_due": (on - row.next_due_on).days, "outstanding_kopecks": row.outstanding_kopecks,
        })
        for row in rows
    ]  # fmt: skip
    return await tell_all(session, late, now=now)


def line_of(event: BureauEvent) -> bytes:
    """An event as the only bytes it is ever exported in: one line of JSON, sorted names."""
    return _canonical({
        "id": event.id, "plan_id": event.plan_id, "sequence": event.sequence, "kind": event.kind.value,
        "happened_on": event.happened_on.isoformat(), "recorded_at": event.recorded_at.isoformat(),
        "facts": dict(event.facts),
    }).encode() + b"\n"  # fmt: skip


async def export_lines(session: Session, first_on: date, last_on: date, *, now: datetime) -> AsyncIterator[bytes]:
    """The events recorded in these Moscow days, by plan and number, as lines of JSON. Again, the same bytes.

    Raises: BureauRangeNotOver if the last day is not over.
    """
    begins, ends = _midnight(first_on), _midnight(last_on + timedelta(days=1))
    if now < ends + EXPORT_MARGIN:
        raise BureauRangeNotOver(last_on=last_on.isoformat())
    after = ("", 0)
    while True:
        rows = (
            await session.execute(
                text("""SELECT id, plan_id, sequence, kind, happened_on, recorded_at, facts FROM bureau_events
                         WHERE recorded_at >= :begins AND recorded_at < :ends
                           AND (plan_id, sequence) > (:plan_id, :sequence)
                         ORDER BY plan_id, sequence LIMIT :limit"""),
                {"begins": begins, "ends": ends, "plan_id": after[0], "sequence": after[1], "limit": PAGE_MAX},
            )
        ).all()
        for row in rows:
            yield line_of(event_of(row))
        if len(rows) < PAGE_MAX:
            return
        after = (rows[-1].plan_id, rows[-1].sequence)


CSV_COLUMNS = ("id", "plan_id", "sequence", "kind", "happened_on", "recorded_at", "facts")


def csv_line_of(line: bytes) -> bytes:
    """A line of the export as a line of CSV; the facts stay JSON in quotes."""
    said = json.loads(line)
    facts = _canonical(said["facts"]).replace('"', '""')
    return ";".join([*(str(said[name]) for name in CSV_COLUMNS[:-1]), f'"{facts}"']).encode() + b"\r\n"


def event_of(row: Any) -> BureauEvent:
    """A row as the value."""
    return BureauEvent(
        row.id, row.plan_id, row.sequence, BureauEventKind(row.kind), row.happened_on, row.recorded_at, row.facts
    )


def _installments(parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"due_on": part.due_on.isoformat(), "amount_kopecks": int(part.amount)} for part in parts if part.amount]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=MOSCOW)


_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
