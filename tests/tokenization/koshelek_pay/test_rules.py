"""Pure rules of Кошелёк Pay: states, ranges, references, colours of risk, codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pci.keys.envelope import Dek, KeyMaterial
from pci.keys.key import Algorithm
from pci.luhn import passes_luhn
from pci.pan import Pan
from pci.secret import Secret
from tokenization.koshelek_pay import codes, key_records, risk, statuses
from tokenization.koshelek_pay.emv import EmvFamily
from tokenization.koshelek_pay.errors import DeviceTokenStateRefused, PhoneRefused
from tokenization.koshelek_pay.par import par_of
from tokenization.koshelek_pay.payment_keys import issuer_key
from tokenization.koshelek_pay.risk import Colour, DeviceFacts, DeviceVerdict, Finding, decide
from tokenization.koshelek_pay.sms import NoSms, SmsBox, SmsGateway, sender_of
from tokenization.koshelek_pay.statuses import DeviceStatus, DeviceTokenStatus, advance, advance_device
from tokenization.koshelek_pay.token_ranges import TokenRange, draw_number, is_token_number

MASTER = Dek(7, KeyMaterial(bytes(range(32))), Algorithm.MASTER_256)
MIR_RANGE = TokenRange("mir_test", "mir", "96430001", EmvFamily.TDES)
CALM = DeviceFacts(
    verdict=DeviceVerdict.TRUSTED, is_device_lost=False, tokens_on_device=0, tokens_max=10,
    devices_of_card=0, declines_today=0, wrong_codes_today=0, card_minutes=10_000, wallet_score=None,
)  # fmt: skip


@pytest.mark.parametrize("status", DeviceTokenStatus)
@pytest.mark.parametrize("to", DeviceTokenStatus)
def test_a_token_goes_where_the_table_says(status: DeviceTokenStatus, to: DeviceTokenStatus) -> None:
    allowed = {
        ("awaiting_code", "approved"), ("awaiting_code", "deleted"), ("approved", "active"), ("approved", "deleted"),
        ("active", "deleted"),
    }  # fmt: skip

    if (status, to) in allowed:
        assert advance(status, to) is to
    else:
        with pytest.raises(DeviceTokenStateRefused):
            advance(status, to)


@pytest.mark.parametrize("status", DeviceStatus)
@pytest.mark.parametrize("to", DeviceStatus)
def test_a_device_goes_where_the_table_says(status: DeviceStatus, to: DeviceStatus) -> None:
    allowed = {("bound", "lost"), ("bound", "wiped"), ("lost", "bound"), ("lost", "wiped")}

    if (status, to) in allowed:
        assert advance_device(status, to) is to
    else:
        with pytest.raises(DeviceTokenStateRefused):
            advance_device(status, to)


@pytest.mark.parametrize(
    "table", [statuses.TOKEN_ALLOWED, statuses.DEVICE_ALLOWED, statuses.KEY_ALLOWED, key_records.PAYMENT_ALLOWED]
)
def test_every_status_stands_in_its_table_and_some_are_final(table: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    assert set(table) == set(type(next(iter(table))))
    assert {to for ways in table.values() for to in ways} <= set(table)
    assert any(not ways for ways in table.values())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**7 - 1))
def test_every_number_of_a_range_passes_the_check_and_is_ours(serial: int) -> None:
    number = draw_number(MIR_RANGE, lambda _limit: serial)

    assert len(number) == 16
    assert passes_luhn(number)
    assert number.startswith(f"96430001{serial:07d}")
    assert is_token_number(number)


@pytest.mark.parametrize("digits", ["2200111753579001", "964300010000000", "96430001000000000", "9643x00100000000"])
def test_other_numbers_are_not(digits: str) -> None:
    assert not is_token_number(digits)


def test_a_reference_is_of_its_number_under_its_key() -> None:
    key, other = (Dek(number, KeyMaterial(bytes([number]) * 32), Algorithm.HMAC_SHA_256) for number in (1, 2))
    mir, visa = Pan("2200111753579001"), Pan("4242424242424242")

    assert par_of(key, mir) == par_of(key, Pan("2200 1117 5357 9001"))
    assert len({par_of(key, mir), par_of(key, visa), par_of(other, mir)}) == 3
    assert par_of(key, mir).isalnum()
    assert len(par_of(key, mir)) == 29


def test_each_range_and_cipher_has_an_issuer_key_of_its_own() -> None:
    keys = {issuer_key(MASTER, name, family) for name in ("mir_test", "visa_test") for family in EmvFamily}

    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)


@pytest.mark.parametrize(
    ("changed", "rule", "colour"),
    [
        ({"verdict": DeviceVerdict.COMPROMISED}, "device_is_compromised", Colour.RED),
        ({"is_device_lost": True}, "device_is_lost", Colour.RED),
        ({"verdict": DeviceVerdict.UNKNOWN}, "key_is_not_attested", Colour.YELLOW),
        ({"tokens_on_device": 10}, "device_is_full", Colour.RED),
        ({"devices_of_card": 3}, "card_is_on_many_devices", Colour.YELLOW),
        ({"devices_of_card": 8}, "card_is_on_many_devices", Colour.RED),
        ({"declines_today": 3}, "was_declined_often", Colour.RED),
        ({"wrong_codes_today": 3}, "codes_ran_out", Colour.YELLOW),
        ({"card_minutes": 59}, "card_is_new_here", Colour.YELLOW),
        ({"wallet_score": 2}, "wallet_hardly_knows_its_user", Colour.YELLOW),
    ],
)
def test_each_rule_sees_its_own(changed: dict[str, Any], rule: str, colour: Colour) -> None:
    decision = decide(replace(CALM, **changed))

    assert decision.colour is colour
    assert [(finding.rule, finding.colour) for finding in decision.findings] == [(rule, colour)]
    assert decision.findings[0].reason


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": DeviceVerdict.TRUSTED}, {"tokens_on_device": 9}, {"devices_of_card": 2}, {"declines_today": 2},
        {"wrong_codes_today": 2}, {"card_minutes": 60}, {"wallet_score": 3},
    ],
)  # fmt: skip
def test_just_below_each_limit_is_green(changed: dict[str, Any]) -> None:
    assert decide(replace(CALM, **changed)) == risk.RiskDecision(Colour.GREEN, ())


def test_the_darkest_finding_decides_and_all_are_kept() -> None:
    decision = decide(replace(CALM, verdict=DeviceVerdict.UNKNOWN, is_device_lost=True, card_minutes=0))

    assert decision.colour is Colour.RED
    assert {finding.rule for finding in decision.findings} == {
        "device_is_lost", "key_is_not_attested", "card_is_new_here"
    }  # fmt: skip


def test_an_installation_may_bring_rules_of_its_own() -> None:
    def never(_facts: DeviceFacts) -> Finding:
        return Finding("never", Colour.RED, "Так решил банк")

    assert decide(CALM, [never]).findings == (Finding("never", Colour.RED, "Так решил банк"),)


def test_a_code_is_six_digits_and_its_digest_is_of_all_it_belongs_to() -> None:
    code = codes.new_code(lambda _limit: 42)
    assert code.expose() == "000042"

    digests = {
        codes.digest_of(MASTER, token, number, Secret(text))
        for token in ("dtk_1", "dtk_2") for number in (1, 2) for text in ("000042", "000043")
    }  # fmt: skip
    assert len(digests) == 8
    other = Dek(8, KeyMaterial(bytes(32)), Algorithm.MASTER_256)
    assert codes.digest_of(other, "dtk_1", 1, code) not in digests


def test_phones_are_masked_and_checked() -> None:
    phone = codes.checked_phone("+79161234567")

    assert codes.phone_mask(phone) == "+7******4567"
    for text in ("89161234567", "+7916123456", "+7916123456٧", ""):
        with pytest.raises(PhoneRefused):
            codes.checked_phone(text)


async def test_the_way_of_codes_is_what_the_settings_name() -> None:
    box, phone = sender_of("", is_production=False), Secret("+79161234567")
    assert isinstance(box, SmsBox)
    for number in range(150):
        await box.send(phone, Secret(f"{number}"))

    assert box.last_to(phone) == Secret("149")
    assert box.last_to(Secret("+79160000000")) is None
    assert len(box.texts) == 100
    assert "149" not in repr(box)
    assert isinstance(sender_of("http://sms.test", is_production=True), SmsGateway)
    nobody = sender_of("", is_production=True)
    assert isinstance(nobody, NoSms)
    with pytest.raises(codes.SmsUnavailable) as refused:
        await nobody.send(phone, Secret("Код 000042"))
    assert "000042" not in str(refused.value.facts)
