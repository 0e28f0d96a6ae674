"""Decision policies (политики решений): what plans are decided by from a day on. Versions are never rewritten."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.routes.installment_products import Price, who
from api.wire import Body, Day, Text, View
from installments import decision_policies
from installments.decision_policies import DecisionPolicy
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/decision-policies", "installments")

CanManage = Annotated[Call, needs("installments:manage")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


class DecisionPolicyBody(Body):
    """The next version. What was decided stays decided."""

    name: Annotated[Text, Field(max_length=64, examples=["house"])]
    effective_on: Day
    """Not over, and later than that of the last version."""
    scoring: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["history"])] = "history"
    age_min: Annotated[int, Field(strict=True, ge=18, le=120)] = 18
    freeze_days_overdue: Annotated[int, Field(strict=True, ge=1, le=365, examples=[3])]
    """From so many days past due on, no new plan."""
    freeze_days_after: Annotated[int, Field(strict=True, ge=0, le=3_650, examples=[14])]
    """And for so many days after the arrears were last seen."""
    plans_max: Annotated[int, Field(strict=True, ge=1, le=100, examples=[10])]
    first_plan_max_kopecks: Price
    share_after_arrears_basis_points: Annotated[int, Field(strict=True, ge=0, le=10_000, examples=[5_000])]
    """Of the limit, for whoever was ever in such arrears."""

    def policy(self) -> DecisionPolicy:
        """The version as the rules know it; its number is given when it is published."""
        return DecisionPolicy(
            self.name, 0, self.effective_on, self.scoring, self.age_min, self.freeze_days_overdue,
            self.freeze_days_after, self.plans_max, Kopecks(self.first_plan_max_kopecks),
            self.share_after_arrears_basis_points,
        )  # fmt: skip


class DecisionPolicyView(View):
    """One version."""

    version: int
    name: str
    effective_on: Day
    scoring: str
    age_min: int
    freeze_days_overdue: int
    freeze_days_after: int
    plans_max: int
    first_plan_max_kopecks: int
    share_after_arrears_basis_points: int

    @classmethod
    def of(cls, policy: DecisionPolicy) -> DecisionPolicyView:
        """The version as it is shown."""
        return cls(
            version=policy.version, name=policy.name, effective_on=policy.effective_on, scoring=policy.scoring,
            age_min=policy.age_min, freeze_days_overdue=policy.freeze_days_overdue,
            freeze_days_after=policy.freeze_days_after, plans_max=policy.plans_max,
            first_plan_max_kopecks=int(policy.first_plan_max),
            share_after_arrears_basis_points=policy.share_after_arrears_basis_points,
        )  # fmt: skip


@router.post("", status_code=201, response_model=DecisionPolicyView)
async def publish_decision_policy(body: DecisionPolicyBody, call: CanManage) -> Response:
    """Decide about plans by these rules from a day on."""

    async def work(session: Session, _claim: Claim) -> DecisionPolicyView:
        published = await decision_policies.publish_policy(session, body.policy(), **who(call), now=call.now)
        return DecisionPolicyView.of(published)

    return await once(call, work)


@router.get("")
async def list_decision_policies(call: CanManage) -> list[DecisionPolicyView]:
    """All versions, oldest first."""
    async with transaction(call.engine) as session:
        return [DecisionPolicyView.of(policy) for policy in await decision_policies.list_policies(session)]


@router.get("/{version}")
async def read_decision_policy(version: Version, call: CanManage) -> DecisionPolicyView:
    """One version, by its number, as decisions name it."""
    async with transaction(call.engine) as session:
        return DecisionPolicyView.of(await decision_policies.load_policy(session, version))
