"""Paying early, from the door's side: the charge written down, asked for, and told to its plan.

A charge whose answer is lost stays ``unknown`` and is found out by the worker; it never charges twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.door import Door
from api.errors import ResourceUnknown
from api.plan_collectors import collectors_of
from installments import charge_rows as rows
from installments import collecting
from installments.charges import Charge, ChargeOutcome
from installments.collecting import AskedCharge, Collectors
from installments.paying import begin_early_payment
from installments.telling import PlanActor
from ledger.database import Session, in_transaction
from ledger.ids import new_id
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class EarlyPayment:
    """What somebody wants to pay now."""

    plan_id: str
    amount: Kopecks | None
    """None: all that is left, with penalty."""
    by: PlanActor
    charge_id: str
    buyer_id: str | None = None


def ways_to_collect(door: Door) -> Collectors:
    """How this process charges cards and bindings."""
    wiring = door.wiring
    return collectors_of(door.engine, wiring.cards, wiring.rail, door.clock)


async def begin(session: Session, door: Door, wanted: EarlyPayment) -> AskedCharge | None:
    """Intent. The same charge again begins nothing. Raises: as ``begin_early_payment``."""
    if await rows.find_charge(session, wanted.charge_id) is not None:
        return None
    return await begin_early_payment(
        session, ways_to_collect(door), wanted.plan_id, wanted.amount, wanted.by, charge_id=wanted.charge_id,
        now=door.clock.now(), buyer_id=wanted.buyer_id,
    )  # fmt: skip


async def ask(door: Door, asked: AskedCharge | None) -> Sequence[ChargeOutcome]:
    """Call. Never raises for what the network does."""
    return () if asked is None else await ways_to_collect(door)[asked.charge.collector].ask([asked])


async def finish(session: Session, door: Door, charge_id: str, outcomes: Sequence[ChargeOutcome]) -> Charge:
    """Outcome: the plan is told in the same transaction."""
    if outcomes:
        await collecting.record_outcomes(session, outcomes, now=door.clock.now())
    charge = await rows.find_charge(session, charge_id)
    if charge is None:
        raise ResourceUnknown(id=charge_id)
    return charge


async def pay_early(door: Door, wanted: EarlyPayment) -> Charge:
    """All three, for a page of ours: what became of the charge, as far as it is known."""
    asked = await in_transaction(door.engine, lambda session: begin(session, door, wanted))
    outcomes = await ask(door, asked)
    return await in_transaction(door.engine, lambda session: finish(session, door, wanted.charge_id, outcomes))


def new_charge_id(door: Door) -> str:
    """A name for a charge that has none yet."""
    return new_id("chg", door.clock.now())
