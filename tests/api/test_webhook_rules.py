"""Rules of webhooks that need no server: filters, signatures, keys, and what an API description says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook as Verifier

from api.data_dir import StartRefused
from api.errors import AddressRefused
from api.event_catalogue import EVENT_NAMES
from api.public_addresses import check_url
from api.settings import Mode, Settings
from api.webhooks.errors import EventTypeUnknown, WebhookKeyDiffers, WebhookRemoved
from api.webhooks.signing import WebhookSecret, mark_of, secret_of, signed_headers, webhooks_key
from api.webhooks.webhook import WAITS_SECONDS, Webhook, WebhookStatus, check_event_types, named_by, refuse_removed
from pci.secret import Secret

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = Secret("k" * 32)


def webhook(*event_types: str, merchant_id: str | None = None, **more: Any) -> Webhook:
    terms: dict[str, Any] = {
        "id": "whk_" + "0" * 26, "merchant_id": merchant_id, "url": "https://shop.example/", "event_types": event_types,
        "description": None, "status": WebhookStatus.ACTIVE, "suspension_reason": None, "failing_since": None,
        "created_at": NOW, "changed_at": NOW, **more,
    }  # fmt: skip
    return Webhook(**terms)


def kept(number: int = 1, salt: bytes = b"s" * 32, webhook_id: str = "whk_1") -> WebhookSecret:
    return WebhookSecret(webhook_id, number, salt, mark_of(KEY), NOW, None)


@pytest.mark.parametrize(
    ("pattern", "type_", "is_heard"),
    [
        ("*", "order.paid", True),
        ("order.*", "order.paid", True),
        ("order.paid", "order.paid", True),
        ("order.paid", "order.canceled", False),
        ("plan.*", "plan_charge.refused", False),
        ("order.*", "payment.late", False),
    ],
)
def test_a_filter_hears_what_it_names(pattern: str, type_: str, is_heard: bool) -> None:
    assert webhook(pattern).hears(type_, "mer_1") is is_heard


@pytest.mark.parametrize(
    ("owner", "whose", "is_heard"),
    [
        ("mer_1", "mer_1", True), ("mer_1", "mer_2", False), ("mer_1", None, False), (None, "mer_1", True),
        (None, None, True),
    ],
    ids=["its own", "another's", "the house's", "the house hears all", "and its own"],
)  # fmt: skip
def test_a_merchant_hears_its_own_alone(owner: str | None, whose: str | None, is_heard: bool) -> None:
    assert webhook("*", merchant_id=owner).hears("order.paid", whose) is is_heard


def test_a_filter_that_can_never_match_is_refused_and_repeats_are_one() -> None:
    assert check_event_types(["order.*", "order.*", "*"], EVENT_NAMES) == ("order.*", "*")
    assert named_by(["payout.*"], EVENT_NAMES) == ("payout.sent", "payout.rejected")
    for unknown in ("order.eaten", "eaten.*"):
        with pytest.raises(EventTypeUnknown):
            check_event_types(["order.paid", unknown], EVENT_NAMES)


def test_a_delivery_is_tried_for_three_days() -> None:
    assert timedelta(days=3) < timedelta(seconds=sum(WAITS_SECONDS)) < timedelta(days=4)
    assert list(WAITS_SECONDS) == sorted(WAITS_SECONDS)


@given(body=st.binary(max_size=200), salts=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3))
def test_every_secret_verifies_what_was_signed_with_all(body: bytes, salts: list[bytes]) -> None:
    secrets = [secret_of(KEY, kept(salt=salt)) for salt in salts]
    body = b'"' + body.hex().encode() + b'"'

    headers = dict(signed_headers("evt_1", body, secrets, at=datetime.now(UTC)))

    for secret in secrets:
        assert Verifier(secret.expose()).verify(body, headers) == body.decode().strip('"')


def test_a_secret_is_of_one_webhook_one_salt_and_one_key() -> None:
    told = {
        secret_of(KEY, each).expose()
        for each in (kept(), kept(salt=b"t" * 32), kept(webhook_id="whk_2"), kept(number=2))
    }

    assert len(told) == 3, "the number is a name and nothing more"
    assert "whsec_" not in repr(secret_of(KEY, kept()))
    with pytest.raises(WebhookKeyDiffers):
        secret_of(Secret("another key of thirty-two letters"), kept())


def test_production_has_no_key_unless_it_is_told_one() -> None:
    settings = Settings(database_url=SecretStr("postgresql://kopeyka_app:p@h/kopeyka"))
    production = settings.model_copy(update={"mode": Mode.PRODUCTION})

    assert webhooks_key(settings) == webhooks_key(settings)
    assert webhooks_key(production) is None
    assert webhooks_key(production.model_copy(update={"webhooks_key": SecretStr("k" * 32)})) == KEY
    with pytest.raises(StartRefused):
        webhooks_key(production.model_copy(update={"webhooks_key": SecretStr("short")}))


def test_nothing_is_done_with_a_removed_webhook() -> None:
    assert refuse_removed(webhook("*")).status is WebhookStatus.ACTIVE
    with pytest.raises(WebhookRemoved):
        refuse_removed(webhook("*", status=WebhookStatus.REMOVED))


@pytest.mark.parametrize("host", ["2130706433", "10.1", "0", "0x7f.1", "0x7f000001", "127.0.0.1.", "[::ffff:10.0.0.1]"])
def test_no_way_to_write_an_inner_address_is_taken(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(f"https://{host}/hook", Mode.PRODUCTION)
