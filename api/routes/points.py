"""Points (баллы): merchants' programmes, their rules by day, a rule tried on past baskets, and what cards have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.till_callers import till_actor as actor_of
from api.wire import Body, Day, Instant, Text, View, Whole
from checkout import points, points_programmes, points_rows
from checkout.errors import MerchantNotFound
from checkout.loyalty_cards import load_card
from checkout.points import PointsBalance
from checkout.points_programmes import ProgrammeLiability
from checkout.points_rows import Lot
from checkout.points_rules import (
    DELAY_DAYS_MAX,
    EARN_FROM_MAX,
    EXCLUDED_MAX,
    LOT_DAYS_MAX,
    POINT_KOPECKS_MAX,
    POINTS_MAX,
    THRESHOLDS_MAX,
    Programme,
    Rule,
)
from checkout.points_simulation import Day as PastDay
from checkout.points_simulation import Simulation, simulate_on_past
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from ledger.money import BASIS_POINTS

router = door_router("/v1", "points")

CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("points:write")]
Share = Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]
Count = Annotated[int, Field(strict=True, ge=1, le=POINTS_MAX)]


class RuleTermsBody(Body):
    """How points are earned and spent."""

    earn_basis_points: Annotated[Share, Field(examples=[500])]
    """Of the money that the rail brings for goods that take part."""
    line_basis_points: Share = 5_000
    """How much of one line may be paid by points."""
    basket_basis_points: Share = 5_000
    """How much of the whole basket may be."""
    earn_from_kopecks: Annotated[int, Field(strict=True, ge=0, le=EARN_FROM_MAX)] = 0
    """A smaller payment earns nothing."""
    lot_days: Annotated[int, Field(strict=True, ge=1, le=LOT_DAYS_MAX)] = 365
    """How long earned points live."""
    delay_days: Annotated[int, Field(strict=True, ge=0, le=DELAY_DAYS_MAX)] = 0
    """How long they cannot be spent yet."""
    return_days: Annotated[int, Field(strict=True, ge=1, le=LOT_DAYS_MAX)] = 30
    """How long points live at least that come back by a refund."""
    excluded_articles: Annotated[
        list[Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[!-~]([ -~]*[!-~])?$")]],
        Field(max_length=EXCLUDED_MAX, default_factory=list),
    ]
    """Goods that neither earn points nor are paid by them."""

    def rule(self, rule_id: str, programme: Programme, valid_from_on: date) -> Rule:
        """The rule of these terms."""
        terms = self.model_dump(include=set(RuleTermsBody.model_fields) - {"excluded_articles"})
        return Rule(
            id=rule_id, programme=programme.code, valid_from_on=valid_from_on, point_kopecks=programme.point_kopecks,
            excluded_articles=frozenset(self.excluded_articles), **terms,
        )  # fmt: skip


class RuleBody(RuleTermsBody):
    """A rule to be published for a day that has not begun. Rules are never rewritten."""

    valid_from_on: Day


class SimulationBody(RuleTermsBody):
    """A rule to be tried on past baskets. Nothing is written and nobody is promised anything."""

    first_on: Day
    last_on: Day


class ProgrammeBody(Body):
    """A programme of points to be opened."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Whose it is; a key of one merchant need not say."""
    code: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["kofeinya"])]
    """What loyalty cards name as their programme; in the books the unit is ``PTS:<code>``."""
    name: Annotated[Text, Field(max_length=100, examples=["Зёрна"])]
    point_kopecks: Annotated[int, Field(strict=True, ge=1, le=POINT_KOPECKS_MAX, examples=[100])] = 100
    """What one point pays. It never changes."""
    thresholds: Annotated[list[Count], Field(max_length=THRESHOLDS_MAX, examples=[[600]], default_factory=list)]
    """Balances that raise ``points.threshold_reached`` when an accrual reaches them."""
    rule: RuleTermsBody
    """How points are earned and spent from today on."""


class GrantBody(Body):
    """Points given by hand."""

    points: Count
    reason: Annotated[Text, Field(max_length=140, examples=["За ожидание"])]


class RuleView(View):
    """How points are earned and spent from a Moscow day on."""

    id: str
    valid_from_on: Day
    earn_basis_points: int
    line_basis_points: int
    basket_basis_points: int
    earn_from_kopecks: int
    lot_days: int
    delay_days: int
    return_days: int
    excluded_articles: list[str]

    @classmethod
    def of(cls, rule: Rule) -> RuleView:
        """The rule as it is shown."""
        shown = {name: getattr(rule, name) for name in cls.model_fields}
        return cls(**shown | {"excluded_articles": sorted(rule.excluded_articles)})


class ProgrammeView(View):
    """A programme and what it has promised."""

    code: str
    merchant_id: str
    name: str
    point_kopecks: int
    thresholds: list[int]
    created_at: Instant
    points_issued: Whole
    """Points that are out."""
    liability_kopecks: Whole
    """What they are worth."""

    @classmethod
    def of(cls, programme: Programme, liability: ProgrammeLiability) -> ProgrammeView:
        """The programme as it is shown."""
        return cls(
            code=programme.code, merchant_id=programme.merchant_id, name=programme.name,
            point_kopecks=programme.point_kopecks, thresholds=list(programme.thresholds),
            created_at=programme.created_at, points_issued=liability.points,
            liability_kopecks=liability.amount_kopecks,
        )  # fmt: skip


class PastDayView(View):
    """Past baskets as they were, and as they would have been."""

    orders: int
    amount_kopecks: Whole
    accrued: Whole
    accrued_then: Whole
    spent: Whole
    spendable_then: Whole
    above_cap_then: int
    """Orders whose points the rule would have refused."""

    @classmethod
    def of(cls, day: PastDay) -> PastDayView:
        """The sums as they are shown."""
        return cls(**asdict(day))


class SimulatedDayView(PastDayView):
    """One Moscow day of a simulation."""

    on: Day


class SimulationView(View):
    """A rule tried on past baskets."""

    total: PastDayView
    days: list[SimulatedDayView]
    liability_change_kopecks: int
    """How much more the merchant would have promised, or less."""
    is_whole: bool
    """False when there were more baskets than one simulation reads."""

    @classmethod
    def of(cls, tried: Simulation) -> SimulationView:
        """The simulation as it is shown."""
        days = [SimulatedDayView(on=on, **asdict(day)) for on, day in tried.days.items()]
        return cls(
            total=PastDayView.of(tried.total), days=days, liability_change_kopecks=tried.liability_change_kopecks,
            is_whole=tried.is_whole,
        )  # fmt: skip


class LotView(View):
    """Points that came together and expire together."""

    id: str
    reason: str
    order_id: str | None
    points: int
    points_left: int
    earned_at: Instant
    spendable_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, lot: Lot) -> LotView:
        """The lot as it is shown."""
        return cls(**asdict(lot))


class CardPointsView(View):
    """A card's points."""

    loyalty_card_id: str
    posted: Whole
    """All of them."""
    pending: Whole
    """Of them, what cannot be spent yet."""
    reserved: Whole
    """Of them, what waits for an order to be paid."""
    available: Whole
    """Of them, what can be spent now."""
    lots: list[LotView]
    """Those that expire first, first; 200 at most."""

    @classmethod
    def of(cls, card_id: str, balance: PointsBalance, lots: Sequence[Lot]) -> CardPointsView:
        """The points as they are shown."""
        return cls(loyalty_card_id=card_id, lots=[LotView.of(lot) for lot in lots], **asdict(balance))


@router.post("/points-programmes", status_code=201, response_model=ProgrammeView)
async def create_points_programme(body: ProgrammeBody, call: CanWrite) -> Response:
    """Open a merchant's programme of points. Its code is taken once in the whole house."""

    async def work(session: Session, claim: Claim) -> ProgrammeView:
        merchant_id = body.merchant_id or call.caller.merchant_id
        if merchant_id is None or not call.caller.sees(merchant_id):
            raise MerchantNotFound(merchant_id=merchant_id)
        programme = Programme(
            body.code, merchant_id, body.name, body.point_kopecks, tuple(sorted(set(body.thresholds))), call.now
        )
        rule = body.rule.rule(claim.resource_id, programme, moscow_day(call.now))
        await points_programmes.open_programme(session, programme, rule, by=actor_of(call), now=call.now)
        return ProgrammeView.of(programme, ProgrammeLiability(0, 0))

    return await once(call, work, prefix="prl")


@router.get("/points-programmes")
async def list_points_programmes(call: CanRead) -> list[ProgrammeView]:
    """Programmes with what they have promised; a merchant's key sees its own."""
    async with transaction(call.engine) as session:
        found = await points_rows.list_programmes(session, merchant_id=call.caller.merchant_id)
        return [ProgrammeView.of(each, await points_programmes.liability_of(session, each)) for each in found]


@router.get("/points-programmes/{code}/rules")
async def list_points_rules(code: str, call: CanRead) -> list[RuleView]:
    """All rules of a programme, the newest day first; days to come are among them."""
    async with transaction(call.engine) as session:
        programme = await points_rows.load_programme(session, code, merchant_id=call.caller.merchant_id)
        return [RuleView.of(rule) for rule in await points_rows.list_rules(session, [programme.code])]


@router.post("/points-programmes/{code}/rules", status_code=201, response_model=RuleView)
async def publish_points_rule(code: str, body: RuleBody, call: CanWrite) -> Response:
    """Publish a rule for a day that has not begun."""

    async def work(session: Session, claim: Claim) -> RuleView:
        programme = await points_rows.load_programme(session, code, merchant_id=call.caller.merchant_id)
        rule = body.rule(claim.resource_id, programme, body.valid_from_on)
        await points_programmes.publish_rule(session, programme, rule, by=actor_of(call), now=call.now)
        return RuleView.of(rule)

    return await once(call, work, prefix="prl")


@router.post("/points-programmes/{code}/simulations", status_code=200, response_model=SimulationView)
async def simulate_points_rule(code: str, body: SimulationBody, call: CanRead) -> Response:
    """Try a rule on the programme's paid baskets of some Moscow days. Nothing is written."""

    async def work(session: Session, claim: Claim) -> SimulationView:
        programme = await points_rows.load_programme(session, code, merchant_id=call.caller.merchant_id)
        rule = body.rule(claim.resource_id, programme, body.first_on)
        return SimulationView.of(await simulate_on_past(session, programme, rule, body.first_on, body.last_on))

    return await once(call, work, status=200, prefix="sim")


@router.get("/loyalty-cards/{card_id}/points")
async def read_card_points(card_id: str, call: CanRead) -> CardPointsView:
    """What a card has, and when it expires."""
    async with transaction(call.engine) as session:
        card = await load_card(session, card_id, merchant_id=call.caller.merchant_id)
        balance = await points.balance(session, card.id, now=call.now)
        return CardPointsView.of(card.id, balance, await points_rows.lots_of(session, card.id))


@router.post("/loyalty-cards/{card_id}/points", status_code=201, response_model=CardPointsView)
async def grant_points(card_id: str, body: GrantBody, call: CanWrite) -> Response:
    """Give a card points that no order earned: a welcome, an apology."""

    async def work(session: Session, claim: Claim) -> CardPointsView:
        card = await load_card(session, card_id, merchant_id=call.caller.merchant_id)
        balance = await points.grant(
            session, card.id, body.points, claim.resource_id, reason=body.reason, by=actor_of(call), now=call.now
        )
        return CardPointsView.of(card.id, balance, await points_rows.lots_of(session, card.id))

    return await once(call, work, prefix="pgr")
