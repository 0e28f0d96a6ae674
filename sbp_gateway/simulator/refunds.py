"""Refunds at NSPK's simulator: the request, the bank's decision, the money, and the notifications of both.

Source: NSPK agent API: ``POST`` and ``GET /payment/v1/agent/refund/{trxId}``,
``GET /payment/v2/agent/refund/{originalTrxId}/{opkcRefundRequestId}``; the limits of T-Kassa codes 3029, 3030.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ledger.clock import MOSCOW
from sbp_gateway.nspk import PROCESSED
from sbp_gateway.simulator.answers import envelope
from sbp_gateway.simulator.cash_links import CashLinks
from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.faults import Faults, Work
from sbp_gateway.simulator.links import Links, letters
from sbp_gateway.simulator.notifications import Notifier

AGREED = "RQ00030"
AWAITED = "RQ00031"
OPERATION_UNKNOWN = "RQ05039"
ABOVE_PAID = "RQ05040"
TECHNICAL = "RQ07999"
MALFORMED = "RQ05001"
REQUEST_UNKNOWN = "RQ05013"
TOO_SOON = "RQ05014"
KZO_WRONG = "RQ05015"
DECLINED = "RQ05041"
"""The last five are ours: the full list of NSPK's codes is not public."""
TRIES_A_DAY_MAX = 5
DELAY_SECONDS_MAX = 86_400.0
PENDING_SECONDS = 3_600.0
"""How long a bank thinks about a refund that a fault holds up."""
DECISION_PATH = "/nspk/payment/v1/refund/notification"
MONEY_PATH = "/nspk/payment/v1/b2c-refund/notification"
PAYEE_ID = "0079******12"

Faulty = Callable[[Work], Work]
"""Wraps an endpoint so that requests and answers are lost as ordered."""


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """How refunds go: at once and well, unless somebody says otherwise."""

    ask_code: str = PROCESSED
    """What the request is answered; RQ07999 and nothing is kept, or a refusal."""
    decision_code: str = AGREED
    """The bank's word; anything but RQ00030 is a no."""
    decision_seconds: float = 0.0
    money_moves: bool = True
    money_seconds: float = 0.0

    @staticmethod
    def read(said: Mapping[str, Any]) -> RefundPlan:
        """A plan from what somebody wrote. Raises: ValueError, naming the field."""
        kinds = {entry.name: type(entry.default) for entry in fields(RefundPlan)}
        for name, value in said.items():
            is_seconds = name.endswith("_seconds")
            if name not in kinds or not (isinstance(value, int | float) if is_seconds else type(value) is kinds[name]):
                raise ValueError(f"{name}: not a part of a plan, or of another kind")
            if is_seconds and not 0 <= value <= DELAY_SECONDS_MAX:
                raise ValueError(f"{name}: write seconds from 0 to {DELAY_SECONDS_MAX:.0f}")
        return RefundPlan(**said)


@dataclass(slots=True)
class SimulatedRefund:
    """A request that NSPK took."""

    agent_id: str
    opkc_id: str
    original_trx_id: str
    qrc_id: str
    amount: int
    plan: RefundPlan
    asked_at: datetime
    trx_id: str

    def code(self, now: datetime) -> str:
        """The decision as it is known at ``now``."""
        decided = now >= self.asked_at + timedelta(seconds=self.plan.decision_seconds)
        return self.plan.decision_code if decided else AWAITED

    def trx_status(self, now: datetime) -> str | None:
        """What became of the money."""
        if self.code(now) != AGREED:
            return None
        moves_at = self.asked_at + timedelta(seconds=self.plan.decision_seconds + self.plan.money_seconds)
        if now < moves_at:
            return "RCVD"
        return "ACWP" if self.plan.money_moves else "RJCT"

    @property
    def is_live(self) -> bool:
        """Whether its amount counts against the payment: it moved or will."""
        return self.plan.decision_code == AGREED and self.plan.money_moves


@dataclass(frozen=True, slots=True)
class PaidOperation:
    """An operation that may be refunded."""

    qrc_id: str
    trx_id: str
    kzo: str
    amount: int


@dataclass(slots=True)
class Refunds:
    """Every refund of one simulator, and how the next ones will go."""

    links: Links
    cash_links: CashLinks
    notifier: Notifier
    clock: SimulatorClock
    remember: Callable[[Mapping[str, Any]], None]
    faults: Faults
    by_agent_id: dict[str, SimulatedRefund] = field(default_factory=dict)
    by_opkc_id: dict[str, SimulatedRefund] = field(default_factory=dict)
    tries: dict[str, list[datetime]] = field(default_factory=dict)
    """When each operation was asked to be refunded, whatever was answered but "too soon"."""
    plan: RefundPlan = field(default_factory=RefundPlan)
    plans: dict[str, RefundPlan] = field(default_factory=dict)
    """Of single operations, by ``trxId``."""

    def routes(self, faulty: Faulty) -> list[Route]:
        """NSPK's paths, and the one by which a test orders how refunds go."""
        return [
            Route("/payment/v1/agent/refund/{trx_id}", faulty(self.ask), methods=["POST"]),
            Route("/payment/v1/agent/refund/{trx_id}", faulty(self.find), methods=["GET"]),
            Route("/payment/v2/agent/refund/{trx_id}/{opkc_id}", faulty(self.read), methods=["GET"]),
            Route("/simulator/refunds/plan", self.order, methods=["PUT"]),
        ]

    @property
    def moved(self) -> list[SimulatedRefund]:
        """Refunds whose money is with the buyer."""
        now = self.clock.now()
        return [refund for refund in self.by_agent_id.values() if refund.trx_status(now) == "ACWP"]

    async def ask(self, request: Request) -> JSONResponse:
        """Take a request for a refund, or refuse it."""
        trx_id, body = request.path_params["trx_id"], await request.json()
        try:
            agent_id, amount, kzo = str(body["agentRefundRequestId"]), int(body["amount"]), body["kzo"]
        except (KeyError, TypeError, ValueError):
            return envelope(MALFORMED, "a field is missing or malformed", status=400)
        if (known := self.by_agent_id.get(agent_id)) is not None and known.amount == amount:
            return envelope(PROCESSED, "", {"opkcRefundRequestId": known.opkc_id})
        plan = self.plans.get(trx_id, self.plan)
        paid = self._paid(trx_id)
        if plan.ask_code == TECHNICAL:
            return envelope(TECHNICAL, "technical error", status=500)
        if (refusal := self._refusal(plan, paid, amount, kzo, body)) is not None:
            if refusal[0] != TOO_SOON:
                self._count_try(trx_id)
            return envelope(*refusal, status=400)
        assert paid is not None
        taken = self._take(paid, agent_id, amount, self._drawn(plan) if trx_id not in self.plans else plan)
        return envelope(PROCESSED, "", {"opkcRefundRequestId": taken.opkc_id})

    def _drawn(self, plan: RefundPlan) -> RefundPlan:
        """The plan with what goes wrong by chance. What somebody ordered for one operation goes as ordered."""
        if self.faults.happens("refund_refused"):
            plan = replace(plan, decision_code=DECLINED)
        return replace(plan, decision_seconds=PENDING_SECONDS) if self.faults.happens("refund_pending") else plan

    def _paid(self, trx_id: str) -> PaidOperation | None:
        link = self.links.by_trx_id.get(trx_id)
        if link is not None and link.trx_id == trx_id and link.kzo is not None:
            return PaidOperation(link.qrc_id, trx_id, link.kzo, link.amount)
        for cash_link in self.cash_links.by_id.values():
            for sale in cash_link.sales.values():
                if sale.trx_id == trx_id and sale.kzo is not None:
                    return PaidOperation(cash_link.qrc_id, trx_id, sale.kzo, sale.amount)
        return None

    def _refusal(
        self, plan: RefundPlan, paid: PaidOperation | None, amount: int, kzo: object, body: Mapping[str, Any]
    ) -> tuple[str, str] | None:
        if plan.ask_code != PROCESSED:
            return plan.ask_code, "refused by a plan"
        if paid is None or paid.qrc_id != body.get("originalQrcId"):
            return OPERATION_UNKNOWN, "the original operation is not found"
        if kzo != paid.kzo:
            return KZO_WRONG, "the control value is another"
        if not self._may_try(paid.trx_id):
            return TOO_SOON, "one try an hour and five a day for an operation"
        if amount < 1 or amount + self._refunded(paid.trx_id) > paid.amount:
            return ABOVE_PAID, "the refunds are above the original operation"
        return None

    def _refunded(self, trx_id: str) -> int:
        return sum(
            refund.amount for refund in self.by_agent_id.values() if refund.original_trx_id == trx_id and refund.is_live
        )

    def _may_try(self, trx_id: str) -> bool:
        now, tries = self.clock.now(), self.tries.get(trx_id, [])
        of_hour = [at for at in tries if at > now - timedelta(hours=1)]
        return not of_hour and len([at for at in tries if at > now - timedelta(days=1)]) < TRIES_A_DAY_MAX

    def _count_try(self, trx_id: str) -> None:
        now = self.clock.now()
        self.tries.setdefault(trx_id, []).append(now)
        self.remember({"refund_try": trx_id, "at": now.isoformat()})

    def _take(self, paid: PaidOperation, agent_id: str, amount: int, plan: RefundPlan) -> SimulatedRefund:
        self._count_try(paid.trx_id)
        now = self.clock.now()
        opkc_id = f"AR1{letters(f'{agent_id}/request', 29)}"
        trx_id = "B" + f"{now.astimezone(MOSCOW):%Y%j%H%M%S}"[3:] + letters(f"{agent_id}/money", 21)
        refund = SimulatedRefund(agent_id, opkc_id, paid.trx_id, paid.qrc_id, amount, plan, now, trx_id)
        self._keep(refund)
        self.remember({"refund": asdict(refund) | {"asked_at": now.isoformat()}})
        self._tell(refund)
        return refund

    def _keep(self, refund: SimulatedRefund) -> None:
        self.by_agent_id[refund.agent_id] = self.by_opkc_id[refund.opkc_id] = refund

    def _tell(self, refund: SimulatedRefund) -> None:
        plan, ids = refund.plan, _ids(refund)
        agreed = plan.decision_code == AGREED
        decision = {"code": plan.decision_code, "message": "", "status": "ACWP" if agreed else "RJCT", **ids}
        self.notifier.notify(decision, plan.decision_seconds, path=DECISION_PATH)
        if agreed:
            moves_at = refund.asked_at + timedelta(seconds=plan.decision_seconds + plan.money_seconds)
            money = {
                "originalQrcId": refund.qrc_id, "trxId": refund.trx_id, "amount": refund.amount, "errorCode": "",
                "status": "ACWP" if plan.money_moves else "RJCT", "message": "", "payeeId": PAYEE_ID,
                "timestamp": moves_at.isoformat(timespec="milliseconds"), **ids,
            }  # fmt: skip
            self.notifier.notify(money, plan.decision_seconds + plan.money_seconds, path=MONEY_PATH)

    async def find(self, request: Request) -> JSONResponse:
        """NSPK's id of a request, by the agent's."""
        known = self.by_agent_id.get(request.query_params.get("agentRefundRequestId", ""))
        if known is None or known.original_trx_id != request.path_params["trx_id"]:
            return envelope(REQUEST_UNKNOWN, "no such request", status=400)
        return envelope(PROCESSED, "", {"opkcRefundRequestId": known.opkc_id})

    async def read(self, request: Request) -> JSONResponse:
        """What became of a request."""
        opkc_id, now = request.path_params["opkc_id"], self.clock.now()
        refund = self.by_opkc_id.get(opkc_id)
        if refund is None or refund.original_trx_id != request.path_params["trx_id"]:
            return envelope(REQUEST_UNKNOWN, "no such request", status=400)
        said: dict[str, Any] = {"originalQrcId": refund.qrc_id, "refundStatusCode": refund.code(now), **_ids(refund)}
        if (status := refund.trx_status(now)) is not None:
            said |= {
                "trxId": refund.trx_id, "trxStatus": status, "amount": refund.amount, "payeeId": PAYEE_ID,
                "timestamp": now.isoformat(timespec="milliseconds"),
            }  # fmt: skip
        return envelope(PROCESSED, "", said)

    async def order(self, request: Request) -> JSONResponse:
        """Say how refunds go: of one operation when ``trx_id`` is given, else of all that come."""
        said = dict(await request.json())
        trx_id = said.pop("trx_id", None)
        try:
            plan = RefundPlan.read(said)
        except (TypeError, ValueError) as error:
            return JSONResponse({"reason": str(error)}, status_code=422)
        if trx_id is None:
            self.plan = plan
        else:
            self.plans[str(trx_id)] = plan
        return JSONResponse(asdict(plan))

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "refund_try" in line:
            self.tries.setdefault(line["refund_try"], []).append(datetime.fromisoformat(line["at"]))
        elif "refund" in line:
            said = line["refund"]
            told = {"plan": RefundPlan(**said["plan"]), "asked_at": datetime.fromisoformat(said["asked_at"])}
            self._keep(SimulatedRefund(**said | told))


def _ids(refund: SimulatedRefund) -> dict[str, str]:
    return {
        "originalTrxId": refund.original_trx_id,
        "agentRefundRequestId": refund.agent_id,
        "opkcRefundRequestId": refund.opkc_id,
    }
