"""Another public client of the same API, written by other people, over TLS too."""

from __future__ import annotations

from typing import Any

import pytest
import yookassax

from tests.contracts.conftest import Installation, until
from tests.contracts.test_yookassa import QR


def test_another_client_pays_reads_lists_refunds_and_listens(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", installation.ca)
    shop = installation.shop()
    with yookassax.YooKassa(shop_id=shop.id, secret_key=shop.secret, api_url=installation.contract_url) as kassa:
        made = kassa.payments.create(QR)
        assert (made.status, len(made.id)) == ("pending", 36)

        installation.pays(made.confirmation.confirmation_data)
        found: Any = until(lambda: kassa.payments.get(made.id), lambda payment: payment.status != "pending")
        refund = kassa.refunds.create({"payment_id": made.id, "amount": {"value": "1.00", "currency": "RUB"}})
        hook = kassa.webhooks.add("payment.succeeded", "https://shop.example/hook")

        assert (found.status, found.paid) == ("succeeded", True)
        assert len(found.payment_method.sbp_operation_id) == 32
        assert kassa.refunds.get(refund.id).payment_id == made.id
        assert [payment.id for payment in kassa.payments.list().items] == [made.id]
        assert len(kassa.sbp_banks.list().items) > 100
        kassa.webhooks.remove(hook.id)
        assert kassa.webhooks.list().items == []
        with pytest.raises(yookassax.BadRequest):
            kassa.payments.cancel(made.id)
