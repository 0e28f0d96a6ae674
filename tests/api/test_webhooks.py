"""Webhooks at the door and in the worker: signed, tried for three days, logged, replayed, suspended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from standardwebhooks.webhooks import WebhookVerificationError

from api.settings import Mode
from api.webhooks.keeping import WEBHOOKS_MAX
from api.webhooks.webhook import WAITS_SECONDS
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.test_callers import key_with
from tests.api.test_cash_links import terminal
from tests.api.webhook_world import Receiver, WebhookWorld, receiving, webhook_world
from tests.conftest import Database


@pytest_asyncio.fixture
async def world(client: Client, engine: Engine, database: Database) -> AsyncIterator[WebhookWorld]:
    async with webhook_world(client, engine, database.app_url) as made:
        yield made


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_an_event_arrives_signed_as_standard_webhooks_wants_it(world: WebhookWorld, receiver: Receiver) -> None:
    webhook = await world.add(receiver.url, "order.*")
    event_id = await world.happen("order.paid")
    await world.happen("payout.sent")

    assert await world.work() == 1
    assert await world.work() == 0

    (secret,) = await world.secrets(webhook)
    (call,) = receiver.received
    told = call.verified(secret)
    assert (told["type"], told["id"], told["sequence"], told["data"]) == (
        "order.paid", event_id, 1, {"order_id": "ord_1"},
    )  # fmt: skip
    assert call.id == event_id
    with pytest.raises(WebhookVerificationError):
        call.verified("whsec_" + "A" * 43 + "=")
    log = await world.delivery(webhook, event_id)
    assert (log["state"], log["attempts"], log["tries"][0]["http_status"]) == ("delivered", 1, 204)


async def test_a_new_secret_and_the_old_one_both_count_until_the_overlap_ends(
    world: WebhookWorld, receiver: Receiver
) -> None:
    webhook = await world.add(receiver.url)
    (old,) = await world.secrets(webhook)
    rotated = await world.client.post(f"/v1/webhooks/{webhook['id']}/secrets", {"overlap_hours": 2})
    new, kept = await world.secrets(webhook)

    await world.happen()
    await world.work()
    world.later(hours=3)
    await world.happen()
    await world.work()

    assert (rotated.status_code, rotated.json()["number"], kept) == (201, 2, old)
    assert "whsec_" not in rotated.text
    during, after = receiver.received
    for secret in (old, new):
        assert during.verified(secret)
    assert after.verified(new)
    with pytest.raises(WebhookVerificationError):
        after.verified(old)
    assert await world.secrets(webhook) == [new]


async def test_what_is_not_taken_is_tried_for_three_days_and_then_the_webhook_is_suspended_with_notice(
    world: WebhookWorld, receiver: Receiver
) -> None:
    receiver.status, receiver.answer = 503, "touch 4111111111111111 later\0"
    webhook = await world.add(receiver.url, "order.*")
    watcher = await world.add(receiver.url.replace("/hook", "/watch"), "webhook.*")
    event_id = await world.happen()
    await world.happen("order.paid")
    await world.work()
    for wait in WAITS_SECONDS:
        assert (await world.read(webhook))["failing_since"] is not None
        assert await world.work() == 0
        world.later(seconds=wait)
        await world.work()

    log = await world.delivery(webhook, event_id)
    assert (log["state"], log["attempts"]) == ("parked", len(WAITS_SECONDS) + 1)
    assert "4111111111111111" not in log["tries"][0]["answer"]
    assert log["tries"][0]["answer"].startswith("touch ")
    after = await world.read(webhook)
    assert (after["status"], after["suspension_reason"]) == ("suspended", "failing")
    receiver.status = 204
    await world.work()
    notice = receiver.received[-1].verified((await world.secrets(watcher))[0])
    assert (notice["type"], notice["object_id"]) == ("webhook.suspended", webhook["id"])
    assert notice["data"]["suspension_reason"] == "failing"


async def test_one_that_fails_holds_up_nobody_and_is_sound_again_when_it_takes_an_event(
    world: WebhookWorld, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    webhook = await world.add(receiver.url)
    object_id = "ord_00000000000000000000000001"
    first = await world.happen(object_id=object_id)
    await world.work()
    second = await world.happen(object_id=object_id)
    await world.work()
    assert (await world.read(webhook))["failing_since"] is not None
    assert receiver.received[0].id == first
    assert second not in [call.id for call in receiver.received]

    world.later(seconds=6)
    await world.work()
    await world.work()

    assert [call.id for call in receiver.received if call.id in (first, second)] == [first, first, second]
    assert (await world.read(webhook))["failing_since"] is None


async def test_a_webhook_that_says_it_is_gone_is_suspended_at_once_and_can_be_resumed(
    world: WebhookWorld, receiver: Receiver
) -> None:
    webhook = await world.add(receiver.url, "order.paid")
    receiver.statuses = [410, 410]
    missed = [await world.happen(), await world.happen()]
    await world.work()

    assert (await world.read(webhook))["suspension_reason"] == "gone"
    refused = await world.client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{missed[0]}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhooks.suspended")
    missed.append(await world.happen())
    await world.work()
    for _ in range(2):
        assert (await world.client.post(f"/v1/webhooks/{webhook['id']}/resume")).json()["status"] == "active"
    receiver.received.clear()
    replayed = await world.client.post(f"/v1/webhooks/{webhook['id']}/replay", around(world))
    while await world.work():
        pass

    assert (replayed.json()["events"], replayed.json()["has_more"]) == (3, False)
    assert sorted(call.id for call in receiver.received) == missed


def around(world: WebhookWorld, **more: Any) -> dict[str, Any]:
    """A range of an hour about now."""
    now = world.clock.now()
    since, until = now.replace(microsecond=0).timestamp() - 1800, now.timestamp() + 1800
    stamp = type(now).fromtimestamp
    return {
        "since": stamp(since, now.tzinfo).isoformat().replace("+00:00", "Z"),
        "until": stamp(until, now.tzinfo).isoformat().replace("+00:00", "Z"), **more,
    }  # fmt: skip


async def test_one_event_and_many_are_sent_again_under_their_own_ids(world: WebhookWorld, receiver: Receiver) -> None:
    webhook = await world.add(receiver.url, "order.paid")
    ids = [await world.happen() for _ in range(3)]
    while await world.work():
        pass
    receiver.received.clear()

    again = await world.client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{ids[1]}/replay")
    pending = await world.client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{ids[1]}/replay")
    await world.work()
    none = await world.client.post(f"/v1/webhooks/{webhook['id']}/replay", around(world))
    every = await world.client.post(f"/v1/webhooks/{webhook['id']}/replay", around(world, undelivered_only=False))
    while await world.work():
        pass

    assert (again.status_code, again.json()["state"], pending.status_code) == (202, "pending", 409)
    assert pending.json()["code"] == "webhooks.delivery_pending"
    assert (none.json()["events"], every.json()["events"]) == (0, 3)
    assert sorted(call.id for call in receiver.received) == sorted([ids[1], *ids])
    log = await world.delivery(webhook, ids[1])
    assert [tried["number"] for tried in log["tries"]] == [3, 2, 1]


async def test_a_test_event_goes_to_this_webhook_alone_and_its_answer_is_told(
    world: WebhookWorld, receiver: Receiver
) -> None:
    webhook = await world.add(receiver.url)
    await world.add(receiver.url.replace("/hook", "/other"))
    receiver.statuses = [418]
    await world.client.post(f"/v1/webhooks/{webhook['id']}/suspend")

    sent = await world.client.post(f"/v1/webhooks/{webhook['id']}/test", key="one-test-of-a-webhook")
    again = await world.client.post(f"/v1/webhooks/{webhook['id']}/test", key="one-test-of-a-webhook")

    assert (sent.status_code, sent.json()["state"], sent.json()["tries"][0]["http_status"]) == (200, "parked", 418)
    assert again.json() == sent.json()
    (call,) = receiver.received
    assert call.verified((await world.secrets(webhook))[0])["type"] == "webhook.tested"


async def test_nothing_is_tested_under_another_key_of_the_house_until_there_is_a_new_secret(
    world: WebhookWorld, receiver: Receiver
) -> None:
    webhook = await world.add(receiver.url)
    path, door = f"/v1/webhooks/{webhook['id']}", world.client.app.state.door
    door.settings = door.settings.model_copy(update={"webhooks_key": SecretStr("another key of the house, k" * 2)})

    refused, shown = await world.client.post(f"{path}/test"), await world.client.get(f"{path}/secrets")
    await world.client.post(f"{path}/secrets", {"overlap_hours": 24})
    sent = await world.client.post(f"{path}/test")

    for answer in (refused, shown):
        said = answer.json()
        assert (answer.status_code, said["code"], said["retryable"]) == (409, "webhooks.key_differs", False)
    assert sent.status_code == 200, sent.text
    (call,) = receiver.received
    assert call.verified((await world.secrets(webhook))[0])["type"] == "webhook.tested"


async def test_a_redirect_is_followed_nowhere(world: WebhookWorld, receiver: Receiver) -> None:
    webhook = await world.add(receiver.url, "order.paid")
    receiver.status = 307
    event_id = await world.happen()
    await world.work()

    assert (await world.delivery(webhook, event_id))["last_error"] == "answer 307"


async def test_a_merchant_sees_and_hears_its_own_alone(
    world: WebhookWorld, receiver: Receiver, client: Client, engine: Engine
) -> None:
    mine, other = str((await terminal(client))["merchant_id"]), str((await terminal(client))["merchant_id"])
    _, key = await key_with(engine, "events:read", "webhooks:write", merchant_id=mine)
    own = {"headers": {"authorization": f"Bearer {key}"}}
    foreign = await world.add(receiver.url.replace("/hook", "/foreign"), merchant_id=other)
    wanted = {"url": receiver.url, "event_types": ["*"]}
    in_anothers_name = await client.post("/v1/webhooks", {**wanted, "merchant_id": other}, **own)
    made = await client.post("/v1/webhooks", wanted, **own)
    webhook = made.json()
    heard = await world.happen(merchant_id=mine)
    await world.happen(merchant_id=other)
    await world.happen()
    while await world.work():
        pass

    assert (in_anothers_name.status_code, in_anothers_name.json()["code"]) == (404, "checkout.merchant_not_found")
    assert (made.status_code, webhook["merchant_id"]) == (201, mine)
    to_mine = [call.id for call in receiver.received if call.headers["Host"] and "order.paid" in call.body.decode()]
    assert heard in to_mine
    listed = await client.get(f"/v1/webhooks/{webhook['id']}/deliveries?type=order.paid", **own)
    assert [item["event_id"] for item in listed.json()["items"]] == [heard]
    assert [item["id"] for item in (await client.get("/v1/webhooks", **own)).json()["items"]] == [webhook["id"]]
    for path in ("", "/secrets", "/deliveries", f"/deliveries/{heard}"):
        answer = await client.get(f"/v1/webhooks/{foreign['id']}{path}", **own)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhooks.webhook_not_found"), path
    for path, body in (("suspend", None), ("resume", None), ("test", None), ("secrets", {}), ("replay", around(world))):
        answer = await client.post(f"/v1/webhooks/{foreign['id']}/{path}", body, **own)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhooks.webhook_not_found"), path
    assert (await client.send("DELETE", f"/v1/webhooks/{foreign['id']}", **own)).status_code == 404


REFUSALS = [
    pytest.param({"url": "http://shop.example/hook"}, "api.address_refused", id="not https"),
    pytest.param({"url": "https://10.1.2.3/hook"}, "api.address_refused", id="a private address"),
    pytest.param({"url": "https://169.254.169.254/latest"}, "api.address_refused", id="the cloud's metadata"),
    pytest.param({"url": "https://[::ffff:10.0.0.1]/"}, "api.address_refused", id="private inside IPv6"),
    pytest.param({"url": "https://shop.example:22/"}, "api.address_refused", id="another port"),
    pytest.param({"url": "https://user:secret@shop.example/"}, "api.address_refused", id="a password"),
    pytest.param({"url": "https://db.internal/"}, "api.address_refused", id="an inner name"),
    pytest.param({"url": "ftp://shop.example/"}, "api.request_invalid", id="not http"),
    pytest.param({"url": "https://" + "a" * 3000}, "api.request_invalid", id="too long"),
    pytest.param({"event_types": []}, "api.request_invalid", id="no event"),
    pytest.param({"event_types": ["order.eaten"]}, "webhooks.event_type_unknown", id="an unknown event"),
    pytest.param({"event_types": ["eaten.*"]}, "webhooks.event_type_unknown", id="an unknown object"),
    pytest.param({"event_types": ["order"]}, "api.request_invalid", id="not a name"),
    pytest.param({"merchant_id": "mer_1"}, "checkout.merchant_not_found", id="an unknown merchant"),
    pytest.param({"description": "a\u0000b"}, "api.json_invalid", id="a zero character"),
]


@pytest.mark.parametrize(("more", "code"), REFUSALS)
async def test_what_may_not_be_a_webhook_is_refused(client: Client, more: dict[str, Any], code: str) -> None:
    body = {"url": "https://shop.example/hook", "event_types": ["*"], **more}

    refused = await client.post("/v1/webhooks", body)

    assert refused.json()["code"] == code
    assert (await client.get("/v1/webhooks")).json()["items"] == []


async def test_a_removed_webhook_is_told_nothing_and_stays_removed(world: WebhookWorld, receiver: Receiver) -> None:
    webhook = await world.add(receiver.url, "order.paid")
    event_id = await world.happen()

    for _ in range(2):
        removed = await world.client.send("DELETE", f"/v1/webhooks/{webhook['id']}")
        assert removed.json()["status"] == "removed"

    assert await world.work() == 0
    assert (await world.client.get(f"/v1/webhooks/{webhook['id']}/secrets")).json()["code"] == "webhooks.removed"
    for path, body in (("resume", None), ("suspend", None), ("test", None), ("secrets", {}), ("replay", around(world))):
        answer = await world.client.post(f"/v1/webhooks/{webhook['id']}/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "webhooks.removed"), path
    changed = await world.client.post(
        f"/v1/webhooks/{webhook['id']}/terms", {"url": receiver.url, "event_types": ["*"]}
    )
    assert changed.status_code == 409
    missing = await world.client.get(f"/v1/webhooks/{webhook['id']}/deliveries/{event_id}")
    assert missing.json()["code"] == "webhooks.delivery_not_found"


async def test_other_terms_count_from_now_on(world: WebhookWorld, receiver: Receiver) -> None:
    webhook = await world.add("https://shop.example/never", "order.paid")
    terms = {"url": receiver.url, "event_types": ["payout.*"], "description": "касса 2"}

    changed = await world.client.post(f"/v1/webhooks/{webhook['id']}/terms", terms)
    await world.happen("order.paid")
    await world.happen("payout.sent")
    await world.work()

    assert (changed.status_code, changed.json()["description"]) == (200, "касса 2")
    assert [b"payout.sent" in call.body for call in receiver.received] == [True]


async def test_a_merchant_has_a_limited_number_of_webhooks(world: WebhookWorld) -> None:
    for number in range(WEBHOOKS_MAX):
        await world.add(f"https://shop.example/{number}")

    refused = await world.client.post("/v1/webhooks", {"url": "https://shop.example/x", "event_types": ["*"]})

    assert (refused.status_code, refused.json()["code"]) == (422, "webhooks.too_many")


@pytest.mark.parametrize("days", [0, 32], ids=["nothing", "more than a month"])
async def test_a_replay_has_a_range_of_days(world: WebhookWorld, days: int) -> None:
    webhook = await world.add("https://shop.example/hook")
    body = {"since": "2026-10-01T00:00:00Z", "until": f"2026-{10 + days // 31:02}-{1 + days % 31:02}T00:00:00Z"}

    refused = await world.client.post(f"/v1/webhooks/{webhook['id']}/replay", body)

    assert (refused.status_code, refused.json()["code"]) == (422, "webhooks.replay_range_refused")


async def test_production_without_a_key_signs_nothing_and_says_so(client: Client) -> None:
    door = client.app.state.door
    door.settings = door.settings.model_copy(update={"mode": Mode.PRODUCTION})

    refused = await client.post("/v1/webhooks", {"url": "https://shop.example/hook", "event_types": ["*"]})

    assert (refused.status_code, refused.json()["code"]) == (503, "webhooks.not_configured")


async def test_every_kind_of_event_is_listed_with_its_fields(client: Client) -> None:
    listed = (await client.get("/v1/event-types")).json()

    paid = next(each for each in listed if each["name"] == "order.paid")
    assert {"order_id", "amount_kopecks", "payment_id"} <= {field["name"] for field in paid["fields"]}
