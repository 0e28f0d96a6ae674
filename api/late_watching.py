"""What is over is asked about once more: money that comes late is found although nobody tells of it."""

from __future__ import annotations

import asyncio

from api.payment_results import Hint
from api.wiring import Wiring
from ledger.clock import Clock
from ledger.database import Engine, transaction
from sbp_gateway import cash_link_repository as cash_links
from sbp_gateway import late_watches
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.late_watches import LateWatch

CALLS_AT_ONCE = 4


async def look_for_late_money(engine: Engine, wiring: Wiring, clock: Clock) -> int:
    """Ask NSPK about codes and activations that are over and due to be asked about."""
    async with transaction(engine) as session:
        due = await late_watches.take_due(session, now=clock.now())
    codes = [watch for watch in due if not watch.is_activation]
    sales = [watch for watch in due if watch.is_activation]
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def look(watch: LateWatch) -> None:
        async with places:
            await settle(engine, [watch], clock, is_answered=await ask_sale(engine, wiring, watch))

    if codes:
        await settle(engine, codes, clock, is_answered=await ask_codes(wiring, codes))
    await asyncio.gather(*(look(watch) for watch in sales))
    return len(due)


async def ask_codes(wiring: Wiring, watches: list[LateWatch]) -> bool:
    """Ask about codes in one call and carry out what NSPK says. False if the answer was lost."""
    try:
        await wiring.results.read([Hint(watch.qrc_id) for watch in watches])
    except (NspkUnknown, NspkUnavailable):
        return False
    return True


async def ask_sale(engine: Engine, wiring: Wiring, watch: LateWatch) -> bool:
    """Ask about one sale by a cash link and carry out what NSPK says. False if the answer was lost."""
    async with transaction(engine) as session:
        activation = await cash_links.lock_activation(session, watch.id)
    try:
        await wiring.sales.disarm_left_over(activation)
    except (NspkUnknown, NspkUnavailable):
        return False
    except NspkRefused:
        return True  # NSPK knows of no such sale
    return True


async def settle(engine: Engine, watches: list[LateWatch], clock: Clock, *, is_answered: bool) -> None:
    """Keep what asking taught."""
    async with transaction(engine) as session:
        await late_watches.settle(session, watches, is_answered=is_answered, now=clock.now())
