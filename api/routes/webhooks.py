"""Webhooks (вебхуки): addresses of a merchant's own that are told of events as they happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictInt
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.event_catalogue import EVENT_NAMES
from api.event_view import EventView
from api.idempotency import Claim, in_phases, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.public_addresses import public_client
from api.webhooks import keeping, replaying, sending
from api.webhooks import repository as rows
from api.webhooks.errors import DeliveryNotFound, WebhookKeyDiffers
from api.webhooks.keeping import OVERLAP_HOURS_MAX, Actor
from api.webhooks.replaying import ReplayRange
from api.webhooks.repository import DeliveryTry, KeptDelivery
from api.webhooks.sending import Letter
from api.webhooks.signing import required_key, secrets_of_now
from api.webhooks.webhook import SuspensionReason, Webhook, WebhookStatus, WebhookTerms, named_by
from api.wire import Body, Flag, Instant, Text, View
from checkout import repository as till_rows
from checkout.errors import MerchantNotFound
from ledger import outbox
from ledger.database import Session, transaction

router = door_router("/v1/webhooks", "webhooks")

CanRead = Annotated[Call, needs("events:read")]
CanWrite = Annotated[Call, needs("webhooks:write")]
EventTypes = Annotated[
    list[Annotated[str, Field(strict=True, pattern=r"^([*]|[a-z][a-z0-9_]{0,31}[.]([*]|[a-z][a-z0-9_]{0,31}))$")]],
    Field(min_length=1, max_length=100, examples=[["order.paid", "refund.*"]]),
]
State = Literal["pending", "delivered", "parked"]


class WebhookTermsBody(Body):
    """What a webhook is to hear, and where it stands."""

    url: Annotated[str, Field(strict=True, min_length=8, max_length=2048, pattern=r"^https?://[!-~]+$",
                              examples=["https://shop.example/kopeyka"])]  # fmt: skip
    """Over https, on port 443 or 8443, at a public address; in a sandbox this machine is allowed too."""
    event_types: EventTypes
    """Names of events, ``order.*`` for all of orders, ``*`` for everything."""
    description: Annotated[Text, Field(max_length=200)] | None = None

    def terms(self) -> WebhookTerms:
        """The same as a value."""
        return WebhookTerms(self.url, tuple(self.event_types), self.description)


class WebhookBody(WebhookTermsBody):
    """A webhook to be added."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Whose events it hears. A merchant's own key needs none; with the house's key, nothing means all events."""


class SecretRotationBody(Body):
    """A new secret, and how long the old one still counts."""

    overlap_hours: Annotated[StrictInt, Field(ge=0, le=OVERLAP_HOURS_MAX, examples=[24])] = 24


class ReplayBody(Body):
    """Which events are to be sent again."""

    since: Instant
    until: Instant
    """Not included; at most 31 days after ``since``."""
    event_types: EventTypes | None = None
    """All that the webhook hears, if nothing is said."""
    undelivered_only: Flag = True
    """Leave out what the webhook has taken."""
    after: Annotated[str, Field(strict=True, pattern=r"^evt_[0-9a-z]{26}$")] | None = None
    """``last_event_id`` of the call before, when there is more."""


class WebhookView(View):
    """An address that is told of events."""

    id: str
    merchant_id: str | None
    url: str
    event_types: list[str]
    description: str | None
    status: WebhookStatus
    suspension_reason: SuspensionReason | None
    failing_since: Instant | None
    """Since when it has taken nothing. After three days of that it is suspended."""
    created_at: Instant
    changed_at: Instant

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookView:
        """The webhook as it is shown."""
        return cls(
            id=webhook.id, merchant_id=webhook.merchant_id, url=webhook.url, event_types=list(webhook.event_types),
            description=webhook.description, status=webhook.status, suspension_reason=webhook.suspension_reason,
            failing_since=webhook.failing_since, created_at=webhook.created_at, changed_at=webhook.changed_at,
        )  # fmt: skip


class WebhookSecretView(View):
    """One secret that events are signed with (Standard Webhooks, ``v1``)."""

    number: int
    secret: str
    created_at: Instant
    expires_at: Instant | None
    """When it ends; nothing for the newest."""


class SecretRotationView(View):
    """That there is a new secret. Read it apart: this answer is kept with its idempotency key."""

    webhook_id: str
    number: int
    created_at: Instant


class DeliveryTryView(View):
    """One call of a webhook."""

    number: int
    url: str
    tried_at: Instant
    milliseconds: int
    http_status: int | None
    answer: str | None
    """The first 1,000 characters."""
    error: str | None

    @classmethod
    def of(cls, tried: DeliveryTry) -> DeliveryTryView:
        """The try as it is shown."""
        return cls(
            number=tried.number, url=tried.url, tried_at=tried.tried_at, milliseconds=tried.milliseconds,
            http_status=tried.http_status, answer=tried.answer, error=tried.error,
        )  # fmt: skip


class DeliveryView(View):
    """One event on its way to a webhook."""

    event_id: str
    type: str
    object_id: str
    sequence: int
    state: State
    """``parked`` is given up, and can be replayed."""
    attempts: int
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    last_error: str | None

    @classmethod
    def of(cls, kept: KeptDelivery) -> DeliveryView:
        """The delivery as it is shown."""
        return cls.model_validate(_told(kept))


class WholeDeliveryView(DeliveryView):
    """The same with every call that was made, and what was sent."""

    tries: list[DeliveryTryView]
    event: EventView


class ReplayView(View):
    """What is sent again."""

    events: int
    last_event_id: str | None
    has_more: bool


def _told(kept: KeptDelivery) -> dict[str, object]:
    return {
        "event_id": kept.event_id, "type": kept.type, "object_id": kept.object_id, "sequence": kept.sequence,
        "state": kept.state, "attempts": kept.attempts,
        "next_attempt_at": kept.next_attempt_at if kept.state == "pending" else None,
        "delivered_at": kept.delivered_at, "last_error": kept.last_error,
    }  # fmt: skip


def _by(call: Call) -> Actor:
    return Actor(f"caller:{call.caller.key_id}", call.request_id)


@router.post("", status_code=201, response_model=WebhookView)
async def create_webhook(body: WebhookBody, call: CanWrite) -> Response:
    """Be told of events from now on. Read the secret that they are signed with from ``/secrets``."""

    async def work(session: Session, claim: Claim) -> WebhookView:
        whose = body.merchant_id or call.caller.merchant_id
        if whose is not None:
            if not call.caller.sees(whose):
                raise MerchantNotFound(merchant_id=whose)
            await till_rows.load_merchant(session, whose)
        webhook = await keeping.add_webhook(
            session, claim.resource_id, body.terms(), merchant_id=whose, known_types=EVENT_NAMES,
            key=required_key(call.door.settings), mode=call.door.settings.mode, by=_by(call), now=call.now,
        )  # fmt: skip
        return WebhookView.of(webhook)

    return await once(call, work, prefix="whk", location="/v1/webhooks/{id}")


@router.get("")
async def list_webhooks(
    call: CanRead, merchant_id: str | None = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[WebhookView]:
    """Webhooks that are not removed, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("webhooks", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_webhooks(session, merchant_id=whose, after=start, limit=limit)
    views = [WebhookView.of(webhook) for webhook in found]
    return page_of("webhooks", views, has_more, views[-1].id if views else None, after)


@router.get("/{webhook_id}")
async def read_webhook(webhook_id: str, call: CanRead) -> WebhookView:
    """One webhook."""
    async with transaction(call.engine) as session:
        return WebhookView.of(await rows.load_webhook(session, webhook_id, merchant_id=call.caller.merchant_id))


@router.post("/{webhook_id}/terms", status_code=200, response_model=WebhookView)
async def set_webhook_terms(webhook_id: str, body: WebhookTermsBody, call: CanWrite) -> Response:
    """Hear other events, or stand at another address. What still waits goes to the new address."""

    async def work(session: Session, _claim: Claim) -> WebhookView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        changed = await keeping.change_webhook(
            session, webhook, body.terms(), known_types=EVENT_NAMES, mode=call.door.settings.mode, by=_by(call),
            now=call.now,
        )  # fmt: skip
        return WebhookView.of(changed)

    return await once(call, work, status=200)


@router.get("/{webhook_id}/secrets")
async def read_webhook_secrets(webhook_id: str, call: CanWrite) -> list[WebhookSecretView]:
    """The secrets that events are signed with now, the newest first. Who reads them is written down."""
    key = required_key(call.door.settings)
    async with transaction(call.engine) as session:
        webhook = await rows.load_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        kept = await rows.secrets_of(session, [webhook.id], now=call.now)
        shown = secrets_of_now(key, kept)
        if kept and not shown:
            raise WebhookKeyDiffers(webhook_id=webhook.id)
        await keeping.log_secret_shown(session, webhook, by=_by(call), now=call.now)
    return [
        WebhookSecretView(
            number=each.number, secret=secret.expose(), created_at=each.created_at, expires_at=each.expires_at
        )
        for each, secret in shown
    ]  # fmt: skip


@router.post("/{webhook_id}/secrets", status_code=201, response_model=SecretRotationView)
async def rotate_webhook_secret(webhook_id: str, body: SecretRotationBody, call: CanWrite) -> Response:
    """Make a new secret. For the overlap every event carries a signature by each of the two."""

    async def work(session: Session, _claim: Claim) -> SecretRotationView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        secret = await keeping.rotate_secret(
            session, webhook, overlap=timedelta(hours=body.overlap_hours), key=required_key(call.door.settings),
            by=_by(call), now=call.now,
        )  # fmt: skip
        return SecretRotationView(webhook_id=webhook.id, number=secret.number, created_at=secret.created_at)

    return await once(call, work)


@router.post("/{webhook_id}/suspend", status_code=200, response_model=WebhookView)
async def suspend_webhook(webhook_id: str, call: CanWrite) -> Response:
    """Send nothing for a while; what waits is parked and can be replayed."""

    async def work(session: Session, _claim: Claim) -> WebhookView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        return WebhookView.of(
            await keeping.suspend(session, webhook, SuspensionReason.ASKED, by=_by(call), now=call.now)
        )

    return await once(call, work, status=200)


@router.post("/{webhook_id}/resume", status_code=200, response_model=WebhookView)
async def resume_webhook(webhook_id: str, call: CanWrite) -> Response:
    """Send again, from now on. What happened meanwhile is sent by a replay."""

    async def work(session: Session, _claim: Claim) -> WebhookView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        return WebhookView.of(await keeping.resume(session, webhook, by=_by(call), now=call.now))

    return await once(call, work, status=200)


@router.delete("/{webhook_id}")
async def delete_webhook(webhook_id: str, call: CanWrite) -> WebhookView:
    """Remove a webhook for good, and end its secrets. Again changes nothing."""
    async with transaction(call.engine) as session:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        return WebhookView.of(await keeping.remove(session, webhook, by=_by(call), now=call.now))


@router.post("/{webhook_id}/test", status_code=200, response_model=WholeDeliveryView)
async def run_webhook_test(webhook_id: str, call: CanWrite) -> Response:
    """Send ``webhook.tested`` to this webhook alone and at once, and tell what it answered. It is not tried again."""
    key = required_key(call.door.settings)

    async def intent(session: Session, claim: Claim) -> Letter:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        return await sending.letter_of_test(session, webhook, claim.resource_id, key=key, now=call.now)

    async def act(letter: Letter) -> sending.Sent:
        mode = call.door.settings.mode
        async with public_client(mode) as client:
            return await sending.send(client, mode, letter, now=call.door.clock.now())

    async def outcome(session: Session, letter: Letter, sent: sending.Sent) -> WholeDeliveryView:
        await sending.write_down(session, [sent], now=call.now, waits=())
        return await _whole(session, letter.webhook.id, letter.delivery.event.id)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="evt", status=200)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str,
    call: CanRead,
    state: State | None = None,
    type: str | None = None,  # noqa: A002  # its name on the wire
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[DeliveryView]:
    """What a webhook was told, or is to be told: the latest event first."""
    before = read_cursor("deliveries", after) or ""
    async with transaction(call.engine) as session:
        webhook = await rows.load_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        found, has_more = await rows.list_deliveries(
            session, webhook.id, state=state, type_=type, before=before, limit=limit
        )
    views = [DeliveryView.of(kept) for kept in found]
    return page_of("deliveries", views, has_more, views[-1].event_id if views else None, after)


@router.get("/{webhook_id}/deliveries/{event_id}")
async def read_delivery(webhook_id: str, event_id: str, call: CanRead) -> WholeDeliveryView:
    """One event for one webhook, with every call and its answer."""
    async with transaction(call.engine) as session:
        webhook = await rows.load_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        return await _whole(session, webhook.id, event_id)


@router.post("/{webhook_id}/deliveries/{event_id}/replay", status_code=202, response_model=WholeDeliveryView)
async def replay_delivery(webhook_id: str, event_id: str, call: CanWrite) -> Response:
    """Send one event again, under its own id: who has seen it knows it."""

    async def work(session: Session, _claim: Claim) -> WholeDeliveryView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        await replaying.replay_one(session, webhook, event_id, by=_by(call), now=call.now)
        return await _whole(session, webhook.id, event_id)

    return await once(call, work, status=202)


@router.post("/{webhook_id}/replay", status_code=202, response_model=ReplayView)
async def replay_deliveries(webhook_id: str, body: ReplayBody, call: CanWrite) -> Response:
    """Send the events of some days, up to 1,000 at a time: what was missed while the webhook was away."""
    names = () if body.event_types is None else named_by(body.event_types, EVENT_NAMES)

    async def work(session: Session, _claim: Claim) -> ReplayView:
        webhook = await rows.lock_webhook(session, webhook_id, merchant_id=call.caller.merchant_id)
        wished = ReplayRange(body.since, body.until, names, body.undelivered_only, body.after or "")
        replayed = await replaying.replay_many(session, webhook, wished, by=_by(call), now=call.now)
        return ReplayView(events=replayed.events, last_event_id=replayed.last_event_id, has_more=replayed.has_more)

    return await once(call, work, status=202)


async def _whole(session: Session, webhook_id: str, event_id: str) -> WholeDeliveryView:
    kept = await rows.load_delivery(session, webhook_id, event_id)
    if kept is None:
        raise DeliveryNotFound(webhook_id=webhook_id, event_id=event_id)
    (event,) = await outbox.load_events(session, [event_id])
    tries = await rows.tries_of(session, webhook_id, event_id)
    return WholeDeliveryView.model_validate(
        _told(kept) | {"tries": [DeliveryTryView.of(each) for each in tries], "event": EventView.of(event)}
    )
