"""Fiscal receipts that tills send: kept beside the payment, for the buyer's application and for support."""

from __future__ import annotations

import re
from typing import Annotated

from starlette.responses import Response

from api.answers import Answer
from api.contracts.koshelek_pay import repository
from api.contracts.koshelek_pay.answering import answer_of
from api.contracts.koshelek_pay.bodies import ReceiptBody
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.contracts.koshelek_pay.errors import ParameterInvalid, PaymentNotPaid
from api.contracts.koshelek_pay.payments import TillPaymentStatus
from api.door import Call, needs
from api.idempotency import Claim, once
from ledger.database import Session
from ledger.money import Kopecks, kopecks_of

router = contract_router("koshelek_pay receipts")

CanWrite = Annotated[Call, needs("orders:write")]
_CODE = re.compile(
    r"t=[0-9]{8}T[0-9]{4,6}&s=(?P<sum>[0-9]{1,10}[.][0-9]{2})&fn=[0-9]{16}&i=[0-9]{1,10}&fp=[0-9]{1,10}&n=[1-4]"
)
"""Source: Federal Tax Service order ED-7-20/662@: the QR code of a receipt names time, sum, drive, document, sign."""


@router.post("/receipt/task")
async def keep_receipt(call: CanWrite, body: ReceiptBody) -> Response:
    """Keep the receipt of a paid payment; the same one again changes nothing."""

    async def work(session: Session, _claim: Claim) -> Answer:
        found = await repository.load_payment(
            session, body.paymentTransactionId, merchant_id=merchant_id_of(call)
        )  # fmt: skip
        if found.status is not TillPaymentStatus.PAID:
            raise PaymentNotPaid()
        if sum_of(body.qrCode) != found.total:
            raise ParameterInvalid(f"The receipt is of another sum than {int(found.total)}.", parameter="qrCode")
        await repository.add_receipt(session, found.order_id, body.qrCode, now=call.now)
        return answer_of({"orderId": found.order_number, "paymentTransactionId": found.id}, found.order_id)

    return await once(call, work, status=200)


def sum_of(code: str) -> Kopecks:
    """What a receipt's code says was paid. Raises: ParameterInvalid."""
    match = _CODE.fullmatch(code)
    if match is None:
        raise ParameterInvalid("The text of a receipt's QR code: t=…&s=…&fn=…&i=…&fp=…&n=…", parameter="qrCode")
    return kopecks_of(match["sum"])
