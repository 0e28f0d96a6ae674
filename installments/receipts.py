"""Receipts (чеки по 54-ФЗ) that a sale by plan asks somebody's till for: intents, and what the till said of them.

Kopeyka has no till and pretends none. Who fiscalises is the merchant's *profile*, fixed by the day of the contract:

=====================  ==============================  =======================  ==============  =================
profile                commit before the hand-over     hand-over                installment     refund
=====================  ==============================  =======================  ==============  =================
merchant (default)     1, all paid electronically      4, offset of the whole   none            return, same tag
operator_on_behalf     the same, by the operator's till for the merchant
seller_credit          2, the first installment        5, rest by 1216; or 6    7, each later   return of 7, 5, 6
=====================  ==============================  =======================  ==============  =================

Paid and handed over together is one receipt with 4. Tags: 1054 sign of settlement, 1214 method (the numbers above),
1081 paid electronically, 1215 offset of a prepayment, 1216 on credit.

Source: installments.md 3.3: docs.cntd.ru/document/565778149 (values of tag 1214); letters of the tax service
ВД-4-20/12469@ of 04.08.2020 and ЕД-4-20/20518@ of 19.10.2018 ("credit" is the seller's own). Whether an operator owes
receipts for installments itself is not settled in them: by default it makes none. Amounts: kopecks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any

from installments.errors import ReceiptDiffers, ReceiptNotFetched, ReceiptNotFound
from installments.movements import Movement, MovementKind
from installments.plan import Item, Plan
from installments.repository import items_as_json
from ledger.database import Session, text
from ledger.ids import new_id, new_ids
from ledger.money import Kopecks

FETCH_MAX = 100
"""Intents given to a till at once."""
INSTALLMENT_KINDS = frozenset({MovementKind.INSTALLMENT_PAYMENT, MovementKind.EARLY_PAYMENT})


class ReceiptProfile(StrEnum):
    """Whose till fiscalises a merchant's sales by plans."""

    MERCHANT = "merchant"
    OPERATOR_ON_BEHALF = "operator_on_behalf"
    """Ours, as the merchant's agent: Долями's ``fiscalization_settings.type = enabled``."""
    SELLER_CREDIT = "seller_credit"
    """The merchant itself waits for the money: not the operator's plan by law, but its own installments."""


class ReceiptStage(StrEnum):
    """What asks for a receipt."""

    PREPAYMENT = "prepayment"
    HAND_OVER = "hand_over"
    INSTALLMENT = "installment"
    REFUND = "refund"


class ReceiptMethod(IntEnum):
    """Tag 1214 (признак способа расчёта)."""

    FULL_PREPAYMENT = 1
    PART_PREPAYMENT = 2
    ADVANCE = 3
    FULL_SETTLEMENT = 4
    PART_SETTLEMENT_AND_CREDIT = 5
    HAND_OVER_ON_CREDIT = 6
    CREDIT_PAYMENT = 7


@dataclass(frozen=True, slots=True)
class ReceiptSums:
    """How a receipt is settled: its total is the three together."""

    method: ReceiptMethod
    paid: Kopecks
    """Tag 1081: electronically, now."""
    offset: Kopecks
    """Tag 1215: by what was prepaid."""
    credit: Kopecks
    """Tag 1216: to be paid later to the seller."""

    @property
    def total(self) -> Kopecks:
        """What the goods cost."""
        return self.paid + self.offset + self.credit


@dataclass(frozen=True, slots=True)
class ReceiptIntent:
    """One receipt that a till is to make."""

    id: str
    """``rcp_…``"""
    plan_id: str
    merchant_id: str
    profile: ReceiptProfile
    stage: ReceiptStage
    is_return: bool
    sums: ReceiptSums
    items: Sequence[dict[str, Any]]
    """Name, quantity, price in kopecks, and tax and object as the shop gave them."""
    state: str


@dataclass(frozen=True, slots=True)
class ReceiptSigns:
    """What a till printed: its drive, the document's number and sign (ФН, ФД, ФПД)."""

    fiscal_drive: str
    fiscal_document: str
    fiscal_sign: str


def sums_of_commit(profile: ReceiptProfile, price: Kopecks, prepaid: Kopecks, first: Kopecks) -> ReceiptSums:
    """Before the hand-over: everything came for the merchant, or the first installment came to the seller."""
    zero = Kopecks(0)
    if profile is ReceiptProfile.SELLER_CREDIT:
        return ReceiptSums(ReceiptMethod.PART_PREPAYMENT, first, zero, zero)
    return ReceiptSums(ReceiptMethod.FULL_PREPAYMENT, price, prepaid, zero)


def sums_of_hand_over(
    profile: ReceiptProfile, price: Kopecks, prepaid: Kopecks, first: Kopecks, *, is_paid_now: bool
) -> ReceiptSums:
    """With the goods. ``is_paid_now``: the money comes with this receipt, and no other was made for it."""
    zero = Kopecks(0)
    if profile is ReceiptProfile.SELLER_CREDIT:
        if first + prepaid == 0:
            return ReceiptSums(ReceiptMethod.HAND_OVER_ON_CREDIT, zero, zero, price)
        paid, offset = (first, prepaid) if is_paid_now else (zero, first + prepaid)
        return ReceiptSums(ReceiptMethod.PART_SETTLEMENT_AND_CREDIT, paid, offset, price - first)
    paid, offset = (price, prepaid) if is_paid_now else (zero, price + prepaid)
    return ReceiptSums(ReceiptMethod.FULL_SETTLEMENT, paid, offset, zero)


async def profile_on(session: Session, merchant_id: str, on: date) -> ReceiptProfile:
    """The merchant's profile on a day; the merchant's own till unless something else was agreed."""
    found = await session.scalar(
        text("""SELECT profile FROM receipt_profiles WHERE merchant_id = :merchant_id AND effective_on <= :on
                 ORDER BY effective_on DESC LIMIT 1"""),
        {"merchant_id": merchant_id, "on": on},
    )
    return ReceiptProfile.MERCHANT if found is None else ReceiptProfile(found)


async def agree_profile(session: Session, merchant_id: str, profile: ReceiptProfile, effective_on: date) -> None:
    """From a day on, contracts of this merchant are fiscalised so. The same again changes nothing."""
    await session.execute(
        text("""INSERT INTO receipt_profiles (merchant_id, effective_on, profile)
                VALUES (:merchant_id, :on, :profile) ON CONFLICT DO NOTHING"""),
        {"merchant_id": merchant_id, "on": effective_on, "profile": profile.value},
    )


async def choose_profile(session: Session, plan_id: str, profile: ReceiptProfile, *, now: datetime) -> None:
    """Who fiscalises this order from here on, as its shop says. Whoever sells on credit does it anyhow."""
    await session.execute(
        text("""INSERT INTO plan_receipt_profiles (plan_id, said_at, profile)
                VALUES (:plan_id, :now, :profile) ON CONFLICT DO NOTHING"""),
        {"plan_id": plan_id, "now": now, "profile": profile.value},
    )


async def want_of_commit(session: Session, plan: Plan, first: Kopecks, *, now: datetime) -> None:
    """The plan is committed and the goods are not handed over yet."""
    profile = await _profile(session, plan)
    sums = sums_of_commit(profile, plan.price, plan.prepaid, first)
    if sums.total:
        await _want(session, plan, profile, ReceiptStage.PREPAYMENT, plan.id, sums, plan.items, now)


async def want_of_hand_over(
    session: Session, plan: Plan, first: Kopecks, *, is_paid_now: bool = False, now: datetime
) -> None:
    """The goods are handed over; told once for a plan."""
    profile = await _profile(session, plan)
    sums = sums_of_hand_over(profile, plan.total, plan.prepaid, first, is_paid_now=is_paid_now)
    await _want(session, plan, profile, ReceiptStage.HAND_OVER, plan.id, sums, plan.items, now)


async def want_of_refund(
    session: Session, plan: Plan, refund_id: str, amount: Kopecks, prepaid: Kopecks, items: Sequence[Item], *,
    now: datetime,
) -> None:  # fmt: skip
    """Goods came back: a return receipt for them, by the method of the receipt they were sold by."""
    profile = await _profile(session, plan)
    sold = await session.scalar(
        text("""SELECT method_tag FROM receipt_intents
                 WHERE plan_id = :id AND stage IN ('prepayment', 'hand_over')
                 ORDER BY created_at DESC, id DESC LIMIT 1"""),
        {"id": plan.id},
    )
    method = ReceiptMethod(sold) if sold is not None else ReceiptMethod.FULL_SETTLEMENT
    sums = ReceiptSums(method, amount, prepaid, Kopecks(0))
    await _want(session, plan, profile, ReceiptStage.REFUND, refund_id, sums, items, now)


async def want_of_payments(session: Session, recorded: Sequence[tuple[Plan, Movement]], *, now: datetime) -> int:
    """Later installments of plans whose seller waits for the money: a receipt with 7 for each; how many."""
    waiting = await _sellers_on_credit(session, {plan.merchant_id for plan, _ in recorded})
    paid = [
        movement for plan, movement in recorded if movement.kind in INSTALLMENT_KINDS and plan.merchant_id in waiting
    ]
    if not paid:
        return 0
    done = await session.execute(
        text("""INSERT INTO receipt_intents (id, plan_id, merchant_id, profile, stage, cause, is_return, method_tag,
                       amount_kopecks, paid_kopecks, offset_kopecks, credit_kopecks, items, created_at)
                SELECT n.id, n.plan_id, p.merchant_id, 'seller_credit', 'installment', n.cause, false, 7,
                       n.amount, n.amount, 0, 0, p.items, :now
                  FROM unnest(CAST(:ids AS text[]), CAST(:plans AS text[]), CAST(:causes AS text[]),
                              CAST(:amounts AS bigint[])) AS n (id, plan_id, cause, amount)
                  JOIN installment_plans AS p ON p.id = n.plan_id
                 WHERE 'seller_credit' = (SELECT r.profile FROM receipt_profiles AS r
                                           WHERE r.merchant_id = p.merchant_id AND r.effective_on <= p.contract_on
                                           ORDER BY r.effective_on DESC LIMIT 1)
                ON CONFLICT DO NOTHING"""),
        {
            "ids": new_ids("rcp", now, len(paid)),
            "plans": [movement.plan_id for movement in paid],
            "causes": [movement.reference for movement in paid],
            "amounts": [int(movement.amount) for movement in paid],
            "now": now,
        },
    )
    return done.rowcount


async def _sellers_on_credit(session: Session, merchant_ids: Iterable[str]) -> set[str]:
    """Those of the merchants that have ever agreed to wait for the money themselves: hardly any."""
    rows = await session.execute(
        text("""SELECT merchant_id FROM receipt_profiles
                 WHERE merchant_id = ANY(CAST(:ids AS text[])) AND profile = 'seller_credit'"""),
        {"ids": sorted(merchant_ids)},
    )
    return {row.merchant_id for row in rows}


async def fetch_receipts(session: Session, merchant_id: str, *, now: datetime) -> list[ReceiptIntent]:
    """What the merchant's till is to print now, oldest first; the same again until it says what it did.

    Receipts that the operator makes on the merchant's behalf are not among them. Locks: the intents.
    """
    return await _fetch(session, "merchant_id = :merchant_id AND profile <> 'operator_on_behalf'", {
        "merchant_id": merchant_id,
    }, now)  # fmt: skip


async def fetch_of_operator(session: Session, *, now: datetime) -> list[ReceiptIntent]:
    """What our own till is to print on behalf of merchants. Locks: the intents."""
    return await _fetch(session, "profile = 'operator_on_behalf'", {}, now)


async def receipt_issued(
    session: Session, receipt_id: str, signs: ReceiptSigns, *, merchant_id: str | None, now: datetime
) -> bool:
    """The till printed it. Said again with the same signs, nothing changes; gives whether it is news.

    Raises: ReceiptNotFound, ReceiptNotFetched, ReceiptDiffers. Locks: the intent.
    """
    kept = await _lock(session, receipt_id, merchant_id)
    told = (signs.fiscal_drive, signs.fiscal_document, signs.fiscal_sign)
    if kept.state == "issued":
        if (kept.fiscal_drive, kept.fiscal_document, kept.fiscal_sign) != told:
            raise ReceiptDiffers(receipt_id=receipt_id)
        return False
    await session.execute(
        text("""UPDATE receipt_intents SET state = 'issued', fiscal_drive = :drive, fiscal_document = :document,
                       fiscal_sign = :sign, refusal = NULL, ended_at = :now WHERE id = :id"""),
        {"id": receipt_id, "drive": told[0], "document": told[1], "sign": told[2], "now": now},
    )
    return True


async def receipt_refused(
    session: Session, receipt_id: str, reason: str, *, merchant_id: str | None, now: datetime
) -> None:
    """The till would not: a person looks. It may still be issued later. Raises: as ``receipt_issued``."""
    kept = await _lock(session, receipt_id, merchant_id)
    if kept.state == "issued":
        raise ReceiptDiffers(receipt_id=receipt_id)
    await session.execute(
        text("UPDATE receipt_intents SET state = 'refused', refusal = :reason, ended_at = :now WHERE id = :id"),
        {"id": receipt_id, "reason": reason, "now": now},
    )


def tags_of(intent: ReceiptIntent) -> dict[str, Any]:
    """The receipt for a till, by tags of fiscal documents. Sums in kopecks."""
    return {
        "1054": 2 if intent.is_return else 1,
        "1214": int(intent.sums.method),
        "1020": int(intent.sums.total),
        "1081": int(intent.sums.paid),
        "1215": int(intent.sums.offset),
        "1216": int(intent.sums.credit),
        "items": list(intent.items),
    }


async def _profile(session: Session, plan: Plan) -> ReceiptProfile:
    assert plan.contract_on is not None
    agreed = await profile_on(session, plan.merchant_id, plan.contract_on)
    if agreed is ReceiptProfile.SELLER_CREDIT:
        return agreed
    said = await session.scalar(
        text("SELECT profile FROM plan_receipt_profiles WHERE plan_id = :id ORDER BY said_at DESC LIMIT 1"),
        {"id": plan.id},
    )
    return agreed if said is None else ReceiptProfile(said)


async def _want(
    session: Session, plan: Plan, profile: ReceiptProfile, stage: ReceiptStage, cause: str, sums: ReceiptSums,
    items: Sequence[Item], now: datetime,
) -> None:  # fmt: skip
    await session.execute(
        text("""INSERT INTO receipt_intents (id, plan_id, merchant_id, profile, stage, cause, is_return, method_tag,
                       amount_kopecks, paid_kopecks, offset_kopecks, credit_kopecks, items, created_at)
                VALUES (:id, :plan_id, :merchant_id, :profile, :stage, :cause, :is_return, :method, :total, :paid,
                        :offset, :credit, CAST(:items AS jsonb), :now) ON CONFLICT DO NOTHING"""),
        {
            "id": new_id("rcp", now), "plan_id": plan.id, "merchant_id": plan.merchant_id, "profile": profile.value,
            "stage": stage.value, "cause": cause, "is_return": stage is ReceiptStage.REFUND,
            "method": int(sums.method), "total": int(sums.total), "paid": int(sums.paid),
            "offset": int(sums.offset), "credit": int(sums.credit), "now": now,
            "items": json.dumps(items_as_json(items), ensure_ascii=False),
        },
    )  # fmt: skip


async def _fetch(session: Session, condition: str, arguments: dict[str, Any], now: datetime) -> list[ReceiptIntent]:
    rows = await session.execute(
        text(f"""WITH next AS (
                     SELECT id FROM receipt_intents WHERE state IN ('wanted', 'fetched') AND {condition}
                      ORDER BY id LIMIT :limit FOR UPDATE
                 ), taken AS (
                     UPDATE receipt_intents AS r SET state = 'fetched', fetched_at = coalesce(r.fetched_at, :now)
                       FROM next WHERE r.id = next.id RETURNING r.*
                 ) SELECT * FROM taken ORDER BY id"""),  # noqa: S608  # our own conditions
        arguments | {"limit": FETCH_MAX, "now": now},
    )
    return [_intent(row) for row in rows]


async def _lock(session: Session, receipt_id: str, merchant_id: str | None) -> Any:
    rows = await session.execute(
        text("""SELECT * FROM receipt_intents
                 WHERE id = :id AND (CAST(:merchant_id AS text) IS NULL
                                     OR merchant_id = :merchant_id AND profile <> 'operator_on_behalf') FOR UPDATE"""),
        {"id": receipt_id, "merchant_id": merchant_id},
    )
    kept = rows.first()
    if kept is None:
        raise ReceiptNotFound(receipt_id=receipt_id)
    if kept.state == "wanted":
        raise ReceiptNotFetched(receipt_id=receipt_id)
    return kept


def _intent(row: Any) -> ReceiptIntent:
    sums = ReceiptSums(
        ReceiptMethod(row.method_tag), Kopecks(row.paid_kopecks), Kopecks(row.offset_kopecks),
        Kopecks(row.credit_kopecks),
    )  # fmt: skip
    return ReceiptIntent(
        row.id, row.plan_id, row.merchant_id, ReceiptProfile(row.profile), ReceiptStage(row.stage), row.is_return, sums,
        row.items, row.state,
    )  # fmt: skip
