"""A payment by a device is let through once, when all about it is right, and each wrong thing has its own name."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from pci.errors import Unavailable
from pci.keys.envelope import Dek
from pci.keys.errors import KeyWithdrawn
from tests.tokenization.koshelek_pay.wallet import MERCHANT, Wallet
from tokenization.koshelek_pay import calls, lifecycle
from tokenization.koshelek_pay.calls import DeviceChargeOutcome
from tokenization.koshelek_pay.de55 import read_de55, write_de55
from tokenization.koshelek_pay.emv import EmvFamily, answer_1
from tokenization.koshelek_pay.errors import (
    AmountDiffers,
    AtcNotIssued,
    AtcTooFar,
    AtcUsed,
    AuthorisationTaken,
    CryptogramDataRefused,
    CryptogramWrong,
    DeviceCloned,
    DevicePaymentNotFound,
    DeviceTokenNotActive,
    DeviceTokenNotFound,
    DeviceTokenSuspended,
    DeviceWiped,
    DomainRefused,
    KeyBurnt,
    KeyExpired,
    PaymentDenied,
    RequestorDiffers,
)
from tokenization.koshelek_pay.key_records import DevicePayment, DevicePaymentStatus
from tokenization.koshelek_pay.phone import Phone
from tokenization.koshelek_pay.statuses import DeviceTokenStatus, PayChannel, Suspender

AMOUNT = 149_990


async def test_a_phone_pays(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))
    paid = await wallet.pay(presentment)

    assert paid.status is DevicePaymentStatus.APPROVED
    assert (paid.response_code, paid.atc) == ("00", 1)
    (asked,) = wallet.bank.asked
    assert (asked.card_token, asked.amount_kopecks, asked.id) == (wallet.card.token, AMOUNT, presentment.id)
    assert await wallet.rows("SELECT atc, status FROM device_keys WHERE status <> 'issued'") == [(1, "burnt")]
    assert wallet.said()[-2:] == ["device_token.payment_accepted", "device_token.payment_ended"]


@pytest.mark.parametrize(
    ("number", "range_id", "family"),
    [
        ("2200117996077364", "mir_test", EmvFamily.TDES),
        ("4242424242424242", "visa_test", EmvFamily.TDES),
        ("5555555555554444", "mastercard_test", EmvFamily.TDES),
        ("6200000000000005", "unionpay_test", EmvFamily.AES),
    ],
)
async def test_cards_of_every_scheme_pay_by_the_cipher_of_their_range(
    wallet: Wallet, now: datetime, number: str, range_id: str, family: EmvFamily
) -> None:
    card = await wallet.enter_card(number)
    phone = Phone()

    token = await wallet.active(phone, card_token=card.token)
    paid = await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))

    assert (token.range_id, token.family, paid.status) == (range_id, family, DevicePaymentStatus.APPROVED)


async def test_payments_losses_and_suspensions_at_once_end_one_way_or_the_other(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    chips = [phone.pay(token.id, AMOUNT, now) for _ in range(4)]

    async def lose() -> None:
        async with wallet.transactions() as session:
            await lifecycle.lose_device(session, token.device_id, MERCHANT, wallet.doing())

    async def suspend() -> None:
        async with wallet.transactions() as session:
            await lifecycle.suspend(session, token.id, MERCHANT, Suspender.ISSUER, "проверка", wallet.doing())

    work = [*(wallet.pay(wallet.presented(token, chip)) for chip in chips), lose(), suspend()]
    ended = await asyncio.gather(*work, return_exceptions=True)

    assert {type(one) for one in ended} <= {DevicePayment, DeviceTokenSuspended, type(None)}
    paid = sum(isinstance(one, DevicePayment) for one in ended)
    assert await wallet.rows("SELECT count(*) FROM device_authorisations WHERE status = 'approved'") == [(paid,)]


async def test_the_device_knows_that_its_issuer_answered(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    key = phone._tokens[token.id].keys[1]

    paid = await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))

    assert paid.issuer_answer == answer_1(key, paid.cryptogram, b"00", token.family)


async def test_asked_again_under_the_same_id_it_is_the_same_payment(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))

    assert await wallet.pay(presentment) == await wallet.pay(presentment)
    assert len(wallet.bank.asked) == 1
    other = wallet.presented(token, phone.pay(token.id, AMOUNT, now), id=presentment.id)
    with pytest.raises(AuthorisationTaken):
        await wallet.pay(other)


async def test_an_unknown_outcome_is_asked_about_again_under_the_same_id(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    wallet.bank.answers = [DeviceChargeOutcome(False, None), DeviceChargeOutcome(False, "05")]
    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))

    first = await wallet.pay(presentment)
    second = await wallet.pay(presentment)

    assert (first.status, second.status) == (DevicePaymentStatus.UNKNOWN, DevicePaymentStatus.DECLINED)
    assert first.issuer_answer is None
    assert second.response_code == "05"
    assert [asked.id for asked in wallet.bank.asked] == [presentment.id] * 2


async def test_what_broke_before_the_acquirer_was_asked_goes_on_under_the_same_id(
    wallet: Wallet, now: datetime
) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    wallet.bank.is_away = True
    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))

    with pytest.raises(Unavailable):
        await wallet.pay(presentment)
    assert await wallet.rows("SELECT status FROM device_authorisations") == [("accepted",)]
    assert await calls.settle_open(wallet.desk, wallet.doing(timedelta(minutes=3))) == 0
    wallet.bank.is_away = False

    assert await calls.settle_open(wallet.desk, wallet.doing(timedelta(minutes=3))) == 1
    assert [asked.chip for asked in wallet.bank.asked] == [presentment.chip.raw]
    assert (await wallet.pay(presentment)).status is DevicePaymentStatus.APPROVED
    assert await wallet.rows("SELECT status FROM device_keys WHERE atc = 1") == [("burnt",)]


async def test_whoever_was_told_that_there_is_no_payment_may_rely_on_it(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))

    with pytest.raises(DevicePaymentNotFound):
        await calls.find_out(wallet.desk, presentment.id, MERCHANT, wallet.doing())
    with pytest.raises(PaymentDenied):
        await wallet.pay(presentment)
    with pytest.raises(DevicePaymentNotFound):
        await calls.find_out(wallet.desk, presentment.id, MERCHANT, wallet.doing())

    assert wallet.bank.asked == []


async def test_another_merchants_question_denies_nothing(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))

    with pytest.raises(DevicePaymentNotFound):
        await calls.find_out(wallet.desk, presentment.id, "mer_other", wallet.doing())

    assert (await wallet.pay(presentment)).status is DevicePaymentStatus.APPROVED


async def test_a_payment_and_the_question_about_it_at_once_agree(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    for _ in range(8):
        presentment = wallet.presented(token, phone.pay(token.id, AMOUNT, now))
        asking = calls.find_out(wallet.desk, presentment.id, MERCHANT, wallet.doing())
        told, paid = await asyncio.gather(asking, wallet.pay(presentment), return_exceptions=True)
        assert isinstance(told, DevicePaymentNotFound) == isinstance(paid, PaymentDenied)
        assert isinstance(paid, DevicePayment | PaymentDenied)


async def test_a_payment_that_cannot_be_ended_holds_up_no_other(
    wallet: Wallet, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    wallet.bank.is_away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))
    wallet.bank.is_away = False
    by_number, looks = wallet.ring.by_number, []

    async def withdrawn_once(number: int) -> Dek:
        looks.append(number)
        if len(looks) == 1:
            raise KeyWithdrawn(number=number, state="destroyed")
        return await by_number(number)

    monkeypatch.setattr(wallet.ring, "by_number", withdrawn_once)

    assert await calls.settle_open(wallet.desk, wallet.doing(timedelta(minutes=3))) == 1
    assert await wallet.rows("SELECT status FROM device_authorisations ORDER BY atc") == [("accepted",), ("approved",)]


async def test_one_counter_in_two_sessions_is_one_payment(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    chip = phone.pay(token.id, AMOUNT, now)

    ended = await asyncio.gather(*(wallet.pay(wallet.presented(token, chip)) for _ in range(4)), return_exceptions=True)

    assert sum(not isinstance(one, BaseException) for one in ended) == 1
    assert sum(isinstance(one, AtcUsed) for one in ended) == 3
    assert len(wallet.bank.asked) == 1


async def test_another_sum_than_the_device_agreed_to_is_refused(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    with pytest.raises(AmountDiffers):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now), AMOUNT + 1))


async def test_another_sum_in_the_cryptogram_is_refused(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    fields = dict(read_de55(phone.pay(token.id, 100, now)).fields) | {"9F02": bytes.fromhex(f"{AMOUNT:012d}")}

    with pytest.raises(CryptogramWrong):
        await wallet.pay(wallet.presented(token, write_de55(fields)))


@pytest.mark.parametrize("tag", ["9F37", "95", "82", "9F10", "9F1A", "9F26"])
async def test_a_bit_changed_in_anything_covered_is_refused(wallet: Wallet, now: datetime, tag: str) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    fields = dict(read_de55(phone.pay(token.id, AMOUNT, now)).fields)
    fields[tag] = fields[tag][:-1] + bytes([fields[tag][-1] ^ 1])

    with pytest.raises(CryptogramWrong):
        await wallet.pay(wallet.presented(token, write_de55(fields)))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"9F27": b"\x40"}, "not a question to the issuer", id="an offline approval"),
        pytest.param({"9F27": b"\x00"}, "not a question to the issuer", id="the device refused"),
        pytest.param({"9C": b"\x20"}, "not a purchase", id="a refund"),
        pytest.param({"9F03": bytes.fromhex("000000000100")}, "not a purchase", id="cash beside it"),
        pytest.param({"5F2A": bytes.fromhex("0840")}, "currency", id="dollars"),
        pytest.param({"9A": bytes.fromhex("261120")}, "day", id="the day before yesterday"),
    ],
)
async def test_what_is_not_a_purchase_here_and_now_is_refused(
    wallet: Wallet, now: datetime, changed: dict[str, bytes], reason: str
) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    with pytest.raises(CryptogramDataRefused) as refused:
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now, **changed)))

    assert refused.value.facts == {"reason": reason}


async def test_another_requestor_is_refused(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    with pytest.raises(RequestorDiffers):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now), trid="64300000001"))


async def test_another_merchants_token_is_not_found(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)

    with pytest.raises(DeviceTokenNotFound):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now), merchant_id="mer_other"))


@pytest.mark.parametrize(
    ("terms", "asked", "reason"),
    [
        pytest.param({"channels": frozenset({PayChannel.ECOM})}, {}, "channel", id="a channel it is not for"),
        pytest.param({"mccs": frozenset({"5812"})}, {}, "mcc", id="goods it is not for"),
        pytest.param({"amount_kopecks_max": AMOUNT - 1}, {}, "amount", id="a sum above its limit"),
    ],
)
async def test_outside_of_its_domain_a_token_does_not_pay(
    wallet: Wallet, now: datetime, terms: dict[str, Any], asked: dict[str, Any], reason: str
) -> None:
    phone = Phone()
    token = await wallet.active(phone, **terms)

    with pytest.raises(DomainRefused) as refused:
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now), **asked))

    assert refused.value.facts["reason"] == reason


async def test_a_counter_sent_again_is_refused(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    chip = phone.pay(token.id, AMOUNT, now)
    await wallet.pay(wallet.presented(token, chip))

    with pytest.raises(AtcUsed):
        await wallet.pay(wallet.presented(token, chip))

    assert wallet.said()[-1] == "device_token.payment_refused"


async def test_counters_may_be_skipped_and_come_late(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    early, late = phone.pay(token.id, AMOUNT, now), phone.pay(token.id, AMOUNT, now)

    assert (await wallet.pay(wallet.presented(token, late))).atc == 2
    assert (await wallet.pay(wallet.presented(token, early))).atc == 1


@pytest.mark.parametrize(("atc", "refusal"), [(11, AtcNotIssued), (20, AtcNotIssued), (21, AtcTooFar)])
async def test_a_counter_too_far_ahead_is_refused(
    wallet: Wallet, now: datetime, atc: int, refusal: type[Exception]
) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    changed = {"9F36": atc.to_bytes(2, "big")}

    with pytest.raises(refusal):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now, **changed)))


async def test_keys_expire_after_a_week(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    week = timedelta(days=7)

    with pytest.raises(KeyExpired):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now + week)), week)
    token = await wallet.keys(phone, token, later=week)
    with pytest.raises(KeyExpired):  # burnt meanwhile, and still told why
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now + week)), week)


async def test_keys_taken_back_do_not_pay(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    old = phone.pay(token.id, AMOUNT, now)
    await wallet.keys(phone, token, discard=True)

    with pytest.raises(KeyBurnt):
        await wallet.pay(wallet.presented(token, old))


async def test_a_double_of_the_device_is_found_and_the_token_held_back(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    double = phone.copy()
    await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))

    with pytest.raises(DeviceCloned):
        await wallet.pay(wallet.presented(token, double.pay(token.id, 100_00, now), 100_00))

    with pytest.raises(DeviceTokenSuspended) as refused:
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))
    assert refused.value.facts == {"suspenders": ["risk"]}


async def test_a_wiped_device_does_not_pay(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    async with wallet.transactions() as session:
        await lifecycle.wipe_device(session, token.device_id, MERCHANT, wallet.doing())

    with pytest.raises(DeviceWiped):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))


async def test_held_back_by_two_it_pays_only_when_both_have_let_go(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    async with wallet.transactions() as session:
        for suspender in (Suspender.BUYER, Suspender.ISSUER):
            await lifecycle.suspend(session, token.id, MERCHANT, suspender, "проверка", wallet.doing())

    for suspender, left in ((None, ["buyer", "issuer"]), (Suspender.ISSUER, ["buyer"])):
        async with wallet.transactions() as session:
            if suspender is not None:
                await lifecycle.resume(session, token.id, MERCHANT, suspender, wallet.doing())
        with pytest.raises(DeviceTokenSuspended) as refused:
            await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))
        assert refused.value.facts == {"suspenders": left}
    async with wallet.transactions() as session:
        await lifecycle.resume(session, token.id, MERCHANT, Suspender.BUYER, wallet.doing())

    paid = await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))
    assert paid.status is DevicePaymentStatus.APPROVED


async def test_a_deleted_token_does_not_pay(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    async with wallet.transactions() as session:
        await lifecycle.delete(session, token.id, MERCHANT, wallet.doing())

    with pytest.raises(DeviceTokenNotActive) as refused:
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))
    assert refused.value.facts == {"status": str(DeviceTokenStatus.DELETED)}


async def test_a_token_ends_with_its_last_month(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    later = timedelta(days=3 * 366 + 31)

    with pytest.raises(DeviceTokenNotActive) as refused:
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now + later)), later)
    assert refused.value.facts == {"status": "expired"}


async def test_whoever_guesses_is_stopped_after_five(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    fields = dict(read_de55(phone.pay(token.id, AMOUNT, now)).fields)

    for guess in range(5):
        fields["9F26"] = bytes(7) + bytes([guess])
        with pytest.raises(CryptogramWrong):
            await wallet.pay(wallet.presented(token, write_de55(fields)))
    with pytest.raises(DeviceTokenSuspended):
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))


async def test_a_right_proof_begins_the_count_anew(wallet: Wallet, now: datetime) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    for _ in range(2):
        fields = dict(read_de55(phone.pay(token.id, AMOUNT, now)).fields) | {"9F26": bytes(8)}
        for _ in range(3):
            with pytest.raises(CryptogramWrong):
                await wallet.pay(wallet.presented(token, write_de55(fields)))
        await wallet.pay(wallet.presented(token, phone.pay(token.id, AMOUNT, now)))

    assert await wallet.rows("SELECT wrong_cryptograms FROM device_tokens") == [(0,)]
