"""What no route of the contract takes: told in the contract's form and not in ours."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from starlette.responses import Response
from starlette.routing import Match

from api.contracts.yookassa.entrance import PREFIX, contract_router
from api.door import Call, needs
from api.errors import MethodNotAllowed, RouteUnknown

router = contract_router("yookassa unmatched")


@router.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def refuse(call: Annotated[Call, needs("")], request: Request) -> Response:
    """There is no such path, or it is not called by this method."""
    others = [route for route in request.app.routes if route.path.startswith(PREFIX) and route.path != call.route]
    if any(route.matches(request.scope)[0] is Match.PARTIAL for route in others):
        raise MethodNotAllowed()
    raise RouteUnknown()
