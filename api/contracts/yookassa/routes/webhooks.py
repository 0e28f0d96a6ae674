"""Webhooks: listed, added, removed, each for its own shop."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api.answers import Answer
from api.contracts.outer_ids import inner_id
from api.contracts.yookassa import webhooks
from api.contracts.yookassa.bodies import WebhookBody
from api.contracts.yookassa.entrance import contract_router, shop_id_of
from api.contracts.yookassa.routes.payments import said
from api.contracts.yookassa.urls import check_url
from api.contracts.yookassa.webhooks import OUTER_PREFIX, Webhook, webhook_object
from api.door import Call, needs
from api.idempotency import Claim, once
from ledger.database import Session, transaction

router = contract_router("yookassa webhooks")

Told = Annotated[Call, needs("events:read")]


@router.get("/webhooks")
async def list_webhooks(call: Told) -> Response:
    """The shop's webhooks."""
    async with transaction(call.engine) as session:
        found = await webhooks.list_webhooks(session, shop_id_of(call.caller))
    return said({"type": "list", "items": [webhook_object(webhook) for webhook in found]}).response()


@router.post("/webhooks")
async def add_webhook(call: Told, body: WebhookBody) -> Response:
    """Tell an address of one kind of event from now on."""
    url = str(check_url(body.url, call.door.settings.mode))

    async def work(session: Session, claim: Claim) -> Answer:
        wished = Webhook(claim.resource_id, shop_id_of(call.caller), body.event, url, call.now, None)
        webhook = await webhooks.add_webhook(session, wished)
        return said(webhook_object(webhook), resource_id=webhook.id)

    return await once(call, work, status=200, prefix="whk")


@router.delete("/webhooks/{webhook_id}")
async def remove_webhook(webhook_id: str, call: Told) -> Response:
    """Tell this address no more."""
    our_id = inner_id("whk", webhook_id.removeprefix(OUTER_PREFIX))
    async with transaction(call.engine) as session:
        await webhooks.remove_webhook(session, our_id, merchant_id=shop_id_of(call.caller), now=call.now)
    return said({}).response()
