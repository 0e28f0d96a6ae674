"""Cash links through the official client: a plate is set up, armed for each sale, switched off and moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from yookassa import Payment, PosLink, Webhook
from yookassa.domain.exceptions import BadRequestError, NotFoundError

from tests.contracts.conftest import Installation, Receiver, Shop, until
from tests.contracts.test_yookassa import configure, is_over


@pytest.fixture(scope="module")
def one_shop(installation: Installation) -> Shop:
    return installation.shop()


@pytest.fixture
def shop(installation: Installation, one_shop: Shop) -> Iterator[Shop]:
    configure(installation, one_shop)
    yield one_shop
    installation.faults()


def set_up(installation: Installation, gateway_id: str = "till-7") -> tuple[Any, str]:
    """A plate that stands at a till, and its link."""
    (link,) = installation.plates(1)
    return PosLink.create({"recipient": {"gateway_id": gateway_id}, "pos_link_data": {"link": link}}), link


def sale(link: Any, value: str = "250.00", **pos_link: Any) -> Any:
    return Payment.create({
        "amount": {"value": value, "currency": "RUB"},
        "capture": True,
        "confirmation": {"type": "external"},
        "pos_link": {"id": link.id, **pos_link},
    })  # fmt: skip


def test_a_plate_is_armed_for_each_sale_and_shows_the_last(
    installation: Installation, shop: Shop, receiver: Receiver
) -> None:
    Webhook.add({"event": "payment.succeeded", "url": receiver.url})
    link, payload = set_up(installation)
    assert (link.status, link.type, link.recipient.gateway_id, link.payment) == ("active", "nspk", "till-7", None)

    for value in ("250.00", "99.90"):
        made = sale(link, value)
        assert (made.status, made.confirmation.type, made.recipient.gateway_id) == ("pending", "external", "till-7")
        shown = PosLink.find_one(link.id)
        assert (shown.payment.id, shown.payment.status) == (made.id, "pending")
        installation.pays(payload)
        found = until(lambda made=made: Payment.find_one(made.id), is_over)
        assert (found.status, len(found.payment_method.sbp_operation_id)) == ("succeeded", 32)

    assert PosLink.find_one(link.id).payment.status == "succeeded"
    told = until(lambda: receiver.received, lambda received: len(received) == 2)
    assert {note["object"]["amount"]["value"] for note in told} == {"250.00", "99.90"}


def test_a_plate_takes_one_sale_at_a_time(installation: Installation, shop: Shop) -> None:
    link, _ = set_up(installation)
    sale(link)

    with pytest.raises(BadRequestError) as refused:
        sale(link)

    assert (refused.value.content["code"], refused.value.content["parameter"]) == ("invalid_request", "pos_link.id")


def test_switching_a_plate_off_takes_the_waiting_sale_back(installation: Installation, shop: Shop) -> None:
    link, _ = set_up(installation)
    waiting = sale(link)

    off = PosLink.deactivate(link.id)

    assert off.status == "inactive"
    found = until(lambda: Payment.find_one(waiting.id), is_over)
    assert (found.status, found.cancellation_details.reason) == ("canceled", "expired_on_confirmation")
    with pytest.raises(BadRequestError):
        sale(link)
    assert PosLink.activate(link.id).status == "active"
    assert sale(link).status == "pending"


def test_a_plate_moves_to_another_till_but_not_while_armed(installation: Installation, shop: Shop) -> None:
    link, _ = set_up(installation, "till-1")
    sale(link)
    with pytest.raises(BadRequestError):
        PosLink.change_recipient(link.id, {"recipient": {"gateway_id": "till-2"}})
    PosLink.deactivate(link.id)

    moved = PosLink.change_recipient(link.id, {"recipient": {"gateway_id": "till-2"}})

    assert moved.recipient.gateway_id == "till-2"
    PosLink.activate(link.id)
    assert sale(link).recipient.gateway_id == "till-2"


def test_the_same_plate_at_the_same_till_is_one_link(installation: Installation, shop: Shop) -> None:
    link, payload = set_up(installation)

    again = PosLink.create({"recipient": {"gateway_id": "till-7"}, "pos_link_data": {"link": payload}})

    assert again.id == link.id
    with pytest.raises(BadRequestError):
        PosLink.create({"recipient": {"gateway_id": "till-8"}, "pos_link_data": {"link": payload}})


@pytest.mark.parametrize("link", ["https://shop.example/plate", "https://qr.nspk.ru/AS1R0000000000000000000000NOBODY"])
def test_a_strange_plate_is_refused(link: str, shop: Shop) -> None:
    with pytest.raises(BadRequestError) as refused:
        PosLink.create({"recipient": {"gateway_id": "till-7"}, "pos_link_data": {"link": link}})

    assert refused.value.content["parameter"] == "pos_link_data.link"


@pytest.mark.parametrize("after", [timedelta(minutes=-1), timedelta(minutes=25)])
def test_a_plate_is_armed_for_1_to_20_minutes(after: timedelta, installation: Installation, shop: Shop) -> None:
    link, _ = set_up(installation)

    with pytest.raises(BadRequestError) as refused:
        sale(link, expires_at=(installation.now() + after).isoformat(timespec="milliseconds"))

    assert refused.value.content["parameter"] == "pos_link.expires_at"
    assert sale(link, expires_at=(installation.now() + timedelta(minutes=5)).isoformat()).status == "pending"


def test_a_plate_of_another_shop_does_not_exist(installation: Installation, shop: Shop) -> None:
    link, _ = set_up(installation)
    configure(installation, installation.shop())

    with pytest.raises(NotFoundError):
        PosLink.find_one(link.id)
    with pytest.raises(BadRequestError):
        sale(link)
