"""Rows of cash links and their activations turned into values and back. Activations are locked before orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.cash_links import Activation, ActivationStatus, CashLink, CashLinkStatus
from sbp_gateway.errors import CashLinkNotFound

WATCH_BATCH_MAX = 50
"""Activations a worker takes at once: each is asked about by calls of its own."""
PAGE_MAX = 200

_LINK = """l.id, l.merchant_id, l.store_id, l.terminal_id, l.bank_account, l.status, l.qrc_id, l.payload,
    l.requested_at"""
_ACTIVATION = """a.id, a.cash_link_id, l.qrc_id, l.payload, a.attempt_id, a.merchant_id, a.amount_kopecks, a.purpose,
    a.status, a.params_id, a.requested_at, a.expires_at, a.polls, a.arms, a.asked_again_at"""
_LIVE = "a.status IN ('requested', 'waiting', 'deactivating')"


async def add_reservations(session: Session, qrc_ids: Sequence[str], merchant_id: str | None, *, now: datetime) -> None:
    """Keep ids that NSPK set aside, for a merchant when the caller speaks for one."""
    await session.execute(
        text("""INSERT INTO cash_link_reservations (qrc_id, merchant_id, reserved_at)
                SELECT qrc_id, :merchant_id, :now FROM unnest(CAST(:ids AS text[])) AS given (qrc_id)
                ON CONFLICT DO NOTHING"""),
        {"ids": list(qrc_ids), "merchant_id": merchant_id, "now": now},
    )


async def is_reserved(session: Session, qrc_id: str, merchant_id: str) -> bool:
    """Whether an id was set aside for the merchant, or for anybody."""
    return bool(
        await session.scalar(
            text("""SELECT EXISTS (SELECT 1 FROM cash_link_reservations
                     WHERE qrc_id = :qrc_id AND (merchant_id IS NULL OR merchant_id = :merchant_id))"""),
            {"qrc_id": qrc_id, "merchant_id": merchant_id},
        )
    )


async def add_cash_link(session: Session, link: CashLink, *, next_try_at: datetime) -> bool:
    """Keep a link that NSPK will be asked to register; False if its id is another link's."""
    result = await session.execute(
        text("""INSERT INTO cash_links (id, merchant_id, store_id, terminal_id, bank_account, qrc_id, requested_at,
                                        next_try_at)
                VALUES (:id, :merchant_id, :store_id, :terminal_id, :bank_account, :qrc_id, :requested_at,
                        :next_try_at) ON CONFLICT DO NOTHING"""),
        {
            "id": link.id,
            "merchant_id": link.merchant_id,
            "store_id": link.store_id,
            "terminal_id": link.terminal_id,
            "bank_account": link.bank_account,
            "qrc_id": link.qrc_id,
            "requested_at": link.requested_at,
            "next_try_at": next_try_at,
        },
    )
    return result.rowcount == 1


async def find_cash_link(
    session: Session, cash_link_id: str, *, merchant_id: str | None, lock: str = ""
) -> CashLink | None:
    """The link, if it is the merchant's when the caller speaks for one."""
    found = await _links(
        session,
        "l.id = :id AND (CAST(:merchant_id AS text) IS NULL OR l.merchant_id = :merchant_id)",
        {"id": cash_link_id, "merchant_id": merchant_id},
        lock,
    )
    return found[0] if found else None


async def load_cash_link(session: Session, cash_link_id: str, *, merchant_id: str | None, lock: str = "") -> CashLink:
    """The link. Raises: CashLinkNotFound."""
    link = await find_cash_link(session, cash_link_id, merchant_id=merchant_id, lock=lock)
    if link is None:
        raise CashLinkNotFound(cash_link_id=cash_link_id)
    return link


async def share_cash_link(session: Session, cash_link_id: str, *, merchant_id: str) -> CashLink:
    """The link, which cannot be moved meanwhile. Raises: CashLinkNotFound. Locks: the link, shared."""
    return await load_cash_link(session, cash_link_id, merchant_id=merchant_id, lock="FOR SHARE OF l")


async def lock_cash_link(session: Session, cash_link_id: str, *, merchant_id: str | None) -> CashLink:
    """The link, to be changed. Raises: CashLinkNotFound. Locks: the link."""
    return await load_cash_link(session, cash_link_id, merchant_id=merchant_id, lock="FOR NO KEY UPDATE OF l")


async def cash_link_by_qrc_id(session: Session, qrc_id: str) -> CashLink | None:
    """The registered link under NSPK's id."""
    found = await _links(session, "l.qrc_id = :qrc_id AND l.status = 'registered'", {"qrc_id": qrc_id})
    return found[0] if found else None


async def list_cash_links(
    session: Session, *, merchant_id: str | None, terminal_id: str | None, after: str, limit: int
) -> tuple[list[CashLink], bool]:
    """Links by id, and whether there are more."""
    found = await _links(
        session,
        """l.id > :after AND (CAST(:merchant_id AS text) IS NULL OR l.merchant_id = :merchant_id)
           AND (CAST(:terminal_id AS text) IS NULL OR l.terminal_id = :terminal_id)""",
        {"after": after, "merchant_id": merchant_id, "terminal_id": terminal_id},
        f"ORDER BY l.id LIMIT {min(limit, PAGE_MAX) + 1}",
    )
    return found[:limit], len(found) > limit


async def reserve_for(session: Session, cash_link_id: str, qrc_id: str) -> bool:
    """Keep the id that a link without one will be registered under. Locks: the link."""
    return await _change_link(session, "qrc_id = :qrc_id", "qrc_id IS NULL", {"id": cash_link_id, "qrc_id": qrc_id})


async def register_cash_link(session: Session, cash_link_id: str, payload: str) -> bool:
    """Keep what NSPK registered. Locks: the link."""
    change = "status = 'registered', payload = :payload, next_try_at = NULL"
    return await _change_link(session, change, "qrc_id IS NOT NULL", {"id": cash_link_id, "payload": payload})


async def refuse_cash_link(session: Session, cash_link_id: str, refusal: str) -> bool:
    """Keep NSPK's refusal. Locks: the link."""
    change = "status = 'refused', refusal = :refusal, next_try_at = NULL"
    return await _change_link(session, change, "true", {"id": cash_link_id, "refusal": refusal})


async def _change_link(session: Session, change: str, condition: str, arguments: Mapping[str, Any]) -> bool:
    result = await session.execute(
        text(f"UPDATE cash_links SET {change} WHERE id = :id AND status = 'requested' AND {condition}"),  # noqa: S608
        arguments,
    )
    return result.rowcount == 1


async def move_cash_link(session: Session, link: CashLink) -> None:
    """Keep the terminal and the bank account of a locked link."""
    await session.execute(
        text("""UPDATE cash_links SET terminal_id = :terminal_id, store_id = :store_id, bank_account = :bank_account
                 WHERE id = :id"""),
        {
            "id": link.id,
            "terminal_id": link.terminal_id,
            "store_id": link.store_id,
            "bank_account": link.bank_account,
        },
    )


async def take_due_links(session: Session, *, now: datetime, lease_until: datetime, limit: int) -> list[CashLink]:
    """Take links whose registration is to be taken up again. Locks: them, skipping what others take."""
    rows = await session.execute(
        text(f"""UPDATE cash_links AS l SET next_try_at = :lease_until
                  WHERE l.id IN (SELECT id FROM cash_links WHERE next_try_at <= :now
                                  ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_LINK}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": limit},
    )
    return [_link(row) for row in rows]


async def add_activation(session: Session, activation: Activation, *, next_poll_at: datetime) -> bool:
    """Keep an activation that NSPK will be asked for; False if the link has a live one."""
    result = await session.execute(
        text("""INSERT INTO cash_link_activations (id, cash_link_id, attempt_id, merchant_id, amount_kopecks, purpose,
                                                   requested_at, expires_at, next_poll_at)
                VALUES (:id, :cash_link_id, :attempt_id, :merchant_id, :amount, :purpose, :requested_at, :expires_at,
                        :next_poll_at)
                ON CONFLICT (cash_link_id) WHERE status IN ('requested', 'waiting', 'deactivating') DO NOTHING"""),
        {
            "id": activation.id,
            "cash_link_id": activation.cash_link_id,
            "attempt_id": activation.attempt_id,
            "merchant_id": activation.merchant_id,
            "amount": int(activation.amount),
            "purpose": activation.purpose,
            "requested_at": activation.requested_at,
            "expires_at": activation.expires_at,
            "next_poll_at": next_poll_at,
        },
    )
    return result.rowcount == 1


async def move_activation(
    session: Session,
    activation_id: str,
    to: ActivationStatus,
    come_from: Sequence[ActivationStatus],
    *,
    next_poll_at: datetime | None,
    params_id: str | None = None,
    refusal: str | None = None,
) -> bool:
    """Bring an activation to ``to`` if it stands in one of ``come_from``. Locks: the activation."""
    result = await session.execute(
        text("""UPDATE cash_link_activations
                   SET status = :to, params_id = coalesce(CAST(:params_id AS text), params_id), refusal = :refusal,
                       next_poll_at = CAST(:next_poll_at AS timestamptz), polls = 0
                 WHERE id = :id AND status = ANY(CAST(:come_from AS text[]))"""),
        {
            "id": activation_id,
            "to": to.value,
            "come_from": [status.value for status in come_from],
            "params_id": params_id,
            "refusal": refusal,
            "next_poll_at": next_poll_at,
        },
    )
    return result.rowcount == 1


async def name_activation(session: Session, activation_id: str, params_id: str, *, next_poll_at: datetime) -> None:
    """Keep NSPK's name of a locked activation of which an answer was lost; one given up stays so. Locks: it."""
    result = await session.execute(
        text("""UPDATE cash_link_activations
                   SET params_id = :params_id,
                       next_poll_at = CASE status WHEN 'deactivated' THEN NULL
                                                  ELSE CAST(:next_poll_at AS timestamptz) END,
                       status = CASE status WHEN 'requested' THEN 'waiting' ELSE status END
                 WHERE id = :id AND status IN ('requested', 'waiting', 'deactivating', 'deactivated')"""),
        {"id": activation_id, "params_id": params_id, "next_poll_at": next_poll_at},
    )
    assert result.rowcount == 1


async def count_arms(session: Session, activation_id: str, *, now: datetime) -> None:
    """Keep that NSPK is asked once more to arm the link. Locks: the activation."""
    await session.execute(
        text("UPDATE cash_link_activations SET arms = arms + 1, asked_again_at = :now WHERE id = :id"),
        {"id": activation_id, "now": now},
    )


async def save_next_poll(session: Session, activation_id: str, at: datetime) -> None:
    """Keep when a live activation is looked at again."""
    await session.execute(
        text("UPDATE cash_link_activations SET next_poll_at = :at WHERE id = :id AND next_poll_at IS NOT NULL"),
        {"id": activation_id, "at": at},
    )


async def lock_activation(session: Session, activation_id: str) -> Activation:
    """The activation, locked. Locks: it."""
    (found,) = await _activations(session, "a.id = :id", {"id": activation_id}, "FOR NO KEY UPDATE OF a")
    return found


async def live_activation(session: Session, cash_link_id: str) -> Activation | None:
    """What the link is armed with, or is being."""
    found = await _activations(session, f"a.cash_link_id = :id AND {_LIVE}", {"id": cash_link_id})
    return found[0] if found else None


async def live_of_order(session: Session, order_id: str) -> Activation | None:
    """The live activation of an order's attempt, if it is tried by a cash link."""
    found = await _activations(
        session,
        f"a.attempt_id IN (SELECT id FROM attempts WHERE order_id = :id) AND {_LIVE}",  # noqa: S608  # our own words
        {"id": order_id},
    )
    return found[0] if found else None


async def activation_by_sale(session: Session, qrc_id: str, params_id: str) -> Activation | None:
    """The activation that NSPK means by a link and one use of it."""
    found = await _activations(
        session,
        "l.qrc_id = :qrc_id AND l.status = 'registered' AND a.params_id = :params_id",
        {"qrc_id": qrc_id, "params_id": params_id},
    )
    return found[0] if found else None


async def activations_by_attempt(session: Session, attempt_ids: Sequence[str]) -> dict[str, Activation]:
    """The activation of each attempt that was armed."""
    found = await _activations(
        session, "a.attempt_id = ANY(CAST(:ids AS text[])) AND a.params_id IS NOT NULL", {"ids": list(attempt_ids)}
    )
    return {activation.attempt_id: activation for activation in found}


async def take_due_activations(
    session: Session, *, now: datetime, lease_until: datetime, limit: int
) -> list[Activation]:
    """Take activations whose time to be looked at has come. Locks: them, skipping what others take."""
    rows = await session.execute(
        text(f"""UPDATE cash_link_activations AS a SET next_poll_at = :lease_until, polls = a.polls + 1
                   FROM cash_links AS l
                  WHERE l.id = a.cash_link_id
                    AND a.id IN (SELECT id FROM cash_link_activations WHERE next_poll_at <= :now
                                  ORDER BY next_poll_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_ACTIVATION}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": limit},
    )
    return [_activation(row) for row in rows]


async def _links(session: Session, which: str, arguments: Mapping[str, Any], tail: str = "") -> list[CashLink]:
    rows = await session.execute(
        text(f"SELECT {_LINK} FROM cash_links AS l WHERE {which} {tail}"),  # noqa: S608  # our own words
        arguments,
    )
    return [_link(row) for row in rows]


async def _activations(session: Session, which: str, arguments: Mapping[str, Any], tail: str = "") -> list[Activation]:
    rows = await session.execute(
        text(f"""SELECT {_ACTIVATION} FROM cash_link_activations AS a JOIN cash_links AS l ON l.id = a.cash_link_id
                  WHERE {which} ORDER BY a.id {tail}"""),  # noqa: S608  # our own words
        arguments,
    )
    return [_activation(row) for row in rows]


def _link(row: Row[Any]) -> CashLink:
    return CashLink(**{**row._mapping, "status": CashLinkStatus(row.status)})


def _activation(row: Row[Any]) -> Activation:
    found = {**row._mapping, "amount": Kopecks(row.amount_kopecks), "status": ActivationStatus(row.status)}
    del found["amount_kopecks"]
    return Activation(**found)
