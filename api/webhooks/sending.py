"""Events on their way to webhooks: chosen once, signed, sent, and written down.

The outbox keeps what happened and counts deliveries; a reader of its own chooses the webhooks of each
event. Webhooks that fail are served apart, so that their silence holds up nobody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import aiohttp
import structlog

from api.errors import AddressRefused
from api.public_addresses import check_url
from api.settings import Mode, Settings
from api.webhooks import keeping
from api.webhooks import repository as rows
from api.webhooks.errors import WebhookKeyDiffers
from api.webhooks.replaying import TESTED, begin_test
from api.webhooks.repository import DeliveryTry
from api.webhooks.signing import secrets_of_now, signed_headers, webhooks_key
from api.webhooks.webhook import (
    FAILING_MAX,
    GONE,
    WAITS_SECONDS,
    SuspensionReason,
    Webhook,
    WebhookStatus,
    refuse_removed,
)
from api.wire import show_instant
from ledger import outbox
from ledger.clock import Clock, machine_now, monotonic
from ledger.database import Engine, Session, is_in_transaction, transaction
from ledger.outbox import Delivery, Published, is_last_try
from pci.redaction import redact_text
from pci.secret import Secret

READER = "webhooks"
"""The name of the reader's position in the outbox."""
WEBHOOKS_AT_ONCE_MAX = 20
DELIVERIES_MAX = 10
"""For one webhook at once; with the limits on sending, a round ends well within a lease."""
ANSWER_BYTES_MAX = 4_000
ANSWER_CHARACTERS_MAX = 1_000
"""How much of an answer is kept in the log."""
USER_AGENT = "Kopeyka-Webhooks/1"

log = structlog.get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class Letter:
    """An event for one webhook, with all that is needed to send it."""

    webhook: Webhook
    delivery: Delivery
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """How it went."""

    letter: Letter
    tried: DeliveryTry

    @property
    def error(self) -> str | None:
        """What went wrong; nothing when the event was taken."""
        status = self.tried.http_status
        if status is None:
            return self.tried.error
        return None if 200 <= status < 300 else f"answer {status}"


async def choose_webhooks(engine: Engine, clock: Clock) -> int:
    """Make deliveries of new events for the webhooks that hear them; how many events there were."""
    async with transaction(engine) as session:
        active = await rows.active_webhooks(session)
        if not active:
            return 0
        events = await outbox.read_next(session, READER)
        await outbox.add_deliveries(session, chosen_of(events, active), now=clock.now())
    return len(events)


def chosen_of(events: Sequence[Published], webhooks: Sequence[Webhook]) -> list[tuple[Published, str]]:
    """Which webhooks are told of which events: those that hear them and were there when they happened.

    None is told of itself: whoever changed it knows, and one that fails would only fail once more.
    """
    return [
        (event, webhook.destination)
        for event in events
        if event.type != TESTED
        for webhook in webhooks
        if webhook.id != event.object_id
        and webhook.created_at <= event.created_at
        and webhook.hears(event.type, event.merchant_id)
    ]


async def send_due(
    engine: Engine, client: aiohttp.ClientSession, settings: Settings, clock: Clock, *, are_failing: bool
) -> int:
    """Send what is due to the sound webhooks, or to the failing ones; how many calls were made."""
    key = webhooks_key(settings)
    if key is None:
        return 0
    async with transaction(engine) as session:
        letters = await _claim_due(session, key, are_failing=are_failing, now=clock.now())
    if letters:
        sent = await asyncio.gather(*(send(client, settings.mode, letter, now=clock.now()) for letter in letters))
        async with transaction(engine) as session:
            await write_down(session, sent, now=clock.now())
    return len(letters)


async def _claim_due(session: Session, key: Secret, *, are_failing: bool, now: datetime) -> list[Letter]:
    webhooks = await rows.due_webhooks(session, are_failing=are_failing, now=now, limit=WEBHOOKS_AT_ONCE_MAX)
    secrets = await open_secrets(session, webhooks, key, now=now) if webhooks else {}
    return [
        Letter(webhook, delivery, secrets[webhook.id])
        for webhook in webhooks
        if secrets[webhook.id]
        for delivery in await outbox.claim(session, webhook.destination, now=now, limit=DELIVERIES_MAX)
    ]


async def open_secrets(
    session: Session, webhooks: Sequence[Webhook], key: Secret, *, now: datetime
) -> Mapping[str, tuple[Secret, ...]]:
    """What each webhook's events are signed with. None where the house's key is another: its events wait."""
    found: dict[str, list[Secret]] = {webhook.id: [] for webhook in webhooks}
    for kept, secret in secrets_of_now(key, await rows.secrets_of(session, list(found), now=now)):
        found[kept.webhook_id].append(secret)
    return {webhook_id: tuple(secrets) for webhook_id, secrets in found.items()}


async def letter_of_test(session: Session, webhook: Webhook, event_id: str, *, key: Secret, now: datetime) -> Letter:
    """A test event under this id, with what it is signed by. The webhook is locked.

    Raises: WebhookRemoved, WebhookKeyDiffers.
    """
    secrets = (await open_secrets(session, [refuse_removed(webhook)], key, now=now))[webhook.id]
    if not secrets:
        raise WebhookKeyDiffers(webhook_id=webhook.id)
    return Letter(webhook, await begin_test(session, webhook, event_id, now=now), secrets)


def body_of(event: Published) -> bytes:
    """What is sent of an event: the same bytes at every try."""
    told = {
        "type": event.type, "timestamp": show_instant(event.created_at), "id": event.id,
        "object_id": event.object_id, "sequence": event.sequence, "data": event.data,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


async def send(client: aiohttp.ClientSession, mode: Mode, letter: Letter, *, now: datetime) -> Sent:
    """Call a webhook with one event, and say how it went."""
    assert not is_in_transaction(), "an event is sent while a transaction is open"
    begun = monotonic()
    event, webhook = letter.delivery.event, letter.webhook
    status, answer, error = await _post(client, mode, webhook.url, event, letter.secrets)
    tried = DeliveryTry(
        webhook.id, event.id, letter.delivery.attempt, webhook.url, now, int((monotonic() - begun) * 1000), status,
        answer, error,
    )  # fmt: skip
    return Sent(letter, tried)


async def _post(
    client: aiohttp.ClientSession, mode: Mode, url: str, event: Published, secrets: Sequence[Secret]
) -> tuple[int | None, str | None, str | None]:
    """The answer's status and beginning, or what kept us from one."""
    body = body_of(event)
    headers = {
        "content-type": "application/json", "user-agent": USER_AGENT,
        **signed_headers(event.id, body, secrets, at=machine_now()),
    }  # fmt: skip
    try:
        where = check_url(url, mode)
        async with client.post(where, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, _shown(await response.content.read(ANSWER_BYTES_MAX)), None
    except (aiohttp.ClientError, TimeoutError, OSError, AddressRefused) as error:
        return None, None, type(error).__name__


def _shown(answer: bytes) -> str:
    return redact_text(answer.decode("utf-8", "replace").replace("\0", "\ufffd"))[:ANSWER_CHARACTERS_MAX]


async def write_down(
    session: Session, sent: Sequence[Sent], *, now: datetime, waits: Sequence[int] = WAITS_SECONDS
) -> None:
    """Keep how calls went: the log, the deliveries, and what it says of the webhooks.

    Locks: the deliveries, then the webhooks, in the order of their ids.
    """
    await rows.add_tries(session, [each.tried for each in sent])
    for webhook_id in sorted({each.letter.webhook.id for each in sent}):
        mine = [each for each in sent if each.letter.webhook.id == webhook_id]
        outcomes = [(each.letter.delivery, each.error) for each in mine]
        await outbox.settle(session, mine[0].letter.webhook.destination, outcomes, now=now, waits=waits)
        await _judge(session, mine, now)


async def _judge(session: Session, sent: Sequence[Sent], now: datetime) -> None:
    """A webhook that takes events is sound; one that is gone, or took nothing for three days, is suspended."""
    seen = sent[0].letter.webhook
    is_sound = any(each.error is None for each in sent)
    is_gone = any(each.tried.http_status == GONE for each in sent)
    if is_sound and not is_gone and seen.failing_since is None:
        return
    webhook = await rows.lock_webhook(session, seen.id, merchant_id=None)
    if webhook.status is not WebhookStatus.ACTIVE:
        return
    since = None if is_sound else webhook.failing_since or now
    if since != webhook.failing_since:
        webhook = replace(webhook, failing_since=since)
        await rows.save_webhook(session, webhook)
    reason = _reason_to_suspend(webhook, sent, is_gone=is_gone, now=now)
    if reason is not None:
        await keeping.suspend(session, webhook, reason, by=keeping.BY_ITSELF, now=now)
        log.warning("webhook_suspended", webhook_id=webhook.id, reason=reason.value)


def _reason_to_suspend(
    webhook: Webhook, sent: Sequence[Sent], *, is_gone: bool, now: datetime
) -> SuspensionReason | None:
    if is_gone:
        return SuspensionReason.GONE
    has_given_up = any(is_last_try(each.letter.delivery, WAITS_SECONDS) for each in sent if each.error is not None)
    is_long = webhook.failing_since is not None and now - webhook.failing_since >= FAILING_MAX
    return SuspensionReason.FAILING if has_given_up and is_long else None
