"""A card is put on a device once, with reasons; a code is entered in time, or the token is held back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from pci.pan import Pan, PanMalformed, SchemeUnknown
from pci.schemes import scheme_of
from pci.secret import Secret
from tests.tokenization.koshelek_pay.wallet import MERCHANT, MIR, OTHER_MIR, PHONE, Wallet
from tokenization.card_errors import TokenNotFound
from tokenization.koshelek_pay import calls, lifecycle, repository, requestors
from tokenization.koshelek_pay.codes import SmsUnavailable
from tokenization.koshelek_pay.errors import (
    CardNotEligible,
    CodeNotExpected,
    CodeOver,
    CodesSpent,
    CodeWrong,
    DeviceKeyRefused,
    DeviceTokenNotActive,
    DeviceTokenStateRefused,
    DeviceTokenSuspended,
    RequestorNotFound,
    RequestorTaken,
    TokenRangeMissing,
)
from tokenization.koshelek_pay.phone import Phone
from tokenization.koshelek_pay.risk import Colour, DeviceVerdict
from tokenization.koshelek_pay.statuses import Assurance, DeviceTokenStatus, PayChannel, Suspender
from tokenization.koshelek_pay.token_ranges import is_token_number

MINUTES_TEN = timedelta(minutes=10)


async def test_a_card_that_nothing_speaks_against_needs_no_code(wallet: Wallet) -> None:
    made = await wallet.provision(Phone())

    token = made.token
    assert (token.decision, token.status, token.assurance) == (
        Colour.GREEN, DeviceTokenStatus.APPROVED, Assurance.RISK
    )  # fmt: skip
    assert (made.code, token.findings, wallet.sms.texts) == (None, (), [])
    assert token.expires == "2029-11"
    assert wallet.said()[-3:] == ["card.read", "token_device.bound", "device_token.provisioned"]


async def test_the_number_looks_right_to_terminals_and_is_no_cards(wallet: Wallet) -> None:
    token = (await wallet.provision(Phone())).token

    assert token.number is not None
    assert is_token_number(token.number)
    assert scheme_of(token.number) is None
    with pytest.raises((PanMalformed, SchemeUnknown)):
        Pan(token.number)


async def test_all_tokens_of_a_card_have_its_reference_and_no_other_does(wallet: Wallet) -> None:
    other = await wallet.enter_card(OTHER_MIR)

    first, second = (await wallet.provision(Phone())).token, (await wallet.provision(Phone())).token
    third = (await wallet.provision(Phone(), card_token=other.token)).token

    assert first.par == second.par != third.par
    assert len(first.par) == 29
    assert first.number != second.number


async def test_the_same_card_on_the_same_device_is_the_same_token(wallet: Wallet) -> None:
    phone = Phone()

    made = await asyncio.gather(*(wallet.provision(phone) for _ in range(4)))

    assert len({one.token.id for one in made}) == 1
    assert sum(one.is_new for one in made) == 1
    assert await wallet.rows("SELECT count(*) FROM device_tokens") == [(1,)]
    assert await wallet.rows("SELECT count(*) FROM token_devices") == [(1,)]


async def test_after_it_was_deleted_a_card_may_come_back_with_another_number(wallet: Wallet) -> None:
    phone = Phone()
    first = (await wallet.provision(phone)).token
    async with wallet.transactions() as session:
        await lifecycle.delete(session, first.id, MERCHANT, wallet.doing())

    second = await wallet.provision(phone)

    assert second.is_new
    assert second.token.number != first.number


async def test_a_red_card_gets_no_number_and_reasons(wallet: Wallet) -> None:
    made = await wallet.provision(Phone(), verdict=DeviceVerdict.COMPROMISED)

    assert (made.token.status, made.token.number, made.token.key_number) == (DeviceTokenStatus.DECLINED, None, None)
    assert [finding.rule for finding in made.token.findings] == ["device_is_compromised"]
    with pytest.raises(DeviceTokenNotActive):
        await wallet.keys(Phone(), made.token)
    async with wallet.transactions() as session:
        assert (await repository.find_token(session, made.token.id, MERCHANT)).findings == made.token.findings


async def test_three_refusals_a_day_are_enough(wallet: Wallet) -> None:
    for _ in range(3):
        await wallet.provision(Phone(), verdict=DeviceVerdict.COMPROMISED)

    made = await wallet.provision(Phone())

    assert [finding.rule for finding in made.token.findings] == ["was_declined_often"]


async def test_a_card_on_many_devices_needs_a_code(wallet: Wallet) -> None:
    for _ in range(3):
        await wallet.provision(Phone())

    made = await wallet.provision(Phone())

    assert made.token.decision is Colour.YELLOW
    assert [finding.rule for finding in made.token.findings] == ["card_is_on_many_devices"]


@pytest.mark.parametrize("attestation", [(), ("x",), ("QQ==", "QQ==")])
async def test_an_attestation_that_nobody_verified_counts_for_nothing(
    wallet: Wallet, attestation: tuple[str, ...]
) -> None:
    made = await wallet.provision(Phone(), attestation=attestation, verdict=DeviceVerdict.UNKNOWN)

    assert made.token.status is DeviceTokenStatus.AWAITING_CODE
    assert [finding.rule for finding in made.token.findings] == ["key_is_not_attested"]


async def yellow(wallet: Wallet) -> Any:
    return (await wallet.provision(Phone(), verdict=DeviceVerdict.UNKNOWN)).token


async def enter(wallet: Wallet, token: Any, code: str, later: timedelta = timedelta()) -> Any:
    return await calls.enter_code(wallet.desk, token.id, MERCHANT, Secret(code), wallet.doing(later))


def wrong(wallet: Wallet) -> str:
    return f"{(int(wallet.sms.code.expose()) + 1) % 1_000_000:06d}"


async def test_the_right_code_lets_it_through(wallet: Wallet) -> None:
    token = await yellow(wallet)
    assert token.status is DeviceTokenStatus.AWAITING_CODE

    entered = await enter(wallet, token, wallet.sms.code.expose())

    assert (entered.status, entered.assurance) == (DeviceTokenStatus.APPROVED, Assurance.CODE)
    with pytest.raises(CodeNotExpected):
        await enter(wallet, token, wallet.sms.code.expose())


async def test_three_wrong_codes_hold_the_token_back(wallet: Wallet) -> None:
    token = await yellow(wallet)

    for left in (2, 1):
        with pytest.raises(CodeWrong) as refused:
            await enter(wallet, token, wrong(wallet))
        assert refused.value.facts == {"tries_left": left}
    for code in (wrong(wallet), wallet.sms.code.expose()):
        with pytest.raises(CodeOver):
            await enter(wallet, token, code)

    async with wallet.transactions() as session:
        held = await repository.find_token(session, token.id, MERCHANT)
    assert [one.suspender for one in held.suspensions] == [Suspender.RISK]


async def test_guesses_at_the_same_moment_are_three_at_most(wallet: Wallet) -> None:
    token = await yellow(wallet)
    right = int(wallet.sms.code.expose())
    guesses = [f"{(right + shift) % 1_000_000:06d}" for shift in range(1, 7)]

    ended = await asyncio.gather(*(enter(wallet, token, guess) for guess in guesses), return_exceptions=True)

    assert sum(isinstance(one, CodeWrong) for one in ended) == 2
    assert sum(isinstance(one, CodeOver) for one in ended) == 4


async def test_a_code_lives_for_ten_minutes(wallet: Wallet) -> None:
    token = await yellow(wallet)

    with pytest.raises(CodeOver):
        await enter(wallet, token, wallet.sms.code.expose(), MINUTES_TEN)

    with pytest.raises(DeviceTokenSuspended):
        await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing(MINUTES_TEN))


async def test_another_code_ends_the_last_and_they_run_out(wallet: Wallet) -> None:
    token = await yellow(wallet)
    old = wallet.sms.code.expose()

    for _ in range(4):
        await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())
    with pytest.raises(CodesSpent):
        await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())

    if old != wallet.sms.code.expose():
        with pytest.raises(CodeWrong):
            await enter(wallet, token, old)
    assert (await enter(wallet, token, wallet.sms.code.expose())).status is DeviceTokenStatus.APPROVED
    with pytest.raises(CodeNotExpected):
        await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())


async def test_when_risk_lets_go_another_code_may_be_sent(wallet: Wallet) -> None:
    token = await yellow(wallet)
    with pytest.raises(CodeOver):
        await enter(wallet, token, "000000", MINUTES_TEN)
    async with wallet.transactions() as session:
        await lifecycle.resume(session, token.id, MERCHANT, Suspender.RISK, wallet.doing())
    with pytest.raises(CodeOver):
        await enter(wallet, token, "000000")

    await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())

    assert (await enter(wallet, token, wallet.sms.code.expose())).status is DeviceTokenStatus.APPROVED


async def test_without_sms_the_token_waits_for_another_code(wallet: Wallet) -> None:
    wallet.sms.is_down = True
    token = await yellow(wallet)
    assert token.status is DeviceTokenStatus.AWAITING_CODE
    with pytest.raises(SmsUnavailable):
        await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())
    wallet.sms.is_down = False

    await calls.resend_code(wallet.desk, token.id, MERCHANT, PHONE, wallet.doing())

    assert (await enter(wallet, token, wallet.sms.code.expose())).status is DeviceTokenStatus.APPROVED
    sent = await wallet.rows("SELECT number, sent_at IS NOT NULL FROM device_token_codes ORDER BY number")
    assert sent == [(1, False), (2, False), (3, True)]


async def test_no_keys_before_the_code_is_entered(wallet: Wallet) -> None:
    phone = Phone()
    token = (await wallet.provision(phone, verdict=DeviceVerdict.UNKNOWN)).token

    with pytest.raises(DeviceTokenStateRefused):
        await wallet.keys(phone, token)


async def test_what_is_told_of_a_code_is_neither_the_code_nor_the_phone(wallet: Wallet) -> None:
    token = await yellow(wallet)
    code = wallet.sms.code.expose()
    kept = await wallet.rows("SELECT device_token_codes::text FROM device_token_codes")

    everything = "\n".join([*wallet.log(), *(row[0] for row in kept), repr(token)])
    assert code not in everything
    assert PHONE.expose() not in everything
    assert "+7******4567" in everything


def key_of(phone: Phone, **changed: Any) -> dict[str, Any]:
    return phone.public_jwk | changed


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="a password"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}, id="beside the curve"),
        pytest.param({"kty": "EC", "crv": "P-384", "x": "A" * 64, "y": "A" * 64}, id="another curve"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": 1, "y": 2}, id="numbers"),
        pytest.param(key_of(Phone(), d="A" * 43), id="the private half"),
    ],
)
async def test_a_key_that_is_none_is_refused(wallet: Wallet, jwk: dict[str, Any]) -> None:
    class Broken(Phone):
        @property
        def public_jwk(self) -> dict[str, Any]:
            return jwk

        @property
        def attestation(self) -> list[str]:
            return []

    with pytest.raises(DeviceKeyRefused):
        await wallet.provision(Broken())


async def test_a_device_has_one_key_and_a_key_one_device(wallet: Wallet) -> None:
    phone = Phone("installation-1")
    await wallet.provision(phone)
    renamed = phone.copy()
    renamed._key, renamed.installation_id = phone._key, "installation-2"

    with pytest.raises(DeviceKeyRefused):
        await wallet.provision(Phone("installation-1"))
    with pytest.raises(DeviceKeyRefused):
        await wallet.provision(renamed)


async def test_a_wiped_device_comes_back_with_another_key_only(wallet: Wallet) -> None:
    phone = Phone("installation-1")
    token = (await wallet.provision(phone)).token
    async with wallet.transactions() as session:
        await lifecycle.wipe_device(session, token.device_id, MERCHANT, wallet.doing())

    with pytest.raises(DeviceKeyRefused):
        await wallet.provision(phone)
    assert (await wallet.provision(Phone("installation-1"))).is_new


async def test_a_card_that_cannot_be_put_on_devices_says_why(wallet: Wallet) -> None:
    maestro = await wallet.enter_card("6759649826438453")
    expiring = await wallet.enter_card(OTHER_MIR, expires="2026-11")
    next_month = timedelta(days=31)

    with pytest.raises(TokenRangeMissing):
        await wallet.provision(Phone(), card_token=maestro.token)
    request = wallet.request(Phone(), card_token=expiring.token)
    with pytest.raises(CardNotEligible):
        await calls.provision(wallet.desk, request, wallet.doing(next_month))
    with pytest.raises(TokenNotFound):
        await wallet.provision(Phone(), card_token="tok_" + "0" * 25)
    with pytest.raises(RequestorNotFound):
        await wallet.provision(Phone(), trid="64300000000")


async def test_a_requestor_without_the_channel_is_refused(wallet: Wallet) -> None:
    terms = requestors.RequestorTerms(MERCHANT, "Сайт", frozenset({PayChannel.ECOM}), 100_00, 1)
    async with wallet.transactions() as session:
        other = await requestors.register(session, terms, wallet.doing())

    with pytest.raises(CardNotEligible):
        await wallet.provision(Phone(), trid=other.trid, channels=frozenset({PayChannel.CONTACTLESS}))
    phone = Phone()
    token = (await wallet.provision(phone, trid=other.trid)).token
    assert (token.channels, token.amount_kopecks_max) == (frozenset({PayChannel.ECOM}), 100_00)


async def test_a_requestor_is_registered_once(wallet: Wallet) -> None:
    key = {name: value for name, value in Phone().public_jwk.items() if name in ("kty", "crv", "x", "y")}
    terms = requestors.RequestorTerms(MERCHANT, "Сайт", frozenset(PayChannel), 100_00, 1, key)
    async with wallet.transactions() as session:
        first = await requestors.register(session, terms, wallet.doing())
        again = await requestors.register(session, terms, wallet.doing())
        other = requestors.RequestorTerms(MERCHANT, "Сайт", frozenset(PayChannel), 200_00, 1, key)
        with pytest.raises(RequestorTaken):
            await requestors.register(session, other, wallet.doing())

    assert first == again
    assert first.trid.startswith("643")
    assert len(first.trid) == 11


async def test_no_card_number_is_anywhere_of_ours(wallet: Wallet, vault_engine: Any) -> None:
    phone = Phone()
    token = await wallet.active(phone)
    await wallet.pay(wallet.presented(token, phone.pay(token.id, 149_990, wallet.now)))

    rows = []
    for table in ("device_tokens", "token_devices", "device_authorisations", "device_keys", "device_key_batches"):
        rows += [row[0] for row in await wallet.rows(f"SELECT t::text FROM {table} AS t")]
    assert MIR not in "\n".join([*rows, *wallet.log()])
    assert token.number not in "\n".join(wallet.log())
    assert token.number not in repr(token)
