"""The port to NSPK for refunds, and its form over HTTP.

Source: NSPK agent API: ``POST`` and ``GET /payment/v1/agent/refund/{trxId}``,
``GET /payment/v2/agent/refund/{originalTrxId}/{opkcRefundRequestId}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ledger.money import Kopecks
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.nspk_transport import NspkTransport

_REFUSAL = "RQ05"
"""How codes of business refusals begin: RQ05039 operation not found, RQ05040 more than was paid, …"""

_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class DecisionCode(StrEnum):
    """The bank's decision, by ``refundStatusCode``; codes we do not know decide nothing."""

    AGREED = "RQ00030"
    """The merchant's bank agrees to refund."""
    AWAITED = "RQ00031"
    """In NSPK's list without a text; taken for "not decided yet"."""


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What NSPK is asked to give back."""

    trx_id: str
    """The payment's operation."""
    qrc_id: str
    member_id: str
    nspk_merchant_id: str
    amount: Kopecks
    kzo: str | None
    """The control value of the payment; NSPK refunds nothing without it."""
    agent_request_id: str
    params_id: str | None = None
    """Which activation of a cash link was paid: only asked about together does NSPK repeat the control value."""


@dataclass(frozen=True, slots=True)
class RefundState:
    """What NSPK says about a request it took."""

    code: str | None
    """``refundStatusCode``: the decision."""
    trx_status: OperationStatus | None
    """The money's operation, once there is one."""
    trx_id: str | None
    amount: Kopecks | None
    payee_id: str | None
    agent_request_id: str | None
    may_be_earlier: bool = False
    """Whether an earlier refund of the same payment, if there was one, would read the same."""

    @property
    def is_refused(self) -> bool:
        """Whether the decision is a no."""
        return self.code is not None and self.code.startswith(_REFUSAL)


class NspkRefunds(Protocol):
    """Refunds at NSPK. No session may be open while it is called."""

    async def ask(self, request: RefundRequest) -> str:
        """Ask for a refund and give NSPK's id of the request. Raises: NspkRefused; NspkUnknown: answer lost."""

    async def find(self, trx_id: str, agent_request_id: str) -> str | None:
        """NSPK's id of our request; nothing if it knows none. Raises: NspkUnknown."""

    async def read(self, trx_id: str, opkc_request_id: str) -> RefundState:
        """What became of a request. Raises: NspkUnknown when there is no answer or it is about another request."""


class NspkRefundsHttp:
    """The port over HTTP. Asking is never repeated here; finding and reading are safe."""

    def __init__(self, transport: NspkTransport) -> None:
        self._transport = transport

    async def ask(self, request: RefundRequest) -> str:
        """Ask for a refund. Raises: NspkRefused; NspkUnknown."""
        assert request.kzo is not None
        data = await self._transport.call(
            "POST",
            f"/payment/v1/agent/refund/{request.trx_id}",
            {
                "memberId": request.member_id,
                "merchantId": request.nspk_merchant_id,
                "originalQrcId": request.qrc_id,
                "amount": str(int(request.amount)),
                "currency": "RUB",
                "kzo": request.kzo,
                "agentRefundRequestId": request.agent_request_id,
            },
            is_safe=False,
        )
        return _opkc_request_id(data)

    async def find(self, trx_id: str, agent_request_id: str) -> str | None:
        """NSPK's id of our request. Raises: NspkUnknown. Only a business refusal means that NSPK knows none."""
        try:
            data = await self._transport.call(
                "GET",
                f"/payment/v1/agent/refund/{trx_id}",
                is_safe=True,
                params={"agentRefundRequestId": agent_request_id},
            )
        except NspkRefused as refused:
            if str(refused.facts.get("nspk_code", "")).startswith(_REFUSAL):
                return None
            raise NspkUnknown(reason=refused.facts.get("nspk_code")) from None
        return _opkc_request_id(data)

    async def read(self, trx_id: str, opkc_request_id: str) -> RefundState:
        """What became of a request. Raises: NspkUnknown."""
        try:
            data = await self._transport.call(
                "GET", f"/payment/v2/agent/refund/{trx_id}/{opkc_request_id}", is_safe=True
            )
            if (data["originalTrxId"], data["opkcRefundRequestId"]) != (trx_id, opkc_request_id):
                raise NspkUnknown(reason="the answer is about another refund")
            return _state(data)
        except (NspkRefused, KeyError, TypeError, ValueError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None


def _opkc_request_id(data: Any) -> str:
    found = data.get("opkcRefundRequestId") if isinstance(data, dict) else None
    if not isinstance(found, str) or not _REQUEST_ID.fullmatch(found):
        raise NspkUnknown(reason="no id of the request")
    return found


def _state(data: dict[str, Any]) -> RefundState:
    status, amount = data.get("trxStatus"), data.get("amount")
    return RefundState(
        code=data.get("refundStatusCode"),
        trx_status=OperationStatus(status) if status in set(OperationStatus) else None,
        trx_id=data.get("trxId"),
        amount=None if amount is None else Kopecks(int(amount)),
        payee_id=data.get("payeeId"),
        agent_request_id=data.get("agentRefundRequestId"),
    )
