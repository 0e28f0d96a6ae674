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

RETURNED = frozenset({"REFUNDED", "PARTIAL_REFUNDED"})
"""The money of the last request is with the buyer."""
RETURNED_WHOLLY = "REFUNDED"
UNTOUCHED = "CONFIRMED"
"""Paid, and no kopeck of it was ever given back."""
_NO_ERROR = (None, "", "0")


class TkassaRefunds:
    """The port of refunds over T-Kassa's API. Our own id of the request stands for the one T-Kassa does not give."""

    def __init__(self, tkassa: TkassaHttp) -> None:
        self._tkassa = tkassa

    async def ask(self, request: RefundRequest) -> str:
        """Ask once for money back. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""
        await self._tkassa.ask(
            "Cancel",
            {
                "PaymentId": payment_id_of(request.trx_id),
                "Amount": write(request.amount, MoneyUnit.KOPECKS_NUMBER),
            },
            is_safe=False,
        )
        return request.agent_request_id

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
        code = said.get("QrCancelCode")
        if said.get("Status") in RETURNED:
            status, decision = OperationStatus.ACCEPTED, str(DecisionCode.AGREED)
        elif code not in _NO_ERROR:
            status, decision = OperationStatus.REJECTED, str(code)
        else:
            status, decision = OperationStatus.RECEIVED, str(DecisionCode.AWAITED)
        return RefundState(
            code=decision,
            trx_status=status,
            trx_id=opkc_request_id.upper(),  # T-Kassa gives no SBP operation of a refund
            amount=amount,
            payee_id=None,
            agent_request_id=opkc_request_id,
        )

    async def _told(self, name: str, trx_id: str) -> Any:
        try:
            return await self._tkassa.ask(name, {"PaymentId": payment_id_of(trx_id)}, is_safe=True)
        except NspkRefused as refused:
            raise NspkUnknown(reason=refused.facts["nspk_code"]) from None
