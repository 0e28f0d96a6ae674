"""What plans are made by: products in dated versions, merchants' terms, and our own entry in the register.

Nothing is rewritten: what changes is written down again from a later day, so plans of the past can be explained.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from installments import repository as rows
from installments.errors import LicenceTaken, MerchantTermsTaken, OfferBackdated, ProductTaken
from installments.law import check_penalty, check_term
from installments.products import MerchantTerms, Product
from installments.repository import Licence
from installments.schedule import build_schedule
from ledger import outbox
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.money import Kopecks
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

OFFERS_MAX = 1_000
"""Versions or terms shown at once: a house has dozens."""


async def offer_product(session: Session, product: Product, *, actor: str, origin: str, now: datetime) -> Product:
    """A product's next version, from its day on; its number is the next one.

    Locks: the product's code, until the end of the transaction.
    Raises: OfferBackdated; PenaltyAboveLaw, TermAboveLaw, TooManyInstallments, PriceTooSmall if no plan could be made
    by it; ProductTaken if the product has a version from this day or a later one already.
    """
    _refuse_past(product.effective_on, now)
    check_penalty(product.penalty_basis_points, contract_on=product.effective_on)
    parts = build_schedule(product.price_min, product, first_due_on=product.effective_on)
    check_term(product.effective_on, parts[-1].due_on)
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('installment_products'), hashtext(:code))"),
                          {"code": product.code})  # fmt: skip
    last = await _last_version(session, product.code)
    if last is not None and last.effective_on >= product.effective_on:
        raise ProductTaken(product_code=product.code, effective_on=last.effective_on.isoformat())
    product = replace(product, version=1 if last is None else last.version + 1)
    await rows.add_product(session, product)
    facts = {"product_code": product.code, "version": product.version, "effective_on": product.effective_on.isoformat()}
    await _tell(session, "installment_product.offered", product.code, None, facts, (actor, origin), now)
    return product


async def agree_terms(session: Session, terms: MerchantTerms, *, actor: str, origin: str, now: datetime) -> None:
    """What a merchant pays for a product, from a day on.

    Raises: OfferBackdated; ProductNotEffective if there is no such product on that day; MerchantTermsTaken if the
    merchant has terms from this day already.
    """
    _refuse_past(terms.effective_on, now)
    await rows.product_on(session, terms.product_code, terms.effective_on)
    taken = await rows.merchant_terms_on(session, terms.merchant_id, terms.product_code, terms.effective_on)
    if taken is not None and taken.effective_on == terms.effective_on:
        raise MerchantTermsTaken(merchant_id=terms.merchant_id, effective_on=terms.effective_on.isoformat())
    await rows.add_merchant_terms(session, terms)
    facts = {"product_code": terms.product_code, "effective_on": terms.effective_on.isoformat(),
             "fee_basis_points": terms.fee_basis_points}  # fmt: skip
    await _tell(session, "merchant_terms.agreed", terms.merchant_id, terms.merchant_id, facts, (actor, origin), now)


async def record_licence(session: Session, licence: Licence, *, actor: str, origin: str, now: datetime) -> None:
    """What our entry in the Bank of Russia's register says from a day on. Without an active one no plan is made.

    Raises: LicenceTaken if the day has an entry already.
    """
    taken = await rows.licence_on(session, licence.effective_on)
    if taken is not None and taken.effective_on == licence.effective_on:
        raise LicenceTaken(effective_on=licence.effective_on.isoformat())
    await rows.add_licence(session, licence)
    facts = {"effective_on": licence.effective_on.isoformat(), "is_active": licence.is_active,
             "register_number": licence.register_number}  # fmt: skip
    await _tell(session, "operator_licence.recorded", "operator", None, facts, (actor, origin), now)


async def list_products(session: Session) -> list[Product]:
    """All versions of all products, by code and version."""
    found = await session.execute(
        text(f"SELECT code, version FROM installment_products ORDER BY code, version LIMIT {OFFERS_MAX}")  # noqa: S608
    )
    return [await rows.load_product(session, row.code, row.version) for row in found]


async def list_terms(
    session: Session, *, merchant_id: str | None, product_code: str | None = None
) -> list[MerchantTerms]:
    """What merchants have agreed to, by merchant, product and day."""
    found = await session.execute(
        text(f"""SELECT * FROM installment_merchant_terms
                  WHERE (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                    AND (CAST(:product_code AS text) IS NULL OR product_code = :product_code)
                  ORDER BY merchant_id, product_code, effective_on LIMIT {OFFERS_MAX}"""),  # noqa: S608
        {"merchant_id": merchant_id, "product_code": product_code},
    )
    return [_terms(row) for row in found]


async def list_licences(session: Session) -> list[Licence]:
    """Our entries in the register, by day."""
    found = await session.execute(text(f"SELECT * FROM operator_licences ORDER BY effective_on LIMIT {OFFERS_MAX}"))  # noqa: S608
    return [
        Licence(row.effective_on, row.register_number, row.is_active, Kopecks(row.capital_kopecks)) for row in found
    ]


async def _last_version(session: Session, code: str) -> Product | None:
    version = await session.scalar(
        text("SELECT max(version) FROM installment_products WHERE code = :code"), {"code": code}
    )
    return None if version is None else await rows.load_product(session, code, version)


def _refuse_past(effective_on: date, now: datetime) -> None:
    today = moscow_day(now)
    if effective_on < today:
        raise OfferBackdated(effective_on=effective_on.isoformat(), today=today.isoformat())


async def _tell(
    session: Session, what: str, object_id: str, merchant_id: str | None, facts: dict[str, Any], who: tuple[str, str],
    now: datetime,
) -> None:  # fmt: skip
    """The event and the leaf of the log, in the transaction of what they tell of."""
    actor, origin = who
    await outbox.publish(session, Event(what, object_id, merchant_id, facts), now=now)
    subject = f"merchant:{object_id}" if merchant_id else f"offer:{object_id}"
    event = AuditEvent(
        what, actor=actor, origin=origin, subject=subject, happened_at=now, merchant_id=merchant_id or "", facts=facts
    )
    await stage(session, [event])


def _terms(row: Row[Any]) -> MerchantTerms:
    low, high = row.price_min_kopecks, row.price_max_kopecks
    return MerchantTerms(
        row.merchant_id, row.product_code, row.effective_on, row.fee_basis_points,
        None if low is None else Kopecks(low), None if high is None else Kopecks(high),
    )  # fmt: skip
