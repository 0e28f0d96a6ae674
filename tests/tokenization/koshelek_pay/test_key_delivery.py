"""Keys come to their device alone, ten at a time, the same under the same name, and for a week."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import JoseError

from pci.keys.key import KeyPurpose
from tests.tokenization.koshelek_pay.wallet import MERCHANT, Wallet
from tokenization.koshelek_pay import calls, lifecycle
from tokenization.koshelek_pay.errors import (
    DeviceSignatureRefused,
    DeviceTokenNotFound,
    DeviceTokenSuspended,
    DeviceWiped,
    KeysNotDue,
)
from tokenization.koshelek_pay.phone import Phone
from tokenization.koshelek_pay.statuses import DeviceTokenStatus, Suspender

AMOUNT = 100_00


async def pay(wallet: Wallet, phone: Phone, token: Any, times: int = 1) -> None:
    for _ in range(times):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, wallet.now), AMOUNT))


async def test_the_first_keys_make_a_token_active(wallet: Wallet) -> None:
    phone = Phone()
    made = await wallet.provision(phone)

    token = await wallet.keys(phone, made.token)

    assert token.status is DeviceTokenStatus.ACTIVE
    assert phone.keys_left(token.id) == 10
    assert phone.number_of(token.id) == token.number
    assert await wallet.rows("SELECT min(atc), max(atc), count(*) FROM device_keys") == [(1, 10, 10)]


async def test_no_other_device_opens_them(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token
    signed = phone.key_request(token.id, wallet.now)

    _, sealed = await calls.deliver_keys(wallet.desk, token.id, MERCHANT, signed, wallet.doing())

    with pytest.raises(JoseError):
        Phone().take_keys(sealed)
    assert phone.take_keys(sealed) == 10


async def test_the_same_request_is_the_same_batch(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token

    for _ in range(2):
        await wallet.keys(phone, token, request_id="the-same-request")
    taken = dict(phone._tokens[token.id].keys)
    await pay(wallet, phone, token)
    await wallet.keys(phone, token, request_id="the-same-request")

    assert await wallet.rows("SELECT count(*) FROM device_key_batches") == [(1,)]
    assert phone._tokens[token.id].keys == {atc: key for atc, key in taken.items() if atc > 1}


async def test_two_requests_at_once_are_one_batch(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token

    ended = await asyncio.gather(*(wallet.keys(phone, token) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(one, KeysNotDue) for one in ended) == 2
    assert await wallet.rows("SELECT count(*) FROM device_keys") == [(10,)]


async def test_more_keys_come_when_three_are_left(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    await pay(wallet, phone, token, 6)
    with pytest.raises(KeysNotDue) as refused:
        await wallet.keys(phone, token)
    assert refused.value.facts == {"left": 4}
    await pay(wallet, phone, token)
    await wallet.keys(phone, token)

    assert phone.keys_left(token.id) == 13
    await pay(wallet, phone, token, 13)


async def test_a_device_that_lost_its_keys_says_so_and_gets_others(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    for _ in range(10):
        phone.drop_key(token.id)
    with pytest.raises(KeysNotDue):
        await wallet.keys(phone, token)

    await wallet.keys(phone, token, discard=True)

    await pay(wallet, phone, token)
    assert await wallet.rows("SELECT status, count(*) FROM device_keys GROUP BY 1 ORDER BY 1") == [
        ("burnt", 11), ("issued", 9)
    ]  # fmt: skip


async def test_after_a_week_there_are_new_keys(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    await wallet.keys(phone, token, later=timedelta(days=7))

    assert await wallet.rows("SELECT status, count(*) FROM device_keys GROUP BY 1 ORDER BY 1") == [
        ("burnt", 10), ("issued", 10)
    ]  # fmt: skip


async def test_keys_are_nowhere_in_the_database_or_the_log(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    keys = [key.hex() for key in phone._tokens[token.id].keys.values()]

    tables = ("device_keys", "device_key_batches", "device_tokens", "token_ranges", "keys")
    kept = [row[0] for table in tables for row in await wallet.rows(f"SELECT t::text FROM {table} AS t")]

    everything = "\n".join([*kept, *wallet.log(), repr(phone), repr(phone._tokens)])
    assert [key for key in keys if key in everything] == []


async def test_a_new_master_key_serves_new_tokens_and_the_old_one_its_own(wallet: Wallet) -> None:
    old, new = Phone(), Phone()
    first = await wallet.active(old)
    await wallet.ring.renew(KeyPurpose.DEVICE_MASTER, "mir_test", wallet.now)
    second = await wallet.active(new)

    assert first.key_number != second.key_number
    await pay(wallet, old, first)
    await pay(wallet, new, second)


async def test_whoever_is_not_the_device_gets_nothing(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token
    other = (await wallet.provision(Phone())).token

    with pytest.raises(DeviceSignatureRefused):
        await wallet.keys(Phone(), token)
    with pytest.raises(DeviceSignatureRefused):
        await wallet.keys(phone.copy(), token)
    of_other, of_token = phone.key_request(other.id, wallet.now), phone.key_request(token.id, wallet.now)
    with pytest.raises(DeviceSignatureRefused):
        await calls.deliver_keys(wallet.desk, token.id, MERCHANT, of_other, wallet.doing())
    with pytest.raises(DeviceTokenNotFound):
        await calls.deliver_keys(wallet.desk, token.id, "mer_other", of_token, wallet.doing())


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_a_request_is_good_for_minutes(wallet: Wallet, minutes: int) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token
    signed = phone.key_request(token.id, wallet.now + timedelta(minutes=minutes))

    with pytest.raises(DeviceSignatureRefused) as refused:
        await calls.deliver_keys(wallet.desk, token.id, MERCHANT, signed, wallet.doing())
    assert refused.value.facts == {"reason": "not fresh"}


@pytest.mark.parametrize(
    ("changed", "algorithm"),
    [
        pytest.param({"request_id": "short"}, "ES256", id="a short name"),
        pytest.param({"discard": "yes"}, "ES256", id="a word for a truth"),
        pytest.param({"asked_at": "now"}, "ES256", id="a word for a time"),
        pytest.param({"asked_at": True}, "ES256", id="a truth for a time"),
        pytest.param({"more": 1}, "ES256", id="a field too many"),
        pytest.param({}, "none", id="no signature at all"),
        pytest.param(None, "ES256", id="no object"),
    ],
)
async def test_a_request_of_another_form_is_refused(
    wallet: Wallet, changed: dict[str, Any] | None, algorithm: str
) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token
    content = {
        "device_token": token.id, "request_id": "0123456789abcdef", "asked_at": int(wallet.now.timestamp()),
        "discard": False,
    }  # fmt: skip
    body = json.dumps([] if changed is None else content | changed)
    signed = jws.serialize_compact({"alg": "ES256"}, body.encode(), phone._key, algorithms=["ES256"])
    if algorithm == "none":
        head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        signed = f"{head}.{signed.split('.')[1]}."

    with pytest.raises(DeviceSignatureRefused):
        await calls.deliver_keys(wallet.desk, token.id, MERCHANT, signed, wallet.doing())


async def test_a_token_that_is_held_back_gets_no_keys(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone)).token
    async with wallet.transactions() as session:
        await lifecycle.suspend(session, token.id, MERCHANT, Suspender.ISSUER, "проверка", wallet.doing())

    with pytest.raises(DeviceTokenSuspended):
        await wallet.keys(phone, token)


async def test_a_wiped_device_gets_no_keys(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    async with wallet.transactions() as session:
        await lifecycle.wipe_device(session, token.device_id, MERCHANT, wallet.doing())

    with pytest.raises(DeviceWiped):
        await wallet.keys(phone, token)
