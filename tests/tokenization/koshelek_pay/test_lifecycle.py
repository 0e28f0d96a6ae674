"""Who holds a token back lets it go; what is deleted stays so; cards are issued again and tokens stay."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import Any

import pytest

from tests.tokenization.koshelek_pay.wallet import MERCHANT, OTHER_MIR, Wallet
from tokenization import ending
from tokenization.ending import CardDoing
from tokenization.koshelek_pay import lifecycle, repository
from tokenization.koshelek_pay.errors import (
    CardIsAnother,
    CardNotEligible,
    DeviceNotFound,
    DeviceTokenNotFound,
    DeviceTokenStateRefused,
    SuspensionNotYours,
)
from tokenization.koshelek_pay.phone import Phone
from tokenization.koshelek_pay.statuses import DeviceTokenStatus, Suspender

PAIRS = list(combinations(Suspender, 2))


async def suspend(wallet: Wallet, token: Any, suspender: Suspender) -> Any:
    async with wallet.transactions() as session:
        return await lifecycle.suspend(session, token.id, MERCHANT, suspender, "проверка", wallet.doing())


async def resume(wallet: Wallet, token: Any, suspender: Suspender) -> Any:
    async with wallet.transactions() as session:
        return await lifecycle.resume(session, token.id, MERCHANT, suspender, wallet.doing())


def holding(token: Any) -> set[Suspender]:
    return {held.suspender for held in token.suspensions}


async def test_each_party_lifts_only_its_own(wallet: Wallet) -> None:
    token = await wallet.active(Phone())

    for one, other in PAIRS:
        await suspend(wallet, token, one)
        assert holding(await suspend(wallet, token, other)) == {one, other}
        assert holding(await resume(wallet, token, one)) == {other}
        with pytest.raises(SuspensionNotYours):
            await resume(wallet, token, one)
        assert (await resume(wallet, token, other)).is_payable


async def test_once_more_by_the_same_party_changes_nothing(wallet: Wallet) -> None:
    token = await wallet.active(Phone())

    await asyncio.gather(*(suspend(wallet, token, Suspender.BUYER) for _ in range(3)))

    assert (await resume(wallet, token, Suspender.BUYER)).is_payable
    assert wallet.said().count("device_token.suspended") == 1


async def test_a_deleted_token_never_comes_back(wallet: Wallet) -> None:
    token = await wallet.active(Phone())
    await suspend(wallet, token, Suspender.BUYER)
    for _ in range(2):
        async with wallet.transactions() as session:
            ended = await lifecycle.delete(session, token.id, MERCHANT, wallet.doing())
        assert ended.status is DeviceTokenStatus.DELETED

    for act in (suspend, resume):
        with pytest.raises(DeviceTokenStateRefused):
            await act(wallet, token, Suspender.BUYER)
    assert await wallet.rows("SELECT DISTINCT status FROM device_keys") == [("burnt",)]
    assert wallet.said().count("device_token.deleted") == 1


async def test_a_lost_device_holds_back_all_its_tokens_and_no_others(wallet: Wallet) -> None:
    other_card = await wallet.enter_card(OTHER_MIR)
    phone = Phone()
    first, second = await wallet.active(phone), await wallet.active(phone, card_token=other_card.token)
    elsewhere = await wallet.active(Phone())

    for _ in range(2):
        async with wallet.transactions() as session:
            held = await lifecycle.lose_device(session, first.device_id, MERCHANT, wallet.doing())
        assert {token.id for token in held} == {first.id, second.id}
        assert all(holding(token) == {Suspender.BUYER} for token in held)
    async with wallet.transactions() as session:
        assert (await repository.find_token(session, elsewhere.id, MERCHANT)).is_payable
        await lifecycle.find_device(session, first.device_id, MERCHANT, wallet.doing())
    assert (await resume(wallet, first, Suspender.BUYER)).is_payable


async def test_nothing_is_put_on_a_lost_device(wallet: Wallet) -> None:
    other_card = await wallet.enter_card(OTHER_MIR)
    phone = Phone()
    token = await wallet.active(phone)
    async with wallet.transactions() as session:
        await lifecycle.lose_device(session, token.device_id, MERCHANT, wallet.doing())

    made = await wallet.provision(phone, card_token=other_card.token)

    assert [finding.rule for finding in made.token.findings] == ["device_is_lost"]


async def test_a_wiped_device_ends_its_tokens_for_ever(wallet: Wallet) -> None:
    token = await wallet.active(Phone())

    for ended in ([DeviceTokenStatus.DELETED], []):
        async with wallet.transactions() as session:
            tokens = await lifecycle.wipe_device(session, token.device_id, MERCHANT, wallet.doing())
        assert [one.status for one in tokens] == ended
    for act in (lifecycle.lose_device, lifecycle.find_device):
        with pytest.raises(DeviceTokenStateRefused):
            async with wallet.transactions() as session:
                await act(session, token.device_id, MERCHANT, wallet.doing())


async def test_others_devices_and_tokens_are_not_found(wallet: Wallet) -> None:
    token = await wallet.active(Phone())

    for act in (lifecycle.lose_device, lifecycle.find_device, lifecycle.wipe_device):
        with pytest.raises(DeviceNotFound):
            async with wallet.transactions() as session:
                await act(session, token.device_id, "mer_other", wallet.doing())
    with pytest.raises(DeviceTokenNotFound):
        async with wallet.transactions() as session:
            await lifecycle.delete(session, token.id, "mer_other", wallet.doing())


async def test_a_card_issued_again_keeps_its_tokens(wallet: Wallet) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    new_card = await wallet.enter_card(OTHER_MIR, expires="2033-05")

    async with wallet.transactions() as session:
        (changed,) = await lifecycle.card_was_issued_again(
            session, MERCHANT, wallet.card.token, new_card, wallet.doing(), is_issuers=True
        )
    await wallet.pay(wallet.presented(changed, phone.pay(token.id, 149_990, wallet.now)))

    assert (changed.id, changed.number, changed.par) == (token.id, token.number, token.par)
    assert (changed.card_mask, changed.card_expires) == (new_card.mask, "2033-05")
    assert wallet.bank.asked[0].card_token == new_card.token


async def test_the_same_number_with_another_expiry_keeps_its_tokens_too(wallet: Wallet) -> None:
    token = await wallet.active(Phone())
    again = await wallet.enter_card("2200111753579001", expires="2034-01")
    assert again.token == wallet.card.token

    async with wallet.transactions() as session:
        (changed,) = await lifecycle.card_was_issued_again(session, MERCHANT, again.token, again, wallet.doing())

    assert (changed.id, changed.card_expires) == (token.id, "2034-01")


async def test_two_tokens_of_one_card_are_never_on_one_device(wallet: Wallet) -> None:
    new_card = await wallet.enter_card(OTHER_MIR)
    phone = Phone()
    await wallet.active(phone)
    await wallet.active(phone, card_token=new_card.token)

    with pytest.raises(CardNotEligible):
        async with wallet.transactions() as session:
            await lifecycle.card_was_issued_again(
                session, MERCHANT, wallet.card.token, new_card, wallet.doing(), is_issuers=True
            )


async def test_only_the_bank_says_that_another_number_is_of_the_same_account(wallet: Wallet) -> None:
    token = await wallet.active(Phone())
    anothers = await wallet.enter_card(OTHER_MIR)

    with pytest.raises(CardIsAnother):
        async with wallet.transactions() as session:
            await lifecycle.card_was_issued_again(session, MERCHANT, wallet.card.token, anothers, wallet.doing())

    async with wallet.transactions() as session:
        assert (await repository.find_token(session, token.id, MERCHANT)).card_token == wallet.card.token


async def test_no_token_stands_for_a_card_that_is_gone(wallet: Wallet) -> None:
    await wallet.active(Phone())
    gone = await wallet.enter_card(OTHER_MIR)
    async with wallet.transactions() as session:
        gone = await ending.delete_card(session, gone.token, CardDoing(MERCHANT, "service:api", "req", wallet.now))

    with pytest.raises(CardNotEligible):
        async with wallet.transactions() as session:
            await lifecycle.card_was_issued_again(
                session, MERCHANT, wallet.card.token, gone, wallet.doing(), is_issuers=True
            )


async def test_every_step_has_its_line_in_the_log(wallet: Wallet) -> None:
    token = await wallet.active(Phone())
    await suspend(wallet, token, Suspender.BUYER)
    await resume(wallet, token, Suspender.BUYER)
    async with wallet.transactions() as session:
        await lifecycle.lose_device(session, token.device_id, MERCHANT, wallet.doing())
        await lifecycle.find_device(session, token.device_id, MERCHANT, wallet.doing())
        await lifecycle.wipe_device(session, token.device_id, MERCHANT, wallet.doing())

    assert [action for action in wallet.said() if action.startswith(("device_token", "token_device"))] == [
        "token_device.bound", "device_token.provisioned", "device_token.activated", "device_token.keys_delivered",
        "device_token.suspended", "device_token.resumed", "token_device.lost", "device_token.suspended",
        "token_device.found", "token_device.wiped", "device_token.deleted",
    ]  # fmt: skip
