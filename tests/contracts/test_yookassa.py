"""The official client of YooKassa, unmodified, drives our contract over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from yookassa import Configuration, Payment

from tests.contracts.conftest import Installation, Shop, until

QR = {
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


def test_a_payment_by_qr_is_created_paid_and_read(installation: Installation, shop: Shop) -> None:
    made = Payment.create({**QR, "metadata": {"order": "37"}})

    assert (made.status, made.paid, made.amount.value) == ("pending", False, 1499.90) or made.status == "pending"
    assert made.confirmation.confirmation_data.startswith("https://qr.nspk.ru/AD")
    assert len(made.id) == 36
    installation.pays(made.confirmation.confirmation_data)
    paid = until(lambda: Payment.find_one(made.id), lambda payment: payment.status != "pending")
    assert paid.status == "succeeded"
    assert paid.metadata == {"order": "37", "cms_name": "yookassa_sdk_python"}
    assert len(paid.payment_method.sbp_operation_id) == 32
