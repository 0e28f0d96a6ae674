"""Shops are told of every status, in order, until they take it, and never at an address of ours."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from tbank.dolyame import models
from tbank.dolyame.webhooks import parse_notification

from api.contracts.dolyame.errors import NotificationUrlRefused
from api.contracts.dolyame.notifications import refuse_private, send_note
from api.contracts.dolyame.shops import Profile
from api.public_addresses import public_client
from api.settings import Mode
from tests.contracts.conftest import Receiver, until
from tests.contracts.dolyame_world import LAMP, RUG, DolyameWorld, ShopAccess

ALL = ["approved", "wait_for_commit", "committed", "completed"]


@pytest.fixture(scope="module")
def shop(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.another_shop()


def statuses(receiver: Receiver) -> list[str]:
    return [note["status"] for note in receiver.received]


def test_each_status_is_told_once_in_order_with_the_buyer_masked(
    dolyame_world: DolyameWorld, shop: ShopAccess, receiver: Receiver
) -> None:
    client = models.ClientInfo(first_name="Иван", last_name="Петров", phone="+79993334444", email="test@yandex.ru")

    order_id = dolyame_world.completed(shop, receiver=receiver, client_info=client)

    until(lambda: statuses(receiver), lambda told: len(told) >= len(ALL))
    assert statuses(receiver) == ALL
    held = receiver.received[0]
    assert (held["id"], held["demo"], held["amount"], held["residual_amount"]) == (order_id, True, 10000.56, 7500.42)
    assert [part["status"] for part in held["payment_schedule"]] == ["hold", "scheduled", "scheduled", "scheduled"]
    assert held["client_info"] == {
        "first_name": "Иван", "last_name": "П.", "phone": "+7******4444", "email": "t**@y*.ru",
    }  # fmt: skip
    last = parse_notification(receiver.received[-1])
    assert last.payment_schedule[0].status.value == "paid"
    assert last.amount == Decimal("10000.56")


def test_what_is_not_taken_is_told_again_before_anything_later(
    dolyame_world: DolyameWorld, shop: ShopAccess, receiver: Receiver
) -> None:
    receiver.answers = [503, 500, 302]

    order_id = dolyame_world.completed(shop, receiver=receiver)

    def told_sooner() -> list[str]:
        """How long it waits between tries is tested with the outbox."""
        dolyame_world.sql(
            """UPDATE deliveries AS d SET next_attempt_at = now()
                 FROM dolyame_notifications AS n JOIN installment_plans AS p ON p.id = n.plan_id
                WHERE d.event_id = n.event_id AND p.order_number = %s AND d.state = 'pending' AND d.attempts > 0
                  AND d.lease_until IS NULL""", order_id,
        )  # fmt: skip
        return statuses(receiver)

    until(told_sooner, lambda told: told[-1:] == ["completed"], 180)
    assert statuses(receiver) == ["approved"] * 3 + ALL
    assert receiver.received[0] == receiver.received[3]
    tries = dolyame_world.sql(
        """SELECT n.status, d.attempts, d.state FROM dolyame_notifications AS n
             JOIN deliveries AS d ON d.event_id = n.event_id JOIN installment_plans AS p ON p.id = n.plan_id
            WHERE p.order_number = %s ORDER BY d.sequence""", order_id,
    )  # fmt: skip
    assert tries[0] == ("approved", 4, "delivered")


def test_goods_that_come_back_are_told_although_the_status_stays(
    dolyame_world: DolyameWorld, shop: ShopAccess, receiver: Receiver
) -> None:
    order_id = dolyame_world.completed(shop, receiver=receiver)

    shop.client().refund(order_id, models.RefundRequest(amount=RUG.price, returned_items=[RUG]))

    until(lambda: statuses(receiver), lambda told: len(told) > len(ALL))
    assert statuses(receiver) == [*ALL, "completed"]
    assert receiver.received[-1]["amount"] == 7000.56


@pytest.mark.parametrize(
    ("profile", "last"), [(Profile.STRICT, ["completed"]), (Profile.PRODUCTION, ["completed", "refunded"])]
)
def test_a_full_refund_is_told_as_the_profile_bears(
    profile: Profile, last: list[str], dolyame_world: DolyameWorld, receiver: Receiver
) -> None:
    shop = dolyame_world.another_shop(profile)
    order_id = dolyame_world.completed(shop, receiver=receiver)

    back = shop.raw("POST", f"/orders/{order_id}/refund", b"""{"amount": 10000.56, "returned_items": [
        {"name": "\xd0\x9b\xd0\xb0\xd0\xbc\xd0\xbf\xd0\xb0", "quantity": 1, "price": 7000.56, "sku": "lamp"},
        {"name": "rug", "quantity": 1, "price": 3000, "sku": "rug"}]}""")  # fmt: skip
    assert back.status == 200, back.body
    marker = dolyame_world.held(shop, (LAMP,), receiver=receiver)  # another word would have come before its last

    until(lambda: [note for note in receiver.received if note["id"] == marker], lambda told: len(told) == 2)
    until(lambda: told_of(order_id, receiver), lambda told: len(told) >= len([*ALL, *last]))
    assert told_of(order_id, receiver) == [*ALL, *last]


def told_of(order_id: str, receiver: Receiver) -> list[str]:
    return [note["status"] for note in receiver.received if note["id"] == order_id]


def test_an_order_that_is_given_up_is_told_as_canceled(
    dolyame_world: DolyameWorld, shop: ShopAccess, receiver: Receiver
) -> None:
    order_id = dolyame_world.held(shop, receiver=receiver)

    shop.client().cancel(order_id)

    until(lambda: statuses(receiver), lambda told: told[-1:] == ["canceled"])
    assert statuses(receiver) == ["approved", "wait_for_commit", "canceled"]
    assert receiver.received[-1]["residual_amount"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook", "https://10.1.2.3/hook", "https://127.0.0.1/hook", "https://[::1]/", "ftp://x/",
        "https://user:secret@shop.example/", "https://localhost/hook", "https://169.254.169.254/latest",
    ],
)  # fmt: skip
def test_production_tells_nobody_at_a_private_address(url: str) -> None:
    with pytest.raises(NotificationUrlRefused):
        refuse_private(url, Mode.PRODUCTION)


async def test_a_name_that_leads_to_this_machine_is_not_told_in_production(monkeypatch: Any) -> None:
    def here(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    client: aiohttp.ClientSession = public_client(Mode.PRODUCTION)
    async with client:
        said = await send_note(client, Mode.PRODUCTION, "https://shop.example/hook", b"{}")

    assert said is not None
