"""Tills of a shop: a gateway of the contract is a terminal of ours, made when it is first named."""

from __future__ import annotations

from datetime import datetime

from api.contracts.yookassa.errors import ParameterInvalid
from checkout import onboarding
from checkout import repository as till_rows
from checkout.errors import TerminalNotFound
from ledger.database import Session, text
from ledger.ids import new_id

DEFAULT_GATEWAY = "default"
"""The till of a client that names none."""
STORE_NAME = "YooKassa"
GATEWAYS_MAX = 1_000
"""Tills that a shop may name into being: a large chain store has some tens."""
_LOCK_SPACE = 19290


async def terminal_of(session: Session, merchant_id: str, gateway_id: str, *, now: datetime) -> str:
    """The terminal behind a gateway; the first naming makes it.

    Raises: ParameterInvalid if the shop has too many, or the terminal named is another merchant's.
    Locks: the shop's gateways, when one is made.
    """
    if (found := await _known(session, merchant_id, gateway_id)) is not None:
        return found
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:merchant_id, :space))"),
        {"merchant_id": merchant_id, "space": _LOCK_SPACE},
    )
    if (found := await _known(session, merchant_id, gateway_id)) is not None:
        return found
    terminal_id = await _make(session, merchant_id, gateway_id, now=now)
    await session.execute(
        text("""INSERT INTO yookassa_tills (merchant_id, gateway_id, terminal_id, created_at)
                VALUES (:merchant_id, :gateway_id, :terminal_id, :now)"""),
        {"merchant_id": merchant_id, "gateway_id": gateway_id, "terminal_id": terminal_id, "now": now},
    )
    return terminal_id


async def _known(session: Session, merchant_id: str, gateway_id: str) -> str | None:
    found: str | None = await session.scalar(
        text("SELECT terminal_id FROM yookassa_tills WHERE merchant_id = :merchant_id AND gateway_id = :gateway_id"),
        {"merchant_id": merchant_id, "gateway_id": gateway_id},
    )
    return found


async def _make(session: Session, merchant_id: str, gateway_id: str, *, now: datetime) -> str:
    if gateway_id.startswith("ter_"):
        return await _own_terminal(session, merchant_id, gateway_id)
    row = (
        await session.execute(
            text("""SELECT count(*) AS tills, min(t.store_id) AS store_id FROM yookassa_tills AS y
                      JOIN terminals AS t ON t.id = y.terminal_id JOIN stores AS s ON s.id = t.store_id
                     WHERE y.merchant_id = :merchant_id AND s.name = :name"""),
            {"merchant_id": merchant_id, "name": STORE_NAME},
        )
    ).one()
    if row.tills >= GATEWAYS_MAX:
        raise ParameterInvalid(f"A shop has at most {GATEWAYS_MAX} gateways.", parameter="recipient.gateway_id")
    store_id = row.store_id or await _store(session, merchant_id, now=now)
    terminal = await onboarding.add_terminal(
        session, new_id("ter", now), store_id=store_id, name=gateway_id, merchant_id=merchant_id, now=now
    )
    return terminal.id


async def _own_terminal(session: Session, merchant_id: str, terminal_id: str) -> str:
    try:
        terminal = await till_rows.load_terminal(session, terminal_id)
    except TerminalNotFound:
        terminal = None
    if terminal is None or terminal.merchant_id != merchant_id:
        raise ParameterInvalid("There is no such gateway in this shop.", parameter="recipient.gateway_id")
    return terminal.id


async def _store(session: Session, merchant_id: str, *, now: datetime) -> str:
    store = await onboarding.open_store(
        session, new_id("sto", now), merchant_id=merchant_id, name=STORE_NAME, address=STORE_NAME, now=now
    )
    return store.id
