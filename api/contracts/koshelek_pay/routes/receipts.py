"""Fiscal receipts that tills send: kept beside the payment, for the buyer's application and for support.

One receipt for a payment, of the sale and of what the buyer paid: promo code, points and the rail's offer lower the
price, and the till prints the receipt of what is left (``checkout.slips.by_payment_kind``).
"""

from __future__ import annotations

import re
from datetime import datetime
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
    r"t=(?P<time>[0-9]{8}T[0-9]{4}([0-9]{2})?)&s=(?P<sum>[0-9]{1,10}[.][0-9]{2})&fn=[0-9]{16}&i=[0-9]{1,10}"
    r"&fp=[0-9]{1,10}&n=(?P<kind>[1-4])"
)
"""Source: Federal Tax Service order ED-7-20/662@: the QR code of a receipt names time, sum, drive, document, sign."""
OF_A_SALE = "1"
"""Source: the same order, tag 1054: 1 is a sale (приход); 2 its return, 3 and 4 are purchases."""


@router.post("/receipt/task")
async def keep_receipt(call: CanWrite, body: ReceiptBody) -> Response:
    """Keep the receipt of a paid payment; the same one again changes nothing, and another one is refused."""

    async def work(session: Session, _claim: Claim) -> Answer:
        found = await repository.load_payment(
            session, body.paymentTransactionId, merchant_id=merchant_id_of(call)
        )  # fmt: skip
        if found.status is not TillPaymentStatus.PAID:
            raise PaymentNotPaid()
        if sum_of(body.qrCode) != found.amount:
            raise ParameterInvalid(f"The buyer paid {int(found.amount)}: this is another sum.", parameter="qrCode")
        await repository.add_receipt(session, found.order_id, body.qrCode, now=call.now)
        return answer_of({"orderId": found.order_number, "paymentTransactionId": found.id}, found.order_id)

    return await once(call, work, status=200)


def sum_of(code: str) -> Kopecks:
    """What a receipt's code says was paid. Raises: ParameterInvalid if it is no code of a sale's receipt."""
    match = _CODE.fullmatch(code)
    if match is None or not is_time(match["time"]):
        raise ParameterInvalid("The text of a receipt's QR code: t=…&s=…&fn=…&i=…&fp=…&n=…", parameter="qrCode")
    if match["kind"] != OF_A_SALE:
        raise ParameterInvalid("The receipt of the sale, n=1.", parameter="qrCode")
    return kopecks_of(match["sum"])


def is_time(said: str) -> bool:
    """Whether digits as ``20261122T1230`` or ``20261122T123005`` are a time of a day."""
    try:
        datetime.fromisoformat(said)
    except ValueError:
        return False
    return True
