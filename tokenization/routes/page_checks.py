"""What a check of the card form found, told to the log. Source: PCI DSS 11.6.1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, peer_of, read

DIFFERENCES_MAX = 50


class PageCheckBody(Body):
    """What differs from the baseline; nothing, if all is well."""

    url: Annotated[str, Field(min_length=1, max_length=300)]
    differences: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=DIFFERENCES_MAX)]


class PageCheckView(View):
    """What was written down."""

    is_same: bool


def routes(vault: Vault) -> list[BaseRoute]:
    """For whoever checks the page from outside."""

    async def tell(request: Request) -> Response:
        peer, body = peer_of(request), await read(request, PageCheckBody)
        is_same = not body.differences
        event = AuditEvent(
            "page.checked", peer.actor, peer.origin, "page:card_form", vault.now(),
            AuditOutcome.DONE if is_same else AuditOutcome.FAILED,
            facts={"url": body.url, "differences": "; ".join(body.differences)[:1_000], "is_same": is_same},
        )  # fmt: skip
        async with vault.transactions() as session:
            await stage(session, [event])
        return answer(PageCheckView(is_same=is_same), 201)

    return [Route("/page-checks", tell, methods=["POST"])]
