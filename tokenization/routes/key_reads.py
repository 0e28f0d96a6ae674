"""The key register for people who may look at it: what every key is for and how far it is, never a byte of one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access.deeds import deed
from pci.access.roles import Scope
from tokenization.routes.keys import register_view
from tokenization.sign_in_cookie import wish_of
from tokenization.vault import Vault
from tokenization.wire import answer


def routes(vault: Vault) -> list[BaseRoute]:
    """One address."""

    async def show(request: Request) -> Response:
        async with deed(
            vault.transactions, wish_of(vault, request, "keys.listed", Scope.KEYS_READ, "keys:all")
        ) as tried:
            await tried.record()
        return answer(await register_view(vault))

    return [Route("/vault/v1/key-register", show, methods=["GET"])]
