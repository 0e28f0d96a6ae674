"""Plans that owe, and a collector that answers as a script says, for the tests of collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from checkout import repository as till_rows
from checkout.bank_details import BankAccount, account_with_key
from checkout.merchants import Merchant
from installments import repository as rows
from installments.charges import Charge, ChargeOutcome, ChargeStatus
from installments.clearing import clearing_terms
from installments.collecting import AskedCharge, Collectors, WantedCharge
from installments.movements import Movement, MovementKind
from installments.opening import PlanRequest, open_plan
from installments.plan import CollectorName, Item, Plan, PlanStatus, Standing
from installments.products import MerchantTerms
from installments.recording import open_debt, record
from installments.telling import BY_ITSELF
from ledger import accounts, chart, journal
from ledger.accounts import AccountTerms
from ledger.clock import MOSCOW
from ledger.database import Session, text
from ledger.entry import Entry, Posting
from ledger.ids import new_id
from ledger.money import Kopecks

CONTRACT_ON = date(2026, 11, 22)
FUNDED = Kopecks(90_000_000_00)
"""In the clearing from the start: a scripted collector captures without a rail that books."""
FORTNIGHT = timedelta(days=14)


def at(on: date, hour: int = 12, minute: int = 0) -> datetime:
    """An instant by Moscow's clock."""
    return datetime.combine(on, time(hour, minute), MOSCOW).astimezone(UTC)


NOW = at(CONTRACT_ON)


@dataclass
class Scripted:
    """A collector whose outside is a script: the answers to come, by plan; captured when nothing is said."""

    script: dict[str, list[ChargeOutcome]] = field(default_factory=dict)
    asked: list[Charge] = field(default_factory=list)
    answers: dict[str, ChargeOutcome] = field(default_factory=dict)
    """The last answer about each charge."""

    def say(self, plan_id: str, *statuses: ChargeStatus, reason: str = "not_enough_money", soft: bool = True) -> None:
        self.script.setdefault(plan_id, []).extend(
            ChargeOutcome("", status, reason=reason, may_try_again=soft) for status in statuses
        )

    async def request(self, session: Session, wanted: Sequence[WantedCharge], *, now: datetime) -> list[AskedCharge]:
        del session
        return [AskedCharge(one.charge, new_id("cpy", now)) for one in wanted]

    async def ask(self, asked: Sequence[AskedCharge]) -> list[ChargeOutcome]:
        self.asked += [one.charge for one in asked]
        return [self._answer(one.charge) for one in asked]

    async def look(self, session: Session, charges: Sequence[Charge], *, now: datetime) -> list[ChargeOutcome]:
        del session, now
        return [self._answer(charge) for charge in charges]

    def _answer(self, charge: Charge) -> ChargeOutcome:
        script = self.script.get(charge.plan_id)
        said = script.pop(0) if script else ChargeOutcome("", ChargeStatus.CAPTURED)
        amount = charge.amount if said.status is ChargeStatus.CAPTURED else Kopecks(0)
        self.answers[charge.id] = replace(said, charge_id=charge.id, amount=amount)
        return self.answers[charge.id]

    @property
    def all(self) -> Collectors:
        return {CollectorName.CARD: self, CollectorName.SBP: self}


async def make_house(session: Session) -> str:
    """A shop, the operator with money in its clearing, and the shop's terms. Gives the shop's id."""
    shop_id, operator_id = [await _merchant(session, name) for name in ("Лавка", "Оператор")]
    await rows.choose_operator(session, operator_id)
    for terms in (*clearing_terms(operator_id), AccountTerms(chart.card_settlement("1"))):
        await accounts.open_account(session, terms, now=NOW)
    funding = Posting(chart.card_settlement("1"), chart.card_payable(operator_id), FUNDED)
    await journal.post(session, Entry("funding", "card.payment", NOW, (funding,)), now=NOW)
    await make_terms(session, shop_id)
    await session.execute(text("INSERT INTO operator_licences VALUES ('2020-01-01', 'N-1', true, 1000000000)"))
    return shop_id


async def make_terms(session: Session, shop_id: str) -> None:
    """Let a shop sell by installments."""
    terms = MerchantTerms(shop_id, "dolyame", date(2020, 1, 1), 690, None, None)
    await rows.add_merchant_terms(session, terms)


async def _merchant(session: Session, name: str) -> str:
    account = account_with_key(BankAccount("044525225", "40702810000000000001"))
    merchant = Merchant(
        id=new_id("mer", NOW), name=name, legal_name=f"ООО «{name}»", inn="7707083893", bank_account=account,
        tariff_group="everyday", created_at=NOW, ogrn=None,
    )  # fmt: skip
    await till_rows.add_merchant(session, merchant)
    return merchant.id


async def make_buyer(session: Session, number: int = 1) -> str:
    buyer_id = new_id("byr", NOW)
    await session.execute(
        text("INSERT INTO buyers (id, phone, created_at) VALUES (:id, :phone, :now)"),
        {"id": buyer_id, "phone": f"+7916{number:07}", "now": NOW},
    )
    return buyer_id


async def make_plan(
    session: Session, shop_id: str, buyer_id: str, *, number: int = 1, price: int = 4_000_00,
    contract_on: date = CONTRACT_ON, collector: CollectorName = CollectorName.CARD,
    card_token: str = "tok_0000000000000000000000001", first_payment_id: str | None = None,
) -> Plan:  # fmt: skip
    """A plan whose first installment is paid."""
    now = at(contract_on)
    request = PlanRequest(
        merchant_id=shop_id, order_number=f"A-{number}", product_code="dolyame", price=Kopecks(price),
        prepaid=Kopecks(0), items=(Item("Чайник", "1", Kopecks(price)),),
    )  # fmt: skip
    plan = await open_plan(session, request, plan_id=new_id("pln", now), by=BY_ITSELF, now=now)
    plan = replace(
        plan, status=PlanStatus.COMPLETED, buyer_id=buyer_id, contract_on=contract_on, collector=collector,
        card_token=card_token, fee_basis_points=690, expires_at=None, committed_at=now, standing=Standing.CURRENT,
        first_payment_id=first_payment_id,
    )  # fmt: skip
    plan = await open_debt(session, plan, now=now)
    await rows.save_plan(session, plan)
    first = Movement(
        new_id("mov", now),
        plan.id,
        MovementKind.DOWN_PAYMENT,
        Kopecks(price // 4),
        now,
        first_payment_id or f"first:{plan.id}",
    )
    plan, _ = await record(session, plan.id, first, now=now)
    return plan


async def due_amounts(session: Session, plan_id: str) -> Mapping[int, int]:
    """What is unpaid, by installment."""
    found = await session.execute(
        text("SELECT number, amount_kopecks - paid_kopecks AS unpaid FROM installments WHERE plan_id = :id"),
        {"id": plan_id},
    )
    return {row.number: row.unpaid for row in found}
