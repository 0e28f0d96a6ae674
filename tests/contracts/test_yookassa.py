"""The official client of YooKassa, unmodified, drives our contract over TLS."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from yookassa import Configuration, Payment, Refund, SbpBanks, Webhook
from yookassa.domain.exceptions import BadRequestError, ForbiddenError, NotFoundError, UnauthorizedError
from yookassa.domain.notification import WebhookNotificationFactory

from tests.contracts.conftest import Installation, Receiver, Shop, until

QR: dict[str, Any] = {
    "amount": {"value": "1499.90", "currency": "RUB"},
    "capture": True,
    "payment_method_data": {"type": "sbp"},
    "confirmation": {"type": "qr"},
    "description": "Заказ № 37",
}


def configure(installation: Installation, shop: Shop, **options: Any) -> None:
    Configuration.configure(shop.id, shop.secret, api_url=installation.contract_url, verify=installation.ca, **options)


@pytest.fixture(scope="module")
def one_shop(installation: Installation) -> Shop:
    return installation.shop()


@pytest.fixture
def shop(installation: Installation, one_shop: Shop) -> Iterator[Shop]:
    configure(installation, one_shop)
    yield one_shop
    installation.faults()


def is_over(payment: Any) -> bool:
    return bool(payment.status != "pending")


def paid(installation: Installation, **changes: Any) -> Any:
    """A payment that its buyer has made."""
    made = Payment.create({**QR, **changes})
    installation.pays(made.confirmation.confirmation_data)
    return until(lambda: Payment.find_one(made.id), is_over)


def test_a_payment_by_qr_is_created_paid_and_read(installation: Installation, shop: Shop) -> None:
    made = Payment.create({**QR, "metadata": {"order": "37"}})

    assert (made.status, made.paid, made.test, len(made.id)) == ("pending", False, True, 36)
    assert made.amount.value == Decimal("1499.90")
    assert made.confirmation.confirmation_data.startswith("https://qr.nspk.ru/AD")
    assert (made.recipient.account_id, made.recipient.gateway_id) == (shop.id, "default")
    installation.pays(made.confirmation.confirmation_data)
    found = until(lambda: Payment.find_one(made.id), is_over)
    assert (found.status, found.paid, found.refundable) == ("succeeded", True, True)
    assert found.metadata == {"order": "37", "cms_name": "yookassa_sdk_python"}
    assert found.description == "Заказ № 37"
    assert found.income_amount.value == Decimal("1493.91")  # less 0.4 %
    assert (found.payment_method.type, len(found.payment_method.sbp_operation_id)) == ("sbp", 32)
    assert found.confirmation is None


def test_a_redirect_leads_to_the_page_of_the_link(shop: Shop) -> None:
    made = Payment.create({**QR, "confirmation": {"type": "redirect", "return_url": "https://shop.example/thanks"}})

    assert made.confirmation.confirmation_url.startswith("https://qr.nspk.ru/AD")


def test_a_buyer_who_refuses_cancels_the_payment(installation: Installation, shop: Shop) -> None:
    made = Payment.create(QR)

    installation.pays(made.confirmation.confirmation_data, outcome="rejected")

    found = until(lambda: Payment.find_one(made.id), is_over)
    assert (found.status, found.paid) == ("canceled", False)
    assert (found.cancellation_details.party, found.cancellation_details.reason) == (
        "payment_network", "general_decline",
    )  # fmt: skip


def test_the_same_key_gives_the_same_payment_and_another_body_is_refused(shop: Shop) -> None:
    key = str(uuid.uuid4())

    first, second = Payment.create(QR, key), Payment.create(QR, key)

    assert (first.id, dict(first)) == (second.id, dict(second))
    with pytest.raises(BadRequestError) as refused:
        Payment.create({**QR, "amount": {"value": "1.00", "currency": "RUB"}}, key)
    said = refused.value.content
    assert (said["type"], said["code"], said["parameter"]) == ("error", "invalid_request", "Idempotence-Key")
    assert said["description"] == "Idempotence key duplicated"


@pytest.mark.parametrize("act", [Payment.cancel, Payment.capture])
def test_a_payment_without_a_hold_is_neither_captured_nor_canceled(act: Any, shop: Shop) -> None:
    made = Payment.create(QR)

    with pytest.raises(BadRequestError) as refused:
        act(made.id)

    assert refused.value.content["code"] == "invalid_request"
    assert Payment.find_one(made.id).status == "pending"


def test_a_lost_answer_of_nspk_is_processing_until_the_client_asks_again(
    installation: Installation, shop: Shop
) -> None:
    installation.faults(lost_answer=1.0, seed=1)
    heal_at = time.monotonic() + 1.0
    configure(installation, shop, timeout=200, max_attempts=10)
    healer = threading.Timer(heal_at - time.monotonic(), installation.faults)
    healer.start()

    made = Payment.create(QR)  # 202 at first; the client itself repeats with the same key

    healer.join()
    assert time.monotonic() > heal_at
    assert made.status == "pending", dict(made)
    assert made.confirmation.confirmation_data.startswith("https://qr.nspk.ru/AD")
    assert [found.id for found in Payment.list({"limit": 2}).items].count(made.id) == 1


def test_payments_are_listed_newest_first_by_cursor_and_filter(installation: Installation) -> None:
    shop = installation.shop()
    configure(installation, shop)
    made = [Payment.create(QR) for _ in range(3)]
    installation.pays(made[1].confirmation.confirmation_data)
    until(lambda: Payment.find_one(made[1].id), is_over)

    first = Payment.list({"limit": 2})
    rest = Payment.list({"limit": 2, "cursor": first.next_cursor})

    ids = [payment.id for payment in made]
    assert [payment.id for payment in first.items] == [ids[2], ids[1]]
    assert ([payment.id for payment in rest.items], rest.next_cursor) == ([ids[0]], None)
    assert [payment.id for payment in Payment.list({"status": "succeeded"}).items] == [ids[1]]
    assert [payment.id for payment in Payment.list({"created_at.gt": made[0].created_at}).items] == [ids[2], ids[1]]
    assert Payment.list({"created_at.lt": "2020-01-01T00:00:00Z"}).items == []
    assert Payment.list({"captured_at.gte": "2020-01-01T00:00:00Z", "payment_method": "sbp"}).items[0].id == ids[1]
    assert Payment.list({"payment_method": "bank_card"}).items == []
    assert Payment.list({"status": "waiting_for_capture"}).items == []


def test_a_shop_sees_nothing_of_another(installation: Installation, shop: Shop) -> None:
    theirs = Payment.create(QR)
    configure(installation, installation.shop())

    with pytest.raises(NotFoundError):
        Payment.find_one(theirs.id)
    assert Payment.list().items == []


def test_webhooks_are_added_once_listed_and_removed(installation: Installation) -> None:
    configure(installation, installation.shop())
    added = Webhook.add({"event": "payment.succeeded", "url": "https://shop.example/notifications"})
    again = Webhook.add({"event": "payment.succeeded", "url": "https://shop.example/notifications"})

    assert added.id == again.id
    assert added.id.startswith("wh-")
    assert [(each.id, each.event) for each in Webhook.list().items] == [(added.id, "payment.succeeded")]
    Webhook.remove(added.id)
    assert Webhook.list().items == []


def test_a_paid_payment_is_told_until_the_shop_takes_it(installation: Installation, receiver: Receiver) -> None:
    configure(installation, installation.shop())
    Webhook.add({"event": "payment.succeeded", "url": receiver.url})
    receiver.answers = [500]

    found = paid(installation, metadata={"order": "38"})

    until(lambda: receiver.received, lambda received: len(received) == 2)
    first, second = receiver.received
    assert first == second
    note = WebhookNotificationFactory().create(first)
    assert (note.event, note.object.id, note.object.status) == ("payment.succeeded", found.id, "succeeded")
    assert note.object.metadata["order"] == "38"


def test_a_canceled_payment_is_told_and_closes_its_order(installation: Installation, receiver: Receiver) -> None:
    shop = installation.shop()
    configure(installation, shop)
    Webhook.add({"event": "payment.canceled", "url": receiver.url})
    made = Payment.create(QR)

    installation.pays(made.confirmation.confirmation_data, outcome="rejected")

    (told,) = until(lambda: receiver.received, bool)
    assert (told["event"], told["object"]["id"]) == ("payment.canceled", made.id)
    (order,) = installation.native.get("/v1/orders", params={"merchant_id": shop.id}).json()["items"]
    assert (order["number"], order["status"]) == (made.id, "canceled")


def refund_of(payment: Any, value: str, **more: Any) -> Any:
    return Refund.create({"payment_id": payment.id, "amount": {"value": value, "currency": "RUB"}, **more})


def test_a_part_is_refunded_and_told(installation: Installation, receiver: Receiver) -> None:
    configure(installation, installation.shop())
    Webhook.add({"event": "refund.succeeded", "url": receiver.url})
    payment = paid(installation)
    paid(installation)  # the shop's own money, out of which our fee of the first is given back too

    made = refund_of(payment, "499.90", description="Не подошло", metadata={"claim": "7"})

    assert (made.payment_id, len(made.id)) == (payment.id, 36)
    found = until(lambda: Refund.find_one(made.id), is_over)
    assert (found.status, found.amount.value, found.description) == ("succeeded", Decimal("499.90"), "Не подошло")
    assert (found.refund_method.type, len(found.refund_method.sbp_operation_id)) == ("sbp", 32)
    assert [refund.id for refund in Refund.list({"payment_id": payment.id}).items] == [made.id]
    assert Refund.list({"status": "canceled"}).items == []
    after = Payment.find_one(payment.id)
    assert (after.refunded_amount.value, after.refundable) == (Decimal("499.90"), True)
    (told,) = until(lambda: receiver.received, bool)
    note = WebhookNotificationFactory().create(told)
    assert (note.event, note.object.id, note.object.metadata) == ("refund.succeeded", made.id, {"claim": "7"})


def test_a_refund_above_the_rest_or_too_soon_is_refused(installation: Installation) -> None:
    configure(installation, installation.shop())
    payment, other = paid(installation), paid(installation)
    waiting = Payment.create(QR)

    for refused_payment, value, parameter in (
        (payment, "1499.91", "amount.value"),
        (waiting, "1.00", "payment_id"),
    ):
        with pytest.raises(BadRequestError) as refused:
            refund_of(refused_payment, value)
        assert (refused.value.content["code"], refused.value.content["parameter"]) == ("invalid_request", parameter)
    refund_of(payment, "1.00")
    with pytest.raises(BadRequestError) as too_soon:
        refund_of(payment, "1.00")
    assert "Try again at" in too_soon.value.content["description"]
    assert len(Refund.list({}).items) == 1
    assert other.refundable


def test_banks_are_listed_with_the_largest_id_first(shop: Shop) -> None:
    banks = SbpBanks.list().items

    ids = [bank.bank_id for bank in banks]
    assert len(ids) > 100
    assert ids == sorted(ids, reverse=True)
    assert {"100000000111": "Сбербанк"}.items() <= {bank.bank_id: bank.name for bank in banks}.items()


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        pytest.param({"amount": {"value": "1000000.01", "currency": "RUB"}}, "amount.value", id="over a million"),
        pytest.param({"amount": {"value": "10.00", "currency": "USD"}}, "amount.currency", id="dollars"),
        pytest.param({"capture": False}, "capture", id="a hold"),
        pytest.param({"payment_method_data": {"type": "bank_card"}}, "payment_method_data.type", id="a card"),
        pytest.param({"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata", id="too much metadata"),
        pytest.param({"save_payment_method": True}, "save_payment_method", id="saving the account"),
        pytest.param({"recipient": {"gateway_id": "ter_nobodys"}}, "recipient.gateway_id", id="a strange till"),
    ],
)
def test_what_sbp_cannot_do_is_an_invalid_request(changes: dict[str, Any], parameter: str, shop: Shop) -> None:
    before = [payment.id for payment in Payment.list().items]

    with pytest.raises(BadRequestError) as refused:
        Payment.create({**QR, **changes})

    said = refused.value.content
    assert (said["type"], said["code"], said["parameter"]) == ("error", "invalid_request", parameter)
    assert uuid.UUID(said["id"])
    assert [payment.id for payment in Payment.list().items] == before


def test_a_wrong_secret_is_invalid_credentials(installation: Installation, shop: Shop) -> None:
    for wrong in (Shop(shop.id, "kp_test_wrong"), Shop("100500", shop.secret), Shop("", "")):
        configure(installation, wrong)
        with pytest.raises(UnauthorizedError) as refused:
            Payment.list()
        assert refused.value.content["code"] == "invalid_credentials"


def test_a_key_without_the_right_is_forbidden(installation: Installation) -> None:
    configure(installation, installation.shop(scopes=("orders:read",)))

    assert Payment.list().items == []
    with pytest.raises(ForbiddenError) as refused:
        Payment.create(QR)
    assert refused.value.content["code"] == "forbidden"


def test_a_payment_that_nobody_makes_in_time_is_canceled_and_stays_so(installation: Installation, shop: Shop) -> None:
    made = Payment.create(QR)
    payload = made.confirmation.confirmation_data

    installation.made("/v1/clock/advance", {"seconds": 2 * 3600})

    found = until(lambda: Payment.find_one(made.id), is_over)
    assert (found.status, found.cancellation_details.reason) == ("canceled", "expired_on_confirmation")
    installation.pays(payload)  # too late: the money is taken and goes back by itself
    native = installation.native.get
    until(lambda: native("/v1/events", params={"type": "payment.late"}).json()["items"], bool)
    assert Payment.find_one(made.id).status == "canceled"
    assert Refund.list({"payment_id": made.id}).items == []
