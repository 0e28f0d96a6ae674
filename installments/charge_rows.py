"""Rows of charges turned into values and back. Locks: charges before plans, each in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from installments.charges import PAUSED, Charge, ChargeKind, ChargeStatus
from installments.plan import CollectorName, Standing
from installments.setbacks import Pick
from ledger.database import Session, text
from ledger.money import Kopecks

BATCH_MAX = 500
"""Plans that one transaction of the night works on."""

ROUND_MAX = 20
"""Tries of one round, with those that another card was given for. The table knows it too."""
WALK_LOCK = 19284
"""The advisory lock of whoever writes charges for what is due."""

_COLUMNS = """c.id, c.plan_id, c.kind, c.due_on, c.tries, c.amount_kopecks, c.collector, c.status, c.payment_id,
              c.captured_kopecks, c.reason, c.looks, c.next_try_at, c.created_at, c.ended_at"""
_WIDTH = len(_COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class DuePlan:
    """A plan that is to be charged."""

    plan_id: str
    next_due_on: date
    """Where the night's walk is."""
    round_on: date
    """The day that names the new round."""
    amount: Kopecks
    collector: CollectorName


@dataclass(frozen=True, slots=True)
class DueRetry:
    """A refused charge whose next try is due, locked."""

    charge: Charge
    amount: Kopecks
    """What is due now; nothing when it was paid or put off, or another charge has come since."""
    is_blocked: bool
    """Another charge of the plan is live: later."""
    collector: CollectorName
    """How the plan is collected now: its card may have been replaced."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a collector is told of a plan."""

    order_number: str
    card_token: str | None
    first_payment_id: str | None
    binding_id: str | None


@dataclass(frozen=True, slots=True)
class OfPlan:
    """What a charge's outcome needs to know of its plan."""

    merchant_id: str
    buyer_id: str
    standing: Standing
    next_due_on: date | None
    """The next unpaid installment after the round's day, into which a rest is merged."""


_OWED = """(SELECT coalesce(sum(i.amount_kopecks - i.paid_kopecks), 0) FROM installments AS i
             WHERE i.plan_id = p.id AND i.due_on <= :on)"""

_DUE = f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.next_due_on, p.collector, p.penalty_kopecks
      FROM installments AS u JOIN installment_plans AS p ON p.id = u.plan_id AND p.next_due_on = u.due_on
     WHERE u.paid_kopecks < u.amount_kopecks AND u.due_on <= :on AND NOT p.is_paused
       AND (u.due_on, u.plan_id) > (:after_on, :after_id)
       AND p.collector IS NOT NULL{{pick}}
       AND (p.status <> 'committed' OR NOT EXISTS (SELECT FROM plan_first_payments AS f
                                                    WHERE f.plan_id = p.id AND f.settled_at IS NULL))
       AND NOT EXISTS (SELECT FROM plan_charges AS l
                        WHERE l.plan_id = p.id AND l.status IN ('requested', 'unknown'))
       AND coalesce(
           (SELECT CASE WHEN l.due_on >= :on THEN false
                        WHEN l.status = 'captured' OR l.reason = '{PAUSED}' THEN true
                        ELSE l.due_on < (SELECT max(i.due_on) FROM installments AS i
                                          WHERE i.plan_id = p.id AND i.due_on <= :on
                                            AND i.paid_kopecks < i.amount_kopecks) END
              FROM plan_charges AS l WHERE l.plan_id = p.id AND l.kind = 'installment_payment'
             ORDER BY l.due_on DESC, l.tries DESC LIMIT 1), true)
     ORDER BY u.due_on, u.plan_id LIMIT :limit)
SELECT p.id, p.next_due_on, p.collector, p.penalty_kopecks + o.owed AS amount,
       greatest(o.newest_on, (SELECT :on FROM plan_charges AS l
                               WHERE l.plan_id = p.id AND l.kind = 'installment_payment' AND l.due_on >= o.newest_on
                               LIMIT 1)) AS round_on
  FROM due AS p
 CROSS JOIN LATERAL (SELECT CAST(sum(i.amount_kopecks - i.paid_kopecks) AS bigint) AS owed, max(i.due_on) AS newest_on
                       FROM installments AS i
                      WHERE i.plan_id = p.id AND i.due_on <= :on AND i.paid_kopecks < i.amount_kopecks) AS o
 WHERE o.owed > 0
 ORDER BY p.next_due_on, p.id"""  # noqa: S608  # our own words
"""A plan has a round for the day of its newest unpaid installment. One more comes only when the last took the money and
something is owed again (a chargeback), or when a dispute broke it off. While the bank is being asked about the first
installment of a plan, nothing else is asked for."""


async def find_due(session: Session, on: date, *, after: tuple[date, str], limit: int, pick: Pick) -> list[DuePlan]:
    """Plans that owe something by the end of ``on`` and have no charge for it, in the order of the night's walk.

    Locks: the walk: who else walks waits, and then finds what is left.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(:walk)"), {"walk": WALK_LOCK})
    asked = {"on": on, "after_on": after[0], "after_id": after[1], "limit": limit} | pick.facts()
    found = await session.execute(text(_DUE.format(pick=pick.where("p.id"))), asked)
    return [
        DuePlan(plan_id, next_due_on, round_on, Kopecks(amount), _COLLECTORS[collector])
        for plan_id, next_due_on, collector, amount, round_on in found
    ]


async def add_charges(session: Session, charges: Sequence[Charge]) -> set[str]:
    """Keep new charges; gives the ids of those that no other charge stood in the way of."""
    if not charges:
        return set()
    found = await session.execute(
        text("""INSERT INTO plan_charges (id, plan_id, kind, due_on, tries, amount_kopecks, collector, next_try_at,
                                          created_at)
                SELECT n.id, n.plan_id, n.kind, n.due_on, n.tries, n.amount, n.collector, n.next_try_at, n.created_at
                  FROM unnest(CAST(:ids AS text[]), CAST(:plans AS text[]), CAST(:kinds AS text[]),
                              CAST(:due AS date[]), CAST(:tries AS int[]), CAST(:amounts AS bigint[]),
                              CAST(:collectors AS text[]), CAST(:next AS timestamptz[]),
                              CAST(:created AS timestamptz[]))
                       AS n (id, plan_id, kind, due_on, tries, amount, collector, next_try_at, created_at)
                 ORDER BY n.plan_id ON CONFLICT DO NOTHING RETURNING id"""),
        {
            "ids": [charge.id for charge in charges], "plans": [charge.plan_id for charge in charges],
            "kinds": [charge.kind.value for charge in charges], "due": [charge.due_on for charge in charges],
            "tries": [charge.tries for charge in charges], "amounts": [int(charge.amount) for charge in charges],
            "collectors": [charge.collector.value for charge in charges],
            "next": [charge.next_try_at for charge in charges], "created": [charge.created_at for charge in charges],
        },
    )  # fmt: skip
    return {row.id for row in found}


async def lock_requested(
    session: Session, *, now: datetime, collectors: Sequence[CollectorName], limit: int
) -> list[Charge]:
    """Charges whose hour has come and that nobody has asked for yet. Locks: those it gives, skipping others'."""
    found = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM plan_charges AS c
                  WHERE c.next_try_at <= :now AND c.status = 'requested' AND c.payment_id IS NULL
                    AND c.collector = ANY(CAST(:collectors AS text[]))
                  ORDER BY c.next_try_at LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"""),  # noqa: S608
        {"now": now, "limit": limit, "collectors": [collector.value for collector in collectors]},
    )
    return sorted(map(_charge, found), key=lambda charge: charge.id)


async def terms_of(session: Session, charge_ids: Sequence[str], *, on: date) -> dict[str, tuple[Terms, Kopecks, bool]]:
    """For each charge what its collector must know, what the plan owes now, and whether it is paused."""
    found = await session.execute(
        text(f"""SELECT c.id, p.order_number, p.card_token, p.first_payment_id, p.binding_id, p.is_paused,
                        CASE WHEN c.kind = 'early_payment' THEN p.outstanding_kopecks + p.penalty_kopecks
                             WHEN d.owed > 0 THEN CAST(d.owed AS bigint) + p.penalty_kopecks ELSE 0 END AS owed
                   FROM plan_charges AS c JOIN installment_plans AS p ON p.id = c.plan_id
                  CROSS JOIN LATERAL (SELECT {_OWED} AS owed) AS d
                  WHERE c.id = ANY(CAST(:ids AS text[]))"""),  # noqa: S608  # our own words
        {"ids": list(charge_ids), "on": on},
    )
    return {
        charge_id: (Terms(order_number, card_token, first_payment_id, binding_id), Kopecks(owed), is_paused)
        for charge_id, order_number, card_token, first_payment_id, binding_id, is_paused, owed in found
    }


async def take_watched(session: Session, *, now: datetime, lease_until: datetime, limit: int) -> list[Charge]:
    """Live charges that were asked for and of whose outcome nobody has told the plan.

    Locks: those it takes, skipping others'.
    """
    found = await session.execute(
        text(f"""UPDATE plan_charges AS c SET next_try_at = :lease_until, looks = c.looks + 1
                  WHERE c.id IN (SELECT id FROM plan_charges
                                  WHERE next_try_at <= :now AND status IN ('requested', 'unknown')
                                    AND payment_id IS NOT NULL
                                  ORDER BY next_try_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
              RETURNING {_COLUMNS}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": limit},
    )
    return sorted(map(_charge, found), key=lambda charge: charge.id)


async def lock_retries(session: Session, *, on: date, now: datetime, limit: int) -> list[DueRetry]:
    """Refused charges whose next try is due, and what their plans owe. Locks: those it takes, skipping others'."""
    found = await session.execute(
        text(f"""WITH due AS MATERIALIZED (
                     SELECT * FROM plan_charges WHERE next_try_at <= :now AND status = 'refused'
                      ORDER BY next_try_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
                 SELECT {_COLUMNS}, p.penalty_kopecks, p.collector AS collector_now, {_OWED} AS owed,
                        EXISTS (SELECT FROM plan_charges AS l
                                 WHERE l.plan_id = c.plan_id AND l.status IN ('requested', 'unknown'))
                            OR p.is_paused AS is_blocked,
                        EXISTS (SELECT FROM plan_charges AS l WHERE l.plan_id = c.plan_id
                                   AND l.kind = 'installment_payment'
                                   AND (l.due_on, l.tries) > (c.due_on, c.tries)) AS is_overtaken
                   FROM due AS c JOIN installment_plans AS p ON p.id = c.plan_id ORDER BY c.id"""),  # noqa: S608
        {"now": now, "on": on, "limit": limit},
    )
    return [
        DueRetry(
            _charge(row),
            Kopecks(0 if row.owed == 0 or row.is_overtaken else int(row.owed) + row.penalty_kopecks),
            row.is_blocked,
            _COLLECTORS[row.collector_now],
        )
        for row in found
    ]


async def lock_unpaid(session: Session, plan_id: str) -> None:
    """Keep a plan's charges as they are, but for those that took their money. Locks: them."""
    await session.execute(
        text("""SELECT FROM plan_charges WHERE plan_id = :plan_id AND status <> 'captured'
                 ORDER BY id FOR NO KEY UPDATE"""),
        {"plan_id": plan_id},
    )


async def bring_forward(session: Session, plan_id: str, *, now: datetime) -> None:
    """Let the last try of a plan that was refused be made again now. Locks: it."""
    await session.execute(
        text("""UPDATE plan_charges SET next_try_at = :now
                 WHERE status = 'refused' AND tries < :tries_max
                   AND id = (SELECT id FROM plan_charges WHERE plan_id = :plan_id AND kind = 'installment_payment'
                              ORDER BY due_on DESC, tries DESC LIMIT 1)"""),
        {"plan_id": plan_id, "now": now, "tries_max": ROUND_MAX},
    )


async def hand_to_card(session: Session, plan_id: str) -> None:
    """Let a charge that nobody has begun be made by the plan's card. Locks: it."""
    await session.execute(
        text("""UPDATE plan_charges SET collector = 'card'
                 WHERE plan_id = :plan_id AND status = 'requested' AND payment_id IS NULL"""),
        {"plan_id": plan_id},
    )


async def collected_otherwise(session: Session, charge_ids: Sequence[str]) -> set[str]:
    """Those of the charges whose plan was given another card while its bank was asked: what one card was refused for
    good, another may still pay."""
    if not charge_ids:
        return set()
    found = await session.scalars(
        text("""SELECT c.id FROM plan_charges AS c JOIN installment_plans AS p ON p.id = c.plan_id
                 WHERE c.id = ANY(CAST(:ids AS text[])) AND c.kind = 'installment_payment' AND c.tries < :tries_max
                   AND (c.collector <> p.collector
                        OR EXISTS (SELECT FROM card_payments AS k
                                    WHERE k.id = c.payment_id AND k.first_payment_id <> p.first_payment_id))"""),
        {"ids": list(charge_ids), "tries_max": ROUND_MAX},
    )
    return set(found)


async def lock_live(session: Session, charge_ids: Sequence[str]) -> list[Charge]:
    """Those of the charges that are not final yet, by id. Locks: them."""
    found = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM plan_charges AS c
                  WHERE c.id = ANY(CAST(:ids AS text[])) AND c.status IN ('requested', 'unknown')
                  ORDER BY c.id FOR NO KEY UPDATE OF c"""),  # noqa: S608  # our own column list
        {"ids": list(charge_ids)},
    )
    return [_charge(row) for row in found]


async def lock_live_of_plan(session: Session, plan_id: str) -> Charge | None:
    """The plan's live charge, or nothing. Locks: it."""
    found = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM plan_charges AS c
                  WHERE c.plan_id = :plan_id AND c.status IN ('requested', 'unknown')
                    FOR NO KEY UPDATE OF c"""),  # noqa: S608  # our own column list
        {"plan_id": plan_id},
    )
    row = found.one_or_none()
    return None if row is None else _charge(row)


async def plans_of(session: Session, charge_ids: Sequence[str]) -> dict[str, OfPlan]:
    """What the outcomes of charges need to know of their plans, by charge."""
    found = await session.execute(
        text("""SELECT c.id, p.merchant_id, p.buyer_id, p.standing,
                       (SELECT min(i.due_on) FROM installments AS i
                         WHERE i.plan_id = p.id AND i.due_on > c.due_on AND i.paid_kopecks < i.amount_kopecks) AS next
                  FROM plan_charges AS c JOIN installment_plans AS p ON p.id = c.plan_id
                 WHERE c.id = ANY(CAST(:ids AS text[]))"""),
        {"ids": list(charge_ids)},
    )
    return {
        charge_id: OfPlan(merchant_id, buyer_id or "", _STANDINGS[standing], next_due_on)
        for charge_id, merchant_id, buyer_id, standing, next_due_on in found
    }


async def save_charges(session: Session, charges: Sequence[Charge]) -> None:
    """Keep locked charges as they have become."""
    if not charges:
        return
    await session.execute(
        text("""UPDATE plan_charges AS c
                   SET amount_kopecks = n.amount, status = n.status, payment_id = n.payment_id,
                       captured_kopecks = n.captured, reason = n.reason, looks = n.looks,
                       next_try_at = n.next_try_at, ended_at = n.ended_at
                  FROM unnest(CAST(:ids AS text[]), CAST(:amounts AS bigint[]), CAST(:statuses AS text[]),
                              CAST(:payments AS text[]), CAST(:captured AS bigint[]), CAST(:reasons AS text[]),
                              CAST(:looks AS int[]), CAST(:next AS timestamptz[]), CAST(:ended AS timestamptz[]))
                       AS n (id, amount, status, payment_id, captured, reason, looks, next_try_at, ended_at)
                 WHERE c.id = n.id"""),
        {
            "ids": [charge.id for charge in charges], "amounts": [int(charge.amount) for charge in charges],
            "statuses": [charge.status.value for charge in charges],
            "payments": [charge.payment_id for charge in charges],
            "captured": [int(charge.captured) for charge in charges],
            "reasons": [charge.reason for charge in charges], "looks": [charge.looks for charge in charges],
            "next": [charge.next_try_at for charge in charges], "ended": [charge.ended_at for charge in charges],
        },
    )  # fmt: skip


async def begin_charges(session: Session, begun: Sequence[tuple[Charge, str]], *, looked_at: datetime) -> None:
    """Keep locked charges as they are begun: what is asked for, by which payment, and when somebody looks again."""
    if not begun:
        return
    await session.execute(
        text("""UPDATE plan_charges AS c
                   SET amount_kopecks = n.amount, payment_id = n.payment_id, next_try_at = :looked_at
                  FROM unnest(CAST(:ids AS text[]), CAST(:amounts AS bigint[]), CAST(:payments AS text[]))
                       AS n (id, amount, payment_id)
                 WHERE c.id = n.id"""),
        {
            "ids": [charge.id for charge, _ in begun], "amounts": [int(charge.amount) for charge, _ in begun],
            "payments": [payment_id for _, payment_id in begun], "looked_at": looked_at,
        },
    )  # fmt: skip


async def list_charges(session: Session, plan_id: str) -> list[Charge]:
    """All charges of a plan, oldest first."""
    found = await session.execute(
        text(f"SELECT {_COLUMNS} FROM plan_charges AS c WHERE c.plan_id = :plan_id ORDER BY c.id"),  # noqa: S608
        {"plan_id": plan_id},
    )
    return [_charge(row) for row in found]


async def find_charge(session: Session, charge_id: str) -> Charge | None:
    """The charge, or nothing."""
    found = await session.execute(
        text(f"SELECT {_COLUMNS} FROM plan_charges AS c WHERE c.id = :id"),  # noqa: S608  # our own column list
        {"id": charge_id},
    )
    row = found.one_or_none()
    return None if row is None else _charge(row)


_KINDS = {kind.value: kind for kind in ChargeKind}
_COLLECTORS = {name.value: name for name in CollectorName}
_STATUSES = {status.value: status for status in ChargeStatus}
_STANDINGS = {standing.value: standing for standing in Standing}
"""Members by their words: a look into a dict costs a quarter of a call of the enum."""


def _charge(row: Sequence[Any]) -> Charge:
    """A charge of a row that begins with ``_COLUMNS``."""
    charge_id, plan_id, kind, due_on, tries, amount, collector, status, payment_id, captured, *rest = row[:_WIDTH]
    return Charge(
        charge_id, plan_id, _KINDS[kind], due_on, tries, Kopecks(amount), _COLLECTORS[collector], _STATUSES[status],
        payment_id, Kopecks(captured), *rest,
    )  # fmt: skip
