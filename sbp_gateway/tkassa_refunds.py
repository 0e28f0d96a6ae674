"""Refunds through T-Kassa: the same port as NSPK's, although T-Kassa keeps no id of a request.

Source: T-Kassa API v2: ``Cancel``, ``GetQrState``; ``ExternalRequestId`` does not hold for SBP. DECISIONS.md, 11.
"""

from __future__ import annotations

from typing import Any

from sbp_gateway.errors import MoneyUnreadable, NspkRefused, NspkUnknown
from sbp_gateway.money_units import MoneyUnit, read, write
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.nspk_refunds import DecisionCode, RefundRequest, RefundState
from sbp_gateway.tkassa_http import TkassaHttp
from sbp_gateway.tkassa_links import payment_id_of

RETURNED_WHOLLY = "REFUNDED"
RETURNED_PARTLY = "PARTIAL_REFUNDED"
"""Money of some request is with the buyer: after an earlier refund this says nothing of the last one."""
UNDER_WAY = "ASYNC_REFUNDING"
SHOWN = "-shown"
"""Ends our id of a request that T-Kassa's own answer has shown to be at work: what is said next is about it."""
UNTOUCHED = "CONFIRMED"
"""Paid, and no kopeck of it was ever given back."""
_NO_ERROR = (None, "", "0")


class TkassaRefunds:
    """The port of refunds over T-Kassa's API. Our own id of the request stands for the one T-Kassa does not give."""

    def __init__(self, tkassa: TkassaHttp) -> None:
        self._tkassa = tkassa

    async def ask(self, request: RefundRequest) -> str:
        """Ask once for money back. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""
        said = await self._tkassa.ask(
            "Cancel",
            {
                "PaymentId": payment_id_of(request.trx_id),
                "Amount": write(request.amount, MoneyUnit.KOPECKS_NUMBER),
            },
            is_safe=False,
        )
        return request.agent_request_id + (SHOWN if _is_shown(said, request) else "")

    async def find(self, trx_id: str, agent_request_id: str) -> str | None:
        """Whether a request whose answer was lost was heard, as far as T-Kassa can say.

        No money given back: it was not. All of it: it was, for requests never exceed the payment. Anything between
        may be an earlier request's doing. Raises: NspkUnknown then, and when there is no answer; NspkUnavailable.
        """
        status = str((await self._told("GetState", trx_id)).get("Status"))
        if status == UNTOUCHED:
            return None
        if status == RETURNED_WHOLLY:
            return agent_request_id
        raise NspkUnknown(reason="T-Kassa does not say whose request moved the money")

    async def read(self, trx_id: str, opkc_request_id: str) -> RefundState:
        """What became of the last request. Raises: NspkUnknown; NspkUnavailable."""
        said = await self._told("GetQrState", trx_id)
        try:
            amount = read(said["Amount"], MoneyUnit.KOPECKS_NUMBER)
        except (MoneyUnreadable, KeyError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None
        status, decision = _outcome(said.get("Status"), said.get("QrCancelCode"))
        ours = opkc_request_id.removesuffix(SHOWN)
        return RefundState(
            code=decision,
            trx_status=status,
            trx_id=ours.upper(),  # T-Kassa gives no SBP operation of a refund
            amount=amount,
            payee_id=None,
            agent_request_id=ours,
            may_be_earlier=said.get("Status") == RETURNED_PARTLY and ours == opkc_request_id,
        )

    async def _told(self, name: str, trx_id: str) -> Any:
        try:
            return await self._tkassa.ask(name, {"PaymentId": payment_id_of(trx_id)}, is_safe=True)
        except NspkRefused as refused:
            raise NspkUnknown(reason=refused.facts["nspk_code"]) from None


def _outcome(status: object, code: object) -> tuple[OperationStatus, str]:
    """What became of the last request, and the decision. All of the money back can only be good news.

    A refusal leaves the payment as earlier refunds made it, so its code is looked at before a part that went back.
    """
    if status == RETURNED_WHOLLY:
        return OperationStatus.ACCEPTED, str(DecisionCode.AGREED)
    if status == UNDER_WAY:
        return OperationStatus.RECEIVED, str(DecisionCode.AGREED)
    if code not in _NO_ERROR:
        return OperationStatus.REJECTED, str(code)
    if status == RETURNED_PARTLY:
        return OperationStatus.ACCEPTED, str(DecisionCode.AGREED)
    return OperationStatus.RECEIVED, str(DecisionCode.AWAITED)


def _is_shown(said: Any, request: RefundRequest) -> bool:
    """Whether the answer to a request shows that very request: under way, or what is left smaller by its amount."""
    if not isinstance(said, dict):
        return False
    if said.get("Status") == UNDER_WAY:
        return True
    try:
        before, after = (read(said[name], MoneyUnit.KOPECKS_NUMBER) for name in ("OriginalAmount", "NewAmount"))
    except (MoneyUnreadable, KeyError):
        return False
    return said.get("Status") == RETURNED_PARTLY and before - after == request.amount
