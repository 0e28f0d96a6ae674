"""Banks whose clients pay by SBP: NSPK's list in the contract's form."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api.contracts.yookassa.entrance import contract_router
from api.contracts.yookassa.routes.payments import is_test, said
from api.door import Call, needs
from ledger.database import transaction
from sbp_gateway.bank_list import bundled_banks, list_banks

router = contract_router("yookassa banks")


@router.get("/sbp_banks")
async def read_banks(call: Annotated[Call, needs("orders:read")]) -> Response:
    """The banks, the largest id first. A sandbox without an imported list shows the one of the package.

    NSPK's list says no BIC, so none is told.
    """
    async with transaction(call.engine) as session:
        banks = await list_banks(session)
    if not banks and is_test(call):
        banks = bundled_banks()
    items = [{"bank_id": bank.id, "name": bank.name} for bank in sorted(banks, key=lambda b: b.id, reverse=True)]
    return said({"type": "list", "items": items}).response()
