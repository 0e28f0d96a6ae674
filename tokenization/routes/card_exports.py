"""A merchant's cards leave only when a security officer, signed in on the vault's own origin, agrees.

Asking and writing need the operator's certificate; agreeing needs a person's two factors, and no certificate will do.
"""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access.deeds import deed
from pci.access.roles import Scope
from tokenization import exporting
from tokenization.ending import CardDoing
from tokenization.exporting import CardExport
from tokenization.sign_in_cookie import wish_of
from tokenization.vault import Vault
from tokenization.wire import View, answer


class WaitingExportView(View):
    """Cards that somebody wants to give out, as the one who decides sees it."""

    id: str
    merchant_id: str
    recipient: str
    """The thumbprint of the key (RFC 7638): the recipient reads it out over the telephone."""
    reason: str
    requested_by: str
    requested_at: datetime
    status: str

    @classmethod
    def of(cls, export: CardExport) -> WaitingExportView:
        """Show an export."""
        return cls(
            id=export.id, merchant_id=export.merchant_id, recipient=exporting.thumbprint_of(export),
            reason=export.reason, requested_by=export.requested_by, requested_at=export.requested_at,
            status=export.status,
        )  # fmt: skip


class WaitingExportsView(View):
    """What waits for a security officer."""

    exports: list[WaitingExportView]


def routes(vault: Vault) -> list[BaseRoute]:
    """What waits, and saying yes."""

    async def list_waiting(request: Request) -> Response:
        wish = wish_of(vault, request, "cards.exports_listed", Scope.EXPORTS_APPROVE)
        async with deed(vault.transactions, wish) as tried:
            found = await exporting.waiting(tried.session)
            await tried.record(found=len(found))
        return answer(WaitingExportsView(exports=list(map(WaitingExportView.of, found))))

    async def approve(request: Request) -> Response:
        export_id = request.path_params["export_id"]
        wish = wish_of(vault, request, "cards.export_approved", Scope.EXPORTS_APPROVE)
        async with deed(vault.transactions, wish) as tried:
            merchant_id = await exporting.merchant_of(tried.session, export_id)
            doing = CardDoing(merchant_id, tried.actor.label, wish.origin, wish.now)
            export = await exporting.approve(tried.session, export_id, doing)
        return answer(WaitingExportView.of(export))

    return [
        Route("/vault/v1/card-exports", list_waiting, methods=["GET"]),
        Route("/vault/v1/card-exports/{export_id}/approvals", approve, methods=["POST"]),
    ]
