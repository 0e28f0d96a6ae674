"""What no route of the contract takes: told in the contract's form and not in ours."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api.contracts.koshelek_pay.entrance import contract_router
from api.door import Call, needs
from api.errors import RouteUnknown

router = contract_router("koshelek_pay unmatched")


@router.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def refuse(call: Annotated[Call, needs("")]) -> Response:  # noqa: ARG001  # who calls is known first
    """There is no such call, or it is not made by this method."""
    raise RouteUnknown()
