"""The rails that a till may offer: those on there (``checkout.rollout``) that the merchant can be paid by.

Rollout alone is not enough for plans: a merchant that has agreed to no terms would offer a rail whose first attempt is
refused, with the buyer at the till.
"""

from __future__ import annotations

from datetime import datetime

from api import plan_rail
from checkout import rollout
from checkout.merchants import Terminal
from installments import quoting
from ledger.database import Session


async def open_rails(session: Session, terminal: Terminal, *, now: datetime) -> tuple[str, ...]:
    """The rails that can be paid by at a till now, the one that its premises prefer first. Raises: TerminalNotFound."""
    rails = await rollout.rails_on(session, terminal.id, now=now)
    if plan_rail.RAIL in rails and not await quoting.is_offered(
        session, terminal.merchant_id, plan_rail.PRODUCT, now=now
    ):
        return tuple(rail for rail in rails if rail != plan_rail.RAIL)
    return rails
