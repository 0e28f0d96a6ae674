"""Registrations that wait for their bank: looked up in NSPK's directory from time to time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import structlog

from api.one_by_one import one_by_one
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.errors import KopeykaError
from sbp_gateway import onboarding, registration_repository
from sbp_gateway.nspk_merchants import NspkMerchants
from sbp_gateway.registrations import MerchantRegistration, wait_before_look_up

LEASE = timedelta(seconds=30)
"""Over a call's own limit of waiting."""

log = structlog.get_logger("looking_up")


async def look_up_registrations(engine: Engine, merchants: NspkMerchants, clock: Clock) -> int:
    """Look in the directory for merchants whose banks were asked to register them."""
    now = clock.now()
    async with transaction(engine) as session:
        due = await registration_repository.take_due_look_ups(session, now=now, lease_until=now + LEASE)
    return await one_by_one(
        "look_up_registrations", due, partial(look_up_registration, engine, merchants, clock), name=lambda one: one.id
    )


async def look_up_registration(
    engine: Engine, merchants: NspkMerchants, clock: Clock, registration: MerchantRegistration
) -> None:
    """Call, then outcome in one transaction. What cannot be told now is looked up again later."""
    assert registration.data.ogrn is not None

    async def outcome(session: Session) -> None:
        found = await onboarding.record_look_up(session, registration.id, answer, now=clock.now())
        if found[0].numbers is None:
            await _look_again(session, registration, clock)

    try:
        answer = await merchants.search(ogrn=registration.data.ogrn, bik=registration.bik)
        await in_transaction(engine, outcome)
    except KopeykaError as error:
        log.info("registration_not_looked_up", registration_id=registration.id, code=error.code)
        await in_transaction(engine, lambda session: _look_again(session, registration, clock))


async def _look_again(session: Session, registration: MerchantRegistration, clock: Clock) -> None:
    at = clock.now() + wait_before_look_up(registration.look_ups)
    await registration_repository.save_next_look_up(session, registration.id, at)
