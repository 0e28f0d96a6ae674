"""Whether the vault lives, and whether it is sealed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokenization.vault import Vault
from tokenization.wire import View, answer


class HealthView(View):
    """How the vault is."""

    status: str
    """``ready``, ``sealed``, ``unsealing 1 of 2``."""


def routes(vault: Vault) -> list[BaseRoute]:
    """For our own processes: the state of the keys too."""

    async def readyz(_request: Request) -> Response:
        state = str(vault.ring.state)
        return answer(HealthView(status=state), 200 if state == "ready" else 503)

    async def tell(_request: Request) -> Response:
        return answer(HealthView(status=str(vault.ring.state)))

    return [Route("/readyz", readyz), Route("/state", tell), *public_routes(vault)]


def public_routes(_vault: Vault) -> list[BaseRoute]:
    """For balancers: whether the process answers, and no more."""

    async def livez(_request: Request) -> Response:
        return answer(HealthView(status="alive"))

    return [Route("/livez", livez)]
