"""The vault's log is not what was exported of it: custodians look at it and, two of them, accept it.

The only thing that may be written then, besides signing in.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access.deeds import deed
from pci.access.roles import Scope
from pci.audit_log.errors import AcceptanceRefused
from pci.audit_log.rollback import ACCEPTANCES_MIN, accept
from tokenization.sign_in_cookie import wish_of
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, read

SUBJECT = "log:kopeyka/vault"


class AcceptanceBody(Body):
    """Why the database is older, or other, than what was exported."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class RollbackView(View):
    """What is wrong with the log, and how many have accepted it."""

    is_rolled_back: bool
    flaw: str | None = None
    sink: str | None = None
    exported_leaves: int | None = None
    found_leaves: int | None = None
    acceptances: int = 0
    acceptances_needed: int = ACCEPTANCES_MIN


def routes(vault: Vault) -> list[BaseRoute]:
    """One address: what is wrong, and the word of a custodian."""
    watch = vault.log_watch

    async def show(request: Request) -> Response:
        async with deed(
            vault.transactions, wish_of(vault, request, "rollback.shown", Scope.KEYS_UNSEAL, SUBJECT)
        ) as tried:
            await tried.record()
        return answer(_view(vault))

    async def accept_it(request: Request) -> Response:
        wish = wish_of(vault, request, "rollback.accepted", Scope.KEYS_UNSEAL, SUBJECT)
        body = await read(request, AcceptanceBody)
        async with deed(vault.transactions, wish) as tried:
            rollback = None if watch is None else watch.rollback
            if rollback is None:
                raise AcceptanceRefused("The log is what was exported of it: there is nothing to accept")
            person = tried.actor.person_id
            count = await accept(
                tried.session,
                rollback,
                person=person,
                reason=body.reason,
                origin=wish.origin,
                now=wish.now,
                ring=vault.ring,
            )
        if watch is not None and count >= ACCEPTANCES_MIN:
            await watch.look()
        return answer(_view(vault, count), 201)

    return [
        Route("/vault/v1/rollback-acceptances", show, methods=["GET"]),
        Route("/vault/v1/rollback-acceptances", accept_it, methods=["POST"]),
    ]


def _view(vault: Vault, acceptances: int = 0) -> RollbackView:
    rollback = None if vault.log_watch is None else vault.log_watch.rollback
    if rollback is None:
        return RollbackView(is_rolled_back=False, acceptances=acceptances)
    return RollbackView(
        is_rolled_back=True, flaw=rollback.flaw, sink=rollback.sink, exported_leaves=rollback.size,
        found_leaves=rollback.found_size, acceptances=acceptances,
    )  # fmt: skip
