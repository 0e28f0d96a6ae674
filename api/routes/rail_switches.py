"""Rails that are off (отключённые способы оплаты), and the rules by which another is offered instead."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import ScopeMissing
from api.idempotency import Claim, once
from api.till_callers import till_actor
from api.wire import Body, Flag, Instant, Text, View
from checkout import rail_switches
from checkout.errors import MerchantNotFound
from checkout.rail_switches import FailoverRule, RailSwitch
from ledger.database import Session, transaction

router = door_router("/v1/rails", "premises")

CanSwitch = Annotated[Call, needs("admin")]
CanManage = Annotated[Call, needs("tills:manage")]
CanRead = Annotated[Call, needs("orders:read")]
RailName = Annotated[str, Field(strict=True, max_length=32, examples=["dolyame"])]


class RailSwitchBody(Body):
    """A rail, or one of its providers, to be off or on for everybody."""

    rail: RailName
    provider: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9_-]{1,40}$", examples=["nspk_cash_link"])] | None = (
        None
    )
    is_on: Flag
    reason: Annotated[Text, Field(max_length=300, examples=["Провайдер ушёл с рынка"])]


class RailSwitchView(View):
    """How a rail or a provider stands."""

    id: str
    rail: str
    provider: str | None
    is_on: bool
    reason: str
    switched_at: Instant

    @classmethod
    def of(cls, switch: RailSwitch) -> RailSwitchView:
        """The switch as it is shown."""
        return cls(
            id=switch.id, rail=switch.rail, provider=switch.provider, is_on=switch.is_on, reason=switch.reason,
            switched_at=switch.switched_at,
        )  # fmt: skip


class RailSwitchesView(View):
    """Every rail and provider that was ever switched, as it stands now. What is not here is on."""

    items: list[RailSwitchView]


class FailoverRuleBody(Body):
    """What is offered instead of a rail that is off."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Of one merchant; a key that sees all merchants and names none speaks for the house."""
    rail: RailName
    next_rail: Annotated[str, Field(strict=True, max_length=32, examples=["sbp"])] | None
    """null: nothing is offered instead."""


class FailoverRuleView(View):
    """A rule that holds now."""

    id: str
    merchant_id: str | None
    rail: str
    next_rail: str | None
    created_at: Instant

    @classmethod
    def of(cls, rule: FailoverRule) -> FailoverRuleView:
        """The rule as it is shown."""
        return cls(
            id=rule.id, merchant_id=rule.merchant_id, rail=rule.rail, next_rail=rule.next_rail,
            created_at=rule.created_at,
        )  # fmt: skip


class FailoverRulesView(View):
    """The rules that hold now; a merchant's own goes before the house's."""

    items: list[FailoverRuleView]


@router.post("/switches", status_code=201, response_model=RailSwitchView)
async def create_rail_switch(body: RailSwitchBody, call: CanSwitch) -> Response:
    """Switch a rail off or on. Within a second no till begins a payment by it; what was begun goes on."""
    if call.caller.merchant_id is not None:
        raise ScopeMissing(scope="admin")

    async def work(session: Session, claim: Claim) -> RailSwitchView:
        switch = await rail_switches.switch_rail(
            session, claim.resource_id, rail=body.rail, provider=body.provider, is_on=body.is_on, reason=body.reason,
            by=till_actor(call), now=call.now,
        )  # fmt: skip
        return RailSwitchView.of(switch)

    answer = await once(call, work, prefix="rsw")
    call.door.wiring.rails.forget()
    return answer


@router.get("/switches")
async def list_rail_switches(call: CanRead) -> RailSwitchesView:
    """How rails and providers stand."""
    async with transaction(call.engine) as session:
        found = await rail_switches.newest_switches(session)
    return RailSwitchesView(items=[RailSwitchView.of(switch) for switch in found])


@router.post("/failover-rules", status_code=201, response_model=FailoverRuleView)
async def create_failover_rule(body: FailoverRuleBody, call: CanManage) -> Response:
    """Say which rail stands in for one that is off: for a merchant, or by the house for all."""
    merchant_id = body.merchant_id or call.caller.merchant_id
    if merchant_id is not None and not call.caller.sees(merchant_id):
        raise MerchantNotFound(merchant_id=merchant_id)

    async def work(session: Session, claim: Claim) -> FailoverRuleView:
        rule = await rail_switches.set_failover_rule(
            session, claim.resource_id, merchant_id=merchant_id, rail=body.rail, next_rail=body.next_rail,
            by=till_actor(call), now=call.now,
        )  # fmt: skip
        return FailoverRuleView.of(rule)

    return await once(call, work, prefix="frl")


@router.get("/failover-rules")
async def list_failover_rules(
    call: CanRead, merchant_id: Annotated[str | None, Query(max_length=40)] = None
) -> FailoverRulesView:
    """The house's rules and a merchant's own."""
    async with transaction(call.engine) as session:
        found = await rail_switches.list_failover_rules(session, merchant_id=call.caller.merchant_id or merchant_id)
    return FailoverRulesView(items=[FailoverRuleView.of(rule) for rule in found])
