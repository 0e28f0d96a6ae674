"""Documents put together: of a plan, its parties, its schedule and movements. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from installments.documents.document import (
    DocumentLanguage,
    DocumentSection,
    DocumentTable,
    PlanDocument,
    PlanDocumentKind,
)
from installments.documents.texts import text_on
from installments.documents.wording import (
    MOVEMENTS,
    REFUNDS,
    STANDINGS,
    day,
    label,
    money,
    percent,
    periodicity,
    said,
)
from installments.movements import Movement, MovementKind
from installments.penalties import DIVISOR, day_weights
from installments.plan import Plan
from installments.products import Product
from installments.schedule import Installment
from installments.state import Allocation, InstallmentState, PlanState
from ledger.clock import moscow_day
from ledger.money import Kopecks

EXAMPLE_AMOUNT, EXAMPLE_FIRST_ON, EXAMPLE_LAST_ON = 1_000_00, date(2027, 1, 1), date(2027, 1, 11)
"""The worked example of the penalty: 1 000 roubles for ten days of a common year."""


@dataclass(frozen=True, slots=True)
class PlanParties:
    """Who a plan is between, besides the buyer."""

    operator_name: str
    operator_inn: str
    register_number: str | None
    merchant_name: str
    merchant_inn: str


def terms_document(
    plan: Plan, product: Product, parties: PlanParties, schedule: Sequence[Installment], kind: PlanDocumentKind,
    language: DocumentLanguage,
) -> PlanDocument:  # fmt: skip
    """The pre-contract pack or the agreement: parties, schedule, basket and the whole text."""
    contract_on = schedule[0].due_on
    text = text_on(kind, language, contract_on)
    sections = (
        _schedule_section(schedule, language),
        _basket_section(plan, language),
        *text.filled(_places(plan, product, parties, schedule, language)),
    )
    data = {
        "plan_id": plan.id, "contract_on": contract_on.isoformat(), "price_kopecks": int(plan.price),
        "schedule": [{"due_on": part.due_on.isoformat(), "amount_kopecks": int(part.amount)} for part in schedule],
        "penalty_basis_points": product.penalty_basis_points, "penalty_grace_days": product.penalty_grace_days,
    }  # fmt: skip
    facts = (*_head(plan, parties, contract_on, language), (label("price", language), money(plan.price, language)))
    return PlanDocument(plan.id, kind, language, text.version, text.title, facts, sections, data)


def schedule_document(
    plan: Plan, parties: PlanParties, state: Sequence[InstallmentState], language: DocumentLanguage
) -> PlanDocument:
    """The schedule as it stands: what each installment is now and what of it is paid."""
    assert plan.contract_on is not None
    text = text_on(PlanDocumentKind.SCHEDULE, language, plan.contract_on)
    outstanding = sum(int(part.unpaid) for part in state)
    facts = (
        *_head(plan, parties, plan.contract_on, language),
        (label("outstanding", language), money(outstanding, language)),
    )
    sections = (_state_section(state, language), *text.filled({}))
    data = {"plan_id": plan.id, "outstanding_kopecks": outstanding, "schedule": _state_data(state)}
    return PlanDocument(
        plan.id, PlanDocumentKind.SCHEDULE, language, text.version, text.title, facts, sections, data
    )  # fmt: skip


def statement_document(
    plan: Plan, parties: PlanParties, movements: Sequence[Movement], state: PlanState, language: DocumentLanguage
) -> PlanDocument:
    """The buyer's statement: every movement up to its day and what it did, the balances, the schedule."""
    assert plan.contract_on is not None
    text = text_on(PlanDocumentKind.STATEMENT, language, plan.contract_on)
    known = sorted((m for m in movements if moscow_day(m.happened_at) <= state.on), key=lambda m: m.order_key)
    facts = (
        *_head(plan, parties, plan.contract_on, language),
        (label("on", language), day(state.on, language)),
        (label("standing", language), said(STANDINGS[state.standing], language)),
    )
    sections = (
        _movements_section(known, state, language),
        _balances_section(plan, state, language),
        _state_section(state.installments, language),
        *text.filled({}),
    )
    return PlanDocument(
        plan.id, PlanDocumentKind.STATEMENT, language, text.version, text.title, facts, sections,
        _statement_data(plan, known, state),
    )  # fmt: skip


def penalty_example(basis_points: int) -> Kopecks:
    """The penalty of the worked example, by the same days and rounding as any."""
    return Kopecks(EXAMPLE_AMOUNT * day_weights(EXAMPLE_FIRST_ON, EXAMPLE_LAST_ON) * basis_points // DIVISOR)


def _head(plan: Plan, parties: PlanParties, contract_on: date, language: DocumentLanguage) -> list[tuple[str, str]]:
    head = [
        ("plan", plan.id),
        ("contract_on", day(contract_on, language)),
        ("operator", parties.operator_name),
        ("merchant", parties.merchant_name),
        ("order", plan.order_number),
    ]
    if plan.buyer_id is not None:
        head.append(("buyer", plan.buyer_id))
    return [(label(name, language), value) for name, value in head]


def _places(
    plan: Plan, product: Product, parties: PlanParties, schedule: Sequence[Installment], language: DocumentLanguage
) -> dict[str, Any]:
    """What the text says of this plan."""
    return {
        "operator": parties.operator_name,
        "operator_inn": parties.operator_inn,
        "register_number": parties.register_number,
        "merchant": parties.merchant_name,
        "merchant_inn": parties.merchant_inn,
        "order_number": plan.order_number,
        "price": money(plan.price, language),
        "installments": len(schedule),
        "first_due_on": day(schedule[0].due_on, language),
        "last_due_on": day(schedule[-1].due_on, language),
        "periodicity": periodicity(product, language),
        "penalty_percent": percent(product.penalty_basis_points),
        "grace_days": product.penalty_grace_days,
        "example_amount": money(EXAMPLE_AMOUNT, language),
        "example_days": (EXAMPLE_LAST_ON - EXAMPLE_FIRST_ON).days,
        "example_penalty": money(penalty_example(product.penalty_basis_points), language),
        "refund_policy": said(REFUNDS[product.refund_policy], language),
    }


def _schedule_section(schedule: Sequence[Installment], language: DocumentLanguage) -> DocumentSection:
    table = DocumentTable(
        _columns(language, "number", "due_on", "amount"),
        tuple((str(part.number), day(part.due_on, language), money(part.amount, language)) for part in schedule),
        (label("total", language), "", money(sum(int(part.amount) for part in schedule), language)),
    )
    return DocumentSection(label("schedule", language), (), table)


def _basket_section(plan: Plan, language: DocumentLanguage) -> DocumentSection:
    rows = tuple((item.name, item.quantity.replace(".", "," if language == "ru" else "."), money(item.price, language))
                 for item in plan.items)  # fmt: skip
    total = int(plan.price) + int(plan.prepaid)
    notes = (f"{label('prepaid', language)}: {money(plan.prepaid, language)}",) if plan.prepaid else ()
    table = DocumentTable(
        _columns(language, "item", "quantity", "unit_price"),
        rows,
        (label("total", language), "", money(total, language)),
    )
    return DocumentSection(label("basket", language), notes, table)


def _state_section(state: Sequence[InstallmentState], language: DocumentLanguage) -> DocumentSection:
    rows = tuple(
        (str(part.number), day(part.due_on, language), *(money(sum_, language) for sum_ in _sums(part)))
        for part in state
        if part.amount > 0
    )
    totals = (sum(int(part.amount) for part in state), sum(int(part.paid) for part in state))
    table = DocumentTable(
        _columns(language, "number", "due_on", "amount", "paid", "unpaid"), rows,
        (label("total", language), "", *(money(sum_, language) for sum_ in (*totals, totals[0] - totals[1]))),
    )  # fmt: skip
    return DocumentSection(label("schedule", language), (), table)


def _movements_section(movements: Sequence[Movement], state: PlanState, language: DocumentLanguage) -> DocumentSection:
    done = {allocation.movement_id: allocation for allocation in state.allocations}
    rows = tuple(_movement_row(movement, done.get(movement.id), language) for movement in movements)
    columns = _columns(language, "happened_on", "movement", "amount", "debt", "penalty", "overpaid")
    return DocumentSection(label("movements", language), (), DocumentTable(columns, rows))


def _movement_row(movement: Movement, done: Allocation | None, language: DocumentLanguage) -> tuple[str, ...]:
    name = said(MOVEMENTS[movement.kind], language)
    if done is None and movement.kind is not MovementKind.UNDO:
        name = f"{name} ({label('undone', language)})"
    effects = (
        ("", "", "") if done is None else
        tuple(money(amount, language) if amount else "" for amount in (_principal(done), done.penalty, done.overpaid))
    )  # fmt: skip
    amount = money(movement.amount, language) if movement.amount else ""
    return (day(moscow_day(movement.happened_at), language), name, amount, *effects)


def _balances_section(plan: Plan, state: PlanState, language: DocumentLanguage) -> DocumentSection:
    lines = [
        ("price", plan.price), ("refunded", state.refunded), ("outstanding", state.outstanding),
        ("penalty_accrued", state.penalty_accrued), ("penalty_waived", state.penalty_waived),
        ("penalty_paid", state.penalty_paid), ("penalty_due", state.penalty), ("overpaid_due", state.overpaid),
    ]  # fmt: skip
    always = ("price", "outstanding", "penalty_due")
    rows = tuple((label(name, language), money(sum_, language)) for name, sum_ in lines if sum_ or name in always)
    table = DocumentTable(("", label("amount", language)), rows)
    return DocumentSection(label("balances", language), (), table)


def _statement_data(plan: Plan, movements: Sequence[Movement], state: PlanState) -> dict[str, Any]:
    done = {allocation.movement_id: allocation for allocation in state.allocations}
    return {
        "plan_id": plan.id,
        "on": state.on.isoformat(),
        "standing": state.standing.value,
        "price_kopecks": int(plan.price),
        "refunded_kopecks": int(state.refunded),
        "outstanding_kopecks": int(state.outstanding),
        "penalty_kopecks": int(state.penalty),
        "penalty_accrued_kopecks": int(state.penalty_accrued),
        "penalty_waived_kopecks": int(state.penalty_waived),
        "penalty_paid_kopecks": int(state.penalty_paid),
        "overpaid_kopecks": int(state.overpaid),
        "movements": [_movement_data(movement, done.get(movement.id)) for movement in movements],
        "schedule": _state_data(state.installments),
    }


def _movement_data(movement: Movement, done: Allocation | None) -> dict[str, Any]:
    return {
        "id": movement.id,
        "kind": movement.kind.value,
        "happened_at": movement.happened_at.isoformat(),
        "amount_kopecks": int(movement.amount),
        "principal_kopecks": None if done is None else _principal(done),
        "penalty_kopecks": None if done is None else int(done.penalty),
        "overpaid_kopecks": None if done is None else int(done.overpaid),
    }


def _state_data(state: Sequence[InstallmentState]) -> list[dict[str, Any]]:
    return [
        {"number": part.number, "due_on": part.due_on.isoformat(), "amount_kopecks": int(part.amount),
         "paid_kopecks": int(part.paid)}
        for part in state
    ]  # fmt: skip


def _principal(done: Allocation) -> int:
    return sum(int(amount) for _, amount in done.principal)


def _sums(part: InstallmentState) -> tuple[int, int, int]:
    return int(part.amount), int(part.paid), int(part.unpaid)


def _columns(language: DocumentLanguage, *names: str) -> tuple[str, ...]:
    return tuple(label(name, language) for name in names)
