"""Cash links of the contract (кассовые ссылки): a plate of ours with the shop's word whether it may be paid by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.contracts.outer_ids import outer_id
from api.contracts.yookassa.errors import PosLinkUnknown
from api.contracts.yookassa.payments import STATUS_OF
from checkout.attempts import AttemptStatus
from ledger.database import Session, text


@dataclass(frozen=True, slots=True)
class PosLink:
    """A cash link as the shop set it up."""

    cash_link_id: str
    merchant_id: str
    gateway_id: str
    terminal_id: str
    """Where the plate stands now."""
    is_active: bool
    """Whether payments may be made by it; the shop says so."""
    last_order_id: str | None
    last_status: AttemptStatus | None


_LINK = """
SELECT k.cash_link_id, k.merchant_id, k.gateway_id, c.terminal_id, k.is_active, last.order_id AS last_order_id,
       last.status AS last_status
  FROM yookassa_pos_links AS k
  JOIN cash_links AS c ON c.id = k.cash_link_id
  LEFT JOIN LATERAL (
      SELECT y.order_id, a.status FROM yookassa_payments AS y JOIN attempts AS a ON a.id = y.attempt_id
       WHERE y.pos_link_id = k.cash_link_id ORDER BY y.order_id DESC LIMIT 1) AS last ON true"""


async def add_pos_link(
    session: Session, cash_link_id: str, *, merchant_id: str, gateway_id: str, now: datetime
) -> None:
    """Keep what the contract says of a cash link."""
    await session.execute(
        text("""INSERT INTO yookassa_pos_links (cash_link_id, merchant_id, gateway_id, is_active, created_at)
                VALUES (:id, :merchant_id, :gateway_id, true, :now)"""),
        {"id": cash_link_id, "merchant_id": merchant_id, "gateway_id": gateway_id, "now": now},
    )


async def find_pos_link(session: Session, cash_link_id: str, *, merchant_id: str) -> PosLink | None:
    """The cash link of this shop, or nothing."""
    row = (
        await session.execute(
            text(f"{_LINK} WHERE k.cash_link_id = :id AND k.merchant_id = :merchant_id"),
            {"id": cash_link_id, "merchant_id": merchant_id},
        )
    ).first()
    return None if row is None else _pos_link(row)


async def load_pos_link(session: Session, cash_link_id: str | None, *, merchant_id: str) -> PosLink:
    """The cash link of this shop. Raises: PosLinkUnknown."""
    found = None if cash_link_id is None else await find_pos_link(session, cash_link_id, merchant_id=merchant_id)
    if found is None:
        raise PosLinkUnknown(parameter="pos_link_id")
    return found


async def set_active(session: Session, cash_link_id: str, *, is_active: bool) -> None:
    """Let payments be made by the link, or not. Locks: its row."""
    await session.execute(
        text("UPDATE yookassa_pos_links SET is_active = :is_active WHERE cash_link_id = :id"),
        {"id": cash_link_id, "is_active": is_active},
    )


async def set_gateway(session: Session, cash_link_id: str, gateway_id: str) -> None:
    """Keep to which gateway the link went. Locks: its row."""
    await session.execute(
        text("UPDATE yookassa_pos_links SET gateway_id = :gateway_id WHERE cash_link_id = :id"),
        {"id": cash_link_id, "gateway_id": gateway_id},
    )


def pos_link_object(link: PosLink) -> dict[str, Any]:
    """The cash link as it goes out."""
    said: dict[str, Any] = {
        "id": outer_id(link.cash_link_id),
        "status": "active" if link.is_active else "inactive",
        "type": "nspk",
        "recipient": {"gateway_id": link.gateway_id},
    }
    if link.last_order_id is not None and link.last_status is not None:
        said["payment"] = {"id": outer_id(link.last_order_id), "status": STATUS_OF[link.last_status].value}
    return said


def _pos_link(row: Row[Any]) -> PosLink:
    status = None if row.last_status is None else AttemptStatus(row.last_status)
    return PosLink(**{**row._mapping, "last_status": status})
