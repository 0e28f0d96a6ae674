"""Rules of the contract that need no server: words for statuses, ids, addresses, and errors for every code."""

from __future__ import annotations

import ipaddress
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from aiohttp.abc import ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from api.contracts.outer_ids import inner_id, outer_id
from api.contracts.yookassa import payments, refunds
from api.contracts.yookassa.bodies import AmountBody, read_metadata
from api.contracts.yookassa.error_objects import CODES, error_answer, internal_error
from api.contracts.yookassa.errors import UrlRefused
from api.contracts.yookassa.payments import PaymentStatus, YookassaPayment, payment_object
from api.contracts.yookassa.urls import check_url
from api.problems import every_error
from api.public_addresses import PublicResolver, is_public
from api.settings import Mode
from checkout.attempts import ALLOWED, AttemptStatus
from ledger.errors import KopeykaError
from ledger.ids import new_id
from ledger.money import Kopecks
from sbp_gateway.refunds import ALLOWED as REFUND_ALLOWED
from sbp_gateway.refunds import RefundStatus

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def payment(status: AttemptStatus, payload: str | None = "https://qr.nspk.ru/A") -> YookassaPayment:
    is_paid = status is AttemptStatus.PAID
    return YookassaPayment(
        order_id=new_id("ord", NOW), attempt_id=new_id("att", NOW), merchant_id="mer_1", gateway_id="default",
        confirmation_type="qr", return_url=None, pos_link_id=None, customer_id=None, metadata={}, created_at=NOW,
        amount=Kopecks(149990), description=None, attempt_status=status, payload=payload,
        payment_id="pay_1" if is_paid else None, trx_id="A" * 32 if is_paid else None,
        fee=Kopecks(599) if is_paid else None, paid_at=NOW if is_paid else None, reserved=Kopecks(0),
        refunded=Kopecks(0),
    )  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [*product(AttemptStatus, repeat=2)])
def test_a_final_status_is_never_told_otherwise_later(before: AttemptStatus, after: AttemptStatus) -> None:
    told, told_later = payments.STATUS_OF[before], payments.STATUS_OF[after]

    if after in ALLOWED[before]:
        assert told is PaymentStatus.PENDING or told is told_later


@pytest.mark.parametrize(("before", "after"), [*product(RefundStatus, repeat=2)])
def test_a_refund_that_ended_stays_so(before: RefundStatus, after: RefundStatus) -> None:
    if after in REFUND_ALLOWED[before]:
        assert refunds.STATUS_OF[before] is PaymentStatus.PENDING


@pytest.mark.parametrize("status", list(AttemptStatus))
def test_a_payment_says_what_its_status_says(status: AttemptStatus) -> None:
    said = payment_object(payment(status), is_test=True)

    assert said["paid"] == (said["status"] == "succeeded") == ("captured_at" in said) == said["refundable"]
    assert ("confirmation" in said) == (said["status"] == "pending")
    assert ("cancellation_details" in said) == (said["status"] == "canceled")
    assert (said["amount"], said["created_at"]) == (
        {"value": "1499.90", "currency": "RUB"}, "2026-11-22T09:00:00.000Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "payload", "reason"),
    [
        (AttemptStatus.EXPIRED, "https://qr.nspk.ru/A", "expired_on_confirmation"),
        (AttemptStatus.REJECTED, "https://qr.nspk.ru/A", "general_decline"),
        (AttemptStatus.REJECTED, None, "internal_timeout"),
        (AttemptStatus.EXPIRED, None, "internal_timeout"),
    ],
)
def test_a_canceled_payment_says_why(status: AttemptStatus, payload: str | None, reason: str) -> None:
    assert payments.cancellation_of(payment(status, payload))["reason"] == reason


def test_ids_of_36_characters_lose_nothing() -> None:
    ours = new_id("ord", NOW)

    assert (len(outer_id(ours)), inner_id("ord", outer_id(ours))) == (36, ours)
    assert inner_id("ord", outer_id(ours).upper()) == ours
    assert inner_id("ord", outer_id(ours).replace("-", "")) is None


@given(st.integers(0, 999_999_999_99))
@settings(max_examples=50, deadline=None)
def test_an_amount_comes_back_as_it_went(kopecks: int) -> None:
    said = payments.amount_object(Kopecks(kopecks))

    assert AmountBody.model_validate(said).kopecks == kopecks


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=20) | st.integers() | st.none(), max_size=20))
@settings(max_examples=50, deadline=None)
def test_metadata_is_kept_as_texts_or_refused(given_: dict[str, Any]) -> None:
    try:
        kept = read_metadata(given_)
    except ValueError:
        assert len(given_) > 16 or any(not 1 <= len(key) <= 32 for key in given_)
    else:
        assert kept == {key: str(value) for key, value in given_.items() if value is not None}


def bare_errors() -> Iterator[KopeykaError]:
    """Every error of ours that is made without arguments: nearly all."""
    for error in sorted(every_error(), key=lambda error: error.__qualname__):
        with suppress(TypeError):
            yield error()


@pytest.mark.parametrize("made", list(bare_errors()), ids=lambda made: made.code)
def test_every_error_of_ours_has_a_word_in_the_contract(made: KopeykaError) -> None:
    answer = error_answer(made, new_id("req", NOW))
    said = json.loads(answer.body)

    assert said["type"] == ("processing" if answer.status == 202 else "error")
    assert answer.status == 202 or (said["code"] == CODES[answer.status] and uuid.UUID(said["id"]))


def test_a_bug_is_told_without_its_text() -> None:
    said = json.loads(internal_error("my-own-request-id").body)

    assert (said["code"], said["id"]) == ("internal_server_error", "my-own-request-id")


@pytest.mark.parametrize("url", ["https://shop.example/hook", "https://shop.example:8443/?a=b", "https://8.8.8.8/"])
@pytest.mark.parametrize("mode", list(Mode))
def test_public_https_is_allowed_everywhere(url: str, mode: Mode) -> None:
    assert str(check_url(url, mode)).startswith("https://")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/hook", "https://localhost:9/hook", "http://[::1]:1/"])
def test_this_machine_is_allowed_in_a_sandbox_only(url: str) -> None:
    assert check_url(url, Mode.SANDBOX)
    with pytest.raises(UrlRefused):
        check_url(url, Mode.PRODUCTION)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "::1", "fe80::1", "fd00::1",
     "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "ff02::1"],
)  # fmt: skip
def test_addresses_that_only_we_reach_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


async def test_a_name_that_leads_inside_is_refused_at_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = PublicResolver(Mode.PRODUCTION)

    async def inside(host: str, port: int = 0, _family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in ("8.8.8.8", "10.0.0.1")
        ]

    monkeypatch.setattr(resolver.inner, "resolve", inside)
    with pytest.raises(OSError, match="not public"):
        await resolver.resolve("rebinding.example", 443)
    assert PublicResolver(Mode.SANDBOX).is_allowed("127.0.0.1")
    assert not resolver.is_allowed("127.0.0.1")
    await resolver.close()
