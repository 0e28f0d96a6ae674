"""Rows of plans, their products and terms turned into values and back.

Locks: a plan is locked before its card payments, and plans in the order of their ids; accounts come last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from installments.errors import PlanNotFound, ProductNotEffective
from installments.plan import CollectorName, Item, Plan, PlanStatus, Standing
from installments.products import MerchantTerms, PartRounding, Product, RefundPolicy, Step
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200
"""Plans on one page."""
BATCH_MAX = 500
"""Plans locked in one transaction by jobs."""

_MONEY = frozenset({"price", "prepaid", "fee", "refunded", "outstanding", "overpaid", "penalty"})
_COLUMNS = {field.name: f"{field.name}_kopecks" if field.name in _MONEY else field.name for field in fields(Plan)}
"""A plan's fields and their columns."""
_FIXED = frozenset({
    "id", "merchant_id", "order_number", "product_code", "product_version", "link_code", "created_at",
})  # fmt: skip
"""What never changes."""
_SELECT = ", ".join(f"p.{column} AS {name}" for name, column in _COLUMNS.items())
_INSERT = (
    f"INSERT INTO installment_plans ({', '.join(_COLUMNS.values())}) "  # noqa: S608  # our own column list
    f"VALUES ({', '.join(f'CAST(:{name} AS jsonb)' if name == 'items' else f':{name}' for name in _COLUMNS)})"
)
_UPDATE = (
    "UPDATE installment_plans SET "  # noqa: S608  # our own column list
    + ", ".join(
        f"{column} = {f'CAST(:{name} AS jsonb)' if name == 'items' else f':{name}'}"
        for name, column in _COLUMNS.items()
        if name not in _FIXED
    )
    + " WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class Licence:
    """Our own entry in the register of operators, as of a day."""

    effective_on: date
    register_number: str
    is_active: bool
    capital: Kopecks


async def add_plan(session: Session, plan: Plan) -> None:
    """Keep a new plan."""
    await session.execute(text(_INSERT), _plain(plan))


async def save_plan(session: Session, plan: Plan) -> None:
    """Keep a locked plan as it has become."""
    await session.execute(text(_UPDATE), _plain(plan))


async def load_plan(session: Session, plan_id: str, *, merchant_id: str | None = None, lock: bool = False) -> Plan:
    """The plan. Raises: PlanNotFound, also when it is another merchant's. Locks: it, if asked to."""
    found = await _plans(session, "p.id = :id", {"id": plan_id}, _lock(lock))
    if not found or merchant_id not in (None, found[0].merchant_id):
        raise PlanNotFound(plan_id=plan_id)
    return found[0]


async def load_plans(session: Session, plan_ids: Sequence[str], *, lock: bool = False) -> dict[str, Plan]:
    """Plans by id, at most ``BATCH_MAX``. Locks: them in the order of their ids, if asked to."""
    assert len(plan_ids) <= BATCH_MAX
    condition = "p.id = ANY(CAST(:ids AS text[]))"
    found = await _plans(session, condition, {"ids": list(plan_ids)}, f"ORDER BY p.id {_lock(lock)}")
    return {plan.id: plan for plan in found}


async def find_plan_by_order(
    session: Session, merchant_id: str, order_number: str, *, lock: bool = False
) -> Plan | None:
    """The merchant's plan of an order, or nothing. Locks: it, if asked to."""
    arguments = {"merchant_id": merchant_id, "order_number": order_number}
    condition = "p.merchant_id = :merchant_id AND p.order_number = :order_number"
    found = await _plans(session, condition, arguments, _lock(lock))
    return found[0] if found else None


async def find_plan_by_link(session: Session, link_code: str, *, lock: bool = False) -> Plan | None:
    """The plan of a buyer's link, or nothing. Locks: it, if asked to."""
    found = await _plans(session, "p.link_code = :link_code", {"link_code": link_code}, _lock(lock))
    return found[0] if found else None


async def list_plans(
    session: Session, *, merchant_id: str | None = None, status: PlanStatus | None = None,
    buyer_id: str | None = None, after: str = "", limit: int = PAGE_MAX,
) -> tuple[list[Plan], bool]:  # fmt: skip
    """Plans by id (that is, by when they were made), and whether there are more."""
    assert 1 <= limit <= PAGE_MAX
    asked: dict[str, Any] = {"merchant_id": merchant_id, "status": status, "buyer_id": buyer_id}
    asked = {name: value for name, value in asked.items() if value is not None}
    condition = " AND ".join(["p.id > :after", *(f"p.{name} = :{name}" for name in asked)])
    found = await _plans(session, condition, {"after": after, **asked}, f"ORDER BY p.id LIMIT {limit + 1}")
    return found[:limit], len(found) > limit


async def expired_plans(session: Session, *, now: datetime, limit: int) -> list[str]:
    """Plans whose time to move on is over, the longest over first."""
    found = await session.scalars(
        text("SELECT id FROM installment_plans WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit"),
        {"now": now, "limit": limit},
    )
    return list(found)


async def take_expired(session: Session, plan_ids: Sequence[str], *, now: datetime) -> list[Plan]:
    """Those of the plans whose time to move on is over. Locks: those it takes, skipping those that others hold."""
    condition = "p.id = ANY(CAST(:ids AS text[]))"
    tail = "AND p.expires_at <= :now ORDER BY p.id FOR NO KEY UPDATE SKIP LOCKED"
    return await _plans(session, condition, {"now": now, "ids": list(plan_ids)}, tail)


async def _plans(session: Session, condition: str, arguments: Mapping[str, Any], tail: str = "") -> list[Plan]:
    rows = await session.execute(
        text(f"SELECT {_SELECT} FROM installment_plans AS p WHERE {condition} {tail}"),  # noqa: S608
        dict(arguments),
    )
    return [_plan(row) for row in rows]


async def load_product(session: Session, code: str, version: int) -> Product:
    """One version of a product. Raises: ProductNotEffective."""
    arguments = {"code": code, "version": version}
    found = await _products(session, "code = :code AND version = :version", arguments)
    if found is None:
        raise ProductNotEffective(product_code=code, product_version=version)
    return found


async def product_on(session: Session, code: str, on: date) -> Product:
    """The version by which plans are made on a Moscow day. Raises: ProductNotEffective."""
    found = await _products(session, "code = :code AND effective_on <= :on", {"code": code, "on": on})
    if found is None:
        raise ProductNotEffective(product_code=code, on=on)
    return found


async def _products(session: Session, condition: str, arguments: Mapping[str, Any]) -> Product | None:
    rows = await session.execute(
        text(f"""SELECT * FROM installment_products WHERE {condition}
                  ORDER BY effective_on DESC LIMIT 1"""),  # noqa: S608  # our own conditions
        dict(arguments),
    )
    row = rows.first()
    return None if row is None else _product(row)


async def add_product(session: Session, product: Product) -> None:
    """Keep a new version of a product."""
    await session.execute(
        text("""INSERT INTO installment_products (code, version, name, effective_on, installments, step, every,
                    first_share_basis_points, rounding, price_min_kopecks, price_max_kopecks,
                    order_lifetime_seconds, hold_lifetime_seconds, refund_policy, penalty_basis_points,
                    penalty_grace_days, is_committed_at_once, is_fee_returned)
                VALUES (:code, :version, :name, :effective_on, :installments, :step, :every,
                    :first_share_basis_points, :rounding, :price_min, :price_max, :order_lifetime, :hold_lifetime,
                    :refund_policy, :penalty_basis_points, :penalty_grace_days, :is_committed_at_once,
                    :is_fee_returned)"""),
        {field.name: _bare(getattr(product, field.name)) for field in fields(product)},
    )


async def merchant_terms_on(session: Session, merchant_id: str, code: str, on: date) -> MerchantTerms | None:
    """What a merchant has agreed to for a product, as of a Moscow day, or nothing."""
    rows = await session.execute(
        text("""SELECT * FROM installment_merchant_terms
                 WHERE merchant_id = :merchant_id AND product_code = :code AND effective_on <= :on
                 ORDER BY effective_on DESC LIMIT 1"""),
        {"merchant_id": merchant_id, "code": code, "on": on},
    )
    row = rows.first()
    if row is None:
        return None
    return MerchantTerms(
        row.merchant_id, row.product_code, row.effective_on, row.fee_basis_points,
        _kopecks(row.price_min_kopecks), _kopecks(row.price_max_kopecks),
    )  # fmt: skip


async def add_merchant_terms(session: Session, terms: MerchantTerms) -> None:
    """Keep what a merchant has agreed to, from a day on."""
    await session.execute(
        text("""INSERT INTO installment_merchant_terms (merchant_id, product_code, effective_on, fee_basis_points,
                    price_min_kopecks, price_max_kopecks)
                VALUES (:merchant_id, :product_code, :effective_on, :fee_basis_points, :price_min, :price_max)"""),
        {field.name: _bare(getattr(terms, field.name)) for field in fields(terms)},
    )


async def licence_on(session: Session, on: date) -> Licence | None:
    """Our entry in the register as of a day, or nothing."""
    rows = await session.execute(
        text("SELECT * FROM operator_licences WHERE effective_on <= :on ORDER BY effective_on DESC LIMIT 1"),
        {"on": on},
    )
    row = rows.first()
    if row is None:
        return None
    return Licence(row.effective_on, row.register_number, row.is_active, Kopecks(row.capital_kopecks))


async def add_licence(session: Session, licence: Licence) -> None:
    """Keep what our entry in the register says from a day on."""
    await session.execute(
        text("""INSERT INTO operator_licences (effective_on, register_number, is_active, capital_kopecks)
                VALUES (:effective_on, :register_number, :is_active, :capital)"""),
        {field.name: _bare(getattr(licence, field.name)) for field in fields(licence)},
    )


async def operator_merchant(session: Session) -> str | None:
    """The merchant of our own house, through which buyers are charged; nothing where none was chosen."""
    found = await session.scalar(text("SELECT merchant_id FROM plan_operator"))
    return None if found is None else str(found)


async def choose_operator(session: Session, merchant_id: str) -> None:
    """Name the merchant of our own house, once and for all; naming it again changes nothing."""
    await session.execute(
        text("INSERT INTO plan_operator (merchant_id) VALUES (:merchant_id) ON CONFLICT DO NOTHING"),
        {"merchant_id": merchant_id},
    )


def items_as_json(items: Sequence[Item]) -> list[dict[str, Any]]:
    """A basket as it is kept."""
    return [
        {
            "name": item.name, "quantity": item.quantity, "price_kopecks": int(item.price), "sku": item.sku,
            "receipt": [list(pair) for pair in item.receipt],
        }
        for item in items
    ]  # fmt: skip


def items_of_json(kept: Sequence[Mapping[str, Any]]) -> tuple[Item, ...]:
    """A basket as it was kept."""
    return tuple(
        Item(
            line["name"], line["quantity"], Kopecks(line["price_kopecks"]), line["sku"],
            tuple((pair[0], pair[1]) for pair in line["receipt"]),
        )
        for line in kept
    )  # fmt: skip


_COLLECTORS: dict[str | None, CollectorName | None] = {None: None} | {name.value: name for name in CollectorName}
_WORDS: dict[str, Callable[[Any], Any]] = {
    "status": {status.value: status for status in PlanStatus}.__getitem__,
    "standing": {standing.value: standing for standing in Standing}.__getitem__,
    "items": items_of_json,
    "collector": _COLLECTORS.__getitem__,
}
"""Members by their words: a look into a dict costs a quarter of a call of the enum."""


def _lock(is_wished: bool) -> str:
    return "FOR NO KEY UPDATE" if is_wished else ""


def _plain(plan: Plan) -> dict[str, Any]:
    values = {name: _bare(getattr(plan, name)) for name in _COLUMNS}
    return values | {"items": json.dumps(items_as_json(plan.items), ensure_ascii=False)}


def _bare(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return int(value) if isinstance(value, Kopecks) else value


def _kopecks(value: int | None) -> Kopecks | None:
    return None if value is None else Kopecks(value)


def _plan(row: Row[Any]) -> Plan:
    values = list(row)
    for place, read in _READ:
        values[place] = read(values[place])
    return Plan(*values)


_READ: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
    (place, Kopecks if name in _MONEY else _WORDS[name])
    for place, name in enumerate(_COLUMNS)
    if name in _MONEY or name in _WORDS
)
"""Columns that a plan holds as other values, by their places."""


def _product(row: Row[Any]) -> Product:
    return Product(
        code=row.code, version=row.version, name=row.name, effective_on=row.effective_on,
        installments=row.installments, step=Step(row.step), every=row.every,
        first_share_basis_points=row.first_share_basis_points, rounding=PartRounding(row.rounding),
        price_min=Kopecks(row.price_min_kopecks), price_max=Kopecks(row.price_max_kopecks),
        order_lifetime=timedelta(seconds=row.order_lifetime_seconds),
        hold_lifetime=timedelta(seconds=row.hold_lifetime_seconds), refund_policy=RefundPolicy(row.refund_policy),
        penalty_basis_points=row.penalty_basis_points, penalty_grace_days=row.penalty_grace_days,
        is_committed_at_once=row.is_committed_at_once, is_fee_returned=row.is_fee_returned,
    )  # fmt: skip
