"""Rows of buyers, their limits, stop lists, consents and decisions, turned into values and back.

Locks: a plan is locked before its buyer; a buyer before codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from installments.buyer import Buyer, Identification, PersonalDetails
from installments.buyer_errors import BuyerNotFound
from installments.setbacks import Pick
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks
from pci.secret import Secret

LIMITS_MAX = 200
"""Changes of a limit on one page."""
ARREARS_BATCH_MAX = 5_000
"""Buyers whose arrears are noted in one statement."""


async def add_buyer(session: Session, phone: Secret, *, now: datetime) -> str | None:
    """A new buyer's id, or nothing if the phone is known. Waits for whoever is adding the same phone."""
    added = await session.scalar(
        text("""INSERT INTO buyers (id, phone, created_at) VALUES (:id, :phone, :now)
                ON CONFLICT ON CONSTRAINT buyers_phone_key DO NOTHING RETURNING id"""),
        {"id": new_id("byr", now), "phone": phone.expose(), "now": now},
    )
    return None if added is None else str(added)


async def load_buyer(session: Session, buyer_id: str, *, lock: bool = False) -> Buyer:
    """The buyer. Raises: BuyerNotFound. Locks: the buyer, if asked to."""
    tail = "FOR NO KEY UPDATE" if lock else ""
    rows = await session.execute(
        text(f"SELECT * FROM buyers WHERE id = :id {tail}"),  # noqa: S608  # our own words
        {"id": buyer_id},
    )
    if (row := rows.first()) is None:
        raise BuyerNotFound(buyer_id=buyer_id)
    return _buyer(row)


async def find_by_phone(session: Session, phone: Secret) -> Buyer | None:
    """The buyer of a phone."""
    rows = await session.execute(text("SELECT * FROM buyers WHERE phone = :phone"), {"phone": phone.expose()})
    row = rows.first()
    return None if row is None else _buyer(row)


async def save_details(session: Session, buyer: Buyer) -> None:
    """Keep what a locked buyer said."""
    said = buyer.details
    await session.execute(
        text("""UPDATE buyers SET first_name = :first_name, last_name = :last_name, middle_name = :middle_name,
                       email = :email, born_on = :born_on, version = version + 1 WHERE id = :id"""),
        {
            "id": buyer.id, "first_name": said.first_name, "last_name": said.last_name,
            "middle_name": said.middle_name, "email": said.email, "born_on": said.born_on,
        },
    )  # fmt: skip


async def save_standing(session: Session, buyer: Buyer) -> None:
    """Keep how a locked buyer is known, limited and frozen."""
    await session.execute(
        text("""UPDATE buyers SET phone_verified_at = :phone_verified_at, identification = :identification,
                       identified_by = :identified_by, identified_at = :identified_at,
                       phone_digest = :phone_digest, document_digest = :document_digest, limit_kopecks = :limit,
                       frozen_at = :frozen_at,
                       frozen_reason = :frozen_reason, version = version + 1 WHERE id = :id"""),
        {
            "id": buyer.id, "phone_verified_at": buyer.phone_verified_at,
            "identification": buyer.identification.value, "identified_by": buyer.identified_by,
            "identified_at": buyer.identified_at, "phone_digest": buyer.phone_digest,
            "document_digest": buyer.document_digest, "limit": int(buyer.limit),
            "frozen_at": buyer.frozen_at, "frozen_reason": buyer.frozen_reason,
        },
    )  # fmt: skip


async def erase(session: Session, buyer_id: str, *, now: datetime) -> None:
    """Empty all that is personal: of the buyer, and where consents were given from."""
    await session.execute(
        text("""UPDATE buyers SET phone = NULL, first_name = NULL, last_name = NULL, middle_name = NULL, email = NULL,
                       born_on = NULL, phone_digest = NULL, document_digest = NULL, phone_verified_at = NULL,
                       erased_at = :now,
                       version = version + 1 WHERE id = :id"""),
        {"id": buyer_id, "now": now},
    )
    await session.execute(
        text("UPDATE buyer_consents SET origin = NULL WHERE buyer_id = :id AND origin IS NOT NULL"), {"id": buyer_id}
    )


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One change of a spending limit."""

    buyer_id: str
    number: int
    before: Kopecks
    limit: Kopecks
    reason: str
    set_by: str
    set_at: datetime


async def add_limit_change(
    session: Session, buyer_id: str, before: Kopecks, limit: Kopecks, reason: str, by: str, *, now: datetime
) -> None:
    """Keep a change of a locked buyer's limit."""
    await session.execute(
        text("""INSERT INTO buyer_limits (buyer_id, number, before_kopecks, limit_kopecks, reason, set_by, set_at)
                SELECT :id, coalesce(max(number), 0) + 1, :before, :limit, :reason, :by, :now
                  FROM buyer_limits WHERE buyer_id = :id"""),
        {"id": buyer_id, "before": int(before), "limit": int(limit), "reason": reason, "by": by, "now": now},
    )


async def load_limit_changes(session: Session, buyer_id: str) -> list[LimitChange]:
    """Changes of a buyer's limit, the newest first, at most ``LIMITS_MAX``."""
    rows = await session.execute(
        text("SELECT * FROM buyer_limits WHERE buyer_id = :id ORDER BY number DESC LIMIT :limit"),
        {"id": buyer_id, "limit": LIMITS_MAX},
    )
    return [
        LimitChange(
            row.buyer_id, row.number, Kopecks(row.before_kopecks), Kopecks(row.limit_kopecks), row.reason, row.set_by,
            row.set_at,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """What a buyer's plans add up to."""

    used: Kopecks
    """Principal owed, and prices of plans that are approved or held but not committed."""
    open: int
    repaid: int
    written_off: int
    overdue_since: date | None
    """The day of the oldest unpaid installment that is past due."""


@dataclass(frozen=True, slots=True)
class BuyerStanding:
    """A buyer with all that a decision asks the database for."""

    buyer: Buyer
    counts: PlanCounts
    stop_lists: tuple[str, ...]
    """The sources of the lines in force that name the buyer."""
    is_bureau_ready: bool


PHONE_NOT_DIGESTED = "phone_not_digested"
"""A phone without a digest cannot be looked up: then any line that names phones names this one too."""
_STANDING = """
    SELECT b.*, c.*,
           ARRAY(SELECT DISTINCT s.source FROM stop_list_lines AS s
                  WHERE s.removed_at IS NULL AND (s.kind = 'phone' AND s.digest = b.phone_digest
                                                  OR s.kind = 'document' AND s.digest = b.document_digest)
                  ORDER BY s.source) AS sources,
           b.phone_digest IS NULL AND EXISTS (SELECT FROM stop_list_lines AS s
                  WHERE s.removed_at IS NULL AND s.kind = 'phone') AS cannot_be_looked_up,
           (SELECT is_ready FROM plan_bureau) AS is_bureau_ready
      FROM buyers AS b, LATERAL (
           SELECT coalesce(sum(CASE WHEN p.status IN ('approved', 'wait_for_commit') THEN p.price_kopecks
                                    ELSE p.outstanding_kopecks END), 0)::bigint AS used,
                  count(*) FILTER (WHERE p.status IN ('approved', 'wait_for_commit')
                                      OR p.outstanding_kopecks > 0) AS plans_open,
                  count(*) FILTER (WHERE p.standing = 'repaid') AS plans_repaid,
                  count(*) FILTER (WHERE p.standing = 'written_off') AS plans_written_off,
                  min(p.next_due_on) FILTER (WHERE p.next_due_on < :on) AS overdue_since
             FROM installment_plans AS p
            WHERE p.buyer_id = b.id AND p.id <> :besides AND p.status NOT IN ('new', 'rejected', 'canceled')
      ) AS c
     WHERE b.id = :buyer_id"""


async def load_standing(session: Session, buyer_id: str, *, on: date, besides: str | None = None) -> BuyerStanding:
    """A buyer with what the plans add up to on a Moscow day, one left out if named. Raises: BuyerNotFound."""
    rows = await session.execute(text(_STANDING), {"buyer_id": buyer_id, "on": on, "besides": besides or ""})
    if (row := rows.first()) is None:
        raise BuyerNotFound(buyer_id=buyer_id)
    counts = PlanCounts(Kopecks(row.used), row.plans_open, row.plans_repaid, row.plans_written_off, row.overdue_since)
    unknown = (PHONE_NOT_DIGESTED,) if row.cannot_be_looked_up else ()
    return BuyerStanding(_buyer(row), counts, (*row.sources, *unknown), bool(row.is_bureau_ready))


async def has_unfinished_plans(session: Session, buyer_id: str) -> bool:
    """Whether any plan of a buyer is not over: also one that owes penalty, or money back to the buyer."""
    found = await session.scalar(
        text("""SELECT EXISTS (SELECT FROM installment_plans WHERE buyer_id = :buyer_id
                        AND (status IN ('new', 'approved', 'wait_for_commit') OR standing IN ('current', 'overdue')
                             OR outstanding_kopecks > 0 OR penalty_kopecks > 0 OR overpaid_kopecks > 0))"""),
        {"buyer_id": buyer_id},
    )
    return bool(found)


async def late_plans(session: Session, overdue_by: date, *, after: str, limit: int, pick: Pick) -> list[str]:
    """Plans of known buyers with something unpaid since ``overdue_by`` or before."""
    rows = await session.scalars(
        text(f"""SELECT id FROM installment_plans
                  WHERE next_due_on <= :overdue_by AND buyer_id IS NOT NULL AND id > :after{pick.where("id")}
                  ORDER BY id LIMIT :limit"""),  # noqa: S608  # our own words
        {"overdue_by": overdue_by, "after": after, "limit": limit} | pick.facts(),
    )
    return list(rows)


async def note_arrears(session: Session, plan_ids: Sequence[str], *, on: date) -> None:
    """Write down that the buyers of these plans were late.

    Locks: those buyers, in the order of their ids.
    """
    await session.execute(
        text("""WITH held AS MATERIALIZED (
                    SELECT b.id FROM buyers AS b
                     WHERE b.id IN (SELECT buyer_id FROM installment_plans WHERE id = ANY(CAST(:ids AS text[])))
                       AND (b.arrears_seen_on IS NULL OR b.arrears_seen_on < :on)
                     ORDER BY b.id FOR NO KEY UPDATE
                )
                UPDATE buyers AS b SET arrears_seen_on = :on FROM held WHERE b.id = held.id"""),
        {"ids": list(plan_ids), "on": on},
    )


def _buyer(row: Row[Any]) -> Buyer:
    return Buyer(
        row.id,
        None if row.phone is None else Secret(row.phone),
        PersonalDetails(row.first_name, row.last_name, row.middle_name, row.email, row.born_on),
        None if row.phone_digest is None else bytes(row.phone_digest),
        None if row.document_digest is None else bytes(row.document_digest),
        row.phone_verified_at,
        Identification(row.identification),
        row.identified_by,
        row.identified_at,
        Kopecks(row.limit_kopecks),
        row.frozen_at,
        row.frozen_reason,
        row.arrears_seen_on,
        row.erased_at,
        row.created_at,
        row.version,
    )
