"""NSPK's list of banks: both its forms, its search, and links into applications."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger.database import Engine, transaction
from sbp_gateway.bank_list import BankImport, bundled_banks, import_banks, list_banks
from sbp_gateway.banks import Bank, chosen_first, deeplink, find_banks, read_banks
from sbp_gateway.errors import BankNotFound, InvalidBankList, InvalidPayload

PAYLOAD = "https://qr.nspk.ru/AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17"
BINDING = "https://sub.nspk.ru/AB1S000000000000000000000000TEST?type=03&bank=100000000999&crc=7E3C"
RAW: dict[str, Any] = {
    "bankName": "Банк «Ёлка»",
    "logoURL": "https://qr.nspk.ru/proxyapp/logo/bank100000000998.png",
    "schema": "bank100000000998",
    "isWebClientActive": "true",
    "webClientUrl": "https://pay.example.com/c2b",
    "webClientUrlSub": "https://pay.example.com/sub",
    "param_separator": "#",
}


def listed(*items: Any) -> str:
    return json.dumps({"version": "1.0", "dictionary": list(items)})


@pytest.fixture
def bank() -> Bank:
    return read_banks(listed(RAW))[0]


def test_nspks_own_form_is_read(bank: Bank) -> None:
    assert bank == Bank(
        id="100000000998", name="Банк «Ёлка»", app_schema="bank100000000998", package=None, logo_url=RAW["logoURL"],
        is_dr_active=False, is_web_client_active=True, web_client_url="https://pay.example.com/c2b",
        web_client_url_sub="https://pay.example.com/sub", param_separator="#",
    )  # fmt: skip


def test_the_bundled_list_is_read_in_its_order() -> None:
    banks = bundled_banks()

    assert len(banks) == 192
    assert [bank.name for bank in banks[:4]] == ["Сбербанк", "Т-Банк", "Банк ВТБ", "АЛЬФА-БАНК"]
    assert sum(bank.is_dr_active for bank in banks) == 18
    assert sum(bank.is_web_client_active for bank in banks) == 54


def test_the_digits_of_vtbs_schema_are_not_those_of_its_logo() -> None:
    (vtb,) = find_banks(bundled_banks(), "банк втб")

    assert vtb.id == "110000000005"
    assert vtb.logo_url is not None
    assert "100000000005" in vtb.logo_url
    assert deeplink(vtb, PAYLOAD).app_link.startswith("bank110000000005://qr.nspk.ru/")


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        pytest.param("", "the file is not JSON", None, id="nothing"),
        pytest.param("[]", "no list", None, id="no bank"),
        pytest.param('{"banks": {}}', "no list", None, id="not a list"),
        pytest.param(listed("bank"), "not an object", 1, id="a text for a bank"),
        pytest.param(listed(RAW, {**RAW, "schema": "bank1"}), "the schema", 2, id="a short schema"),
        pytest.param(listed({**RAW, "schema": None}), "the schema", 1, id="no schema"),
        pytest.param(listed({**RAW, "bankName": ""}), "no name", 1, id="no name"),
        pytest.param(listed({**RAW, "bankName": 7}), "bankName", 1, id="a number for a name"),
        pytest.param(listed({**RAW, "bankName": "a\nb"}), "bankName", 1, id="two lines of a name"),
        pytest.param(listed({**RAW, "isDrActive": "yes"}), "isDrActive", 1, id="a flag that is none"),
        pytest.param(listed(RAW, RAW), "bank100000000998 stands twice", 2, id="a bank twice"),
    ],
)
def test_a_list_with_a_fault_is_refused_whole(text: str, reason: str, place: int | None) -> None:
    with pytest.raises(InvalidBankList) as refusal:
        read_banks(text)

    assert str(refusal.value.facts["reason"]).startswith(reason)
    assert refusal.value.facts.get("place") == place


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("сбер", "Сбербанк"), ("СБЕРБАНК", "Сбербанк"), ("т банк", "Т-Банк"), ("Тбанк", "Т-Банк"),
        ("кремлёв", "Банк Кремлевский"),
    ],
)  # fmt: skip
def test_a_bank_is_found_by_words_of_its_name(search: str, found: str) -> None:
    assert found in [bank.name for bank in find_banks(bundled_banks(), search)]


def test_a_search_keeps_the_order_and_an_empty_one_finds_all() -> None:
    banks = bundled_banks()
    found = find_banks(banks, "банк")

    assert found == [bank for bank in banks if bank in found]
    assert find_banks(banks, None) == find_banks(banks, " ") == banks
    assert find_banks(banks, "no such bank") == []


def test_banks_chosen_before_stand_first_and_once() -> None:
    banks = bundled_banks()
    last, second = banks[-1], banks[1]

    ordered = chosen_first(banks, [last.id, second.id])

    assert ordered[:3] == [last, second, banks[0]]
    assert sorted(bank.id for bank in ordered) == sorted(bank.id for bank in banks)
    with pytest.raises(BankNotFound):
        chosen_first(banks, ["100000000000"])


def test_an_applications_link_keeps_host_and_path(bank: Bank) -> None:
    link = deeplink(bank, PAYLOAD)

    assert link.app_link == PAYLOAD.replace("https://", "bank100000000998://")
    assert link.web_link == "https://pay.example.com/c2b#" + PAYLOAD.removeprefix("https://qr.nspk.ru/")


def test_a_binding_goes_to_the_web_client_of_bindings(bank: Bank) -> None:
    assert deeplink(bank, BINDING).web_link == "https://pay.example.com/sub#" + BINDING.removeprefix(
        "https://sub.nspk.ru/"
    )
    assert deeplink(replace(bank, web_client_url_sub=None), BINDING).web_link is None


def test_the_usual_separator_is_a_slash_and_never_doubled(bank: Bank) -> None:
    for url in ("https://pay.example.com/c2b", "https://pay.example.com/c2b/"):
        link = deeplink(replace(bank, param_separator=None, web_client_url=url), PAYLOAD)
        assert link.web_link == "https://pay.example.com/c2b/" + PAYLOAD.removeprefix("https://qr.nspk.ru/")


def test_no_link_leads_to_a_web_client_that_is_off_or_without_tls(bank: Bank) -> None:
    assert deeplink(replace(bank, is_web_client_active=False), PAYLOAD).web_link is None
    assert deeplink(replace(bank, web_client_url="http://pay.example.com"), PAYLOAD).web_link is None


def test_no_deeplink_is_made_of_what_is_no_link(bank: Bank) -> None:
    with pytest.raises(InvalidPayload):
        deeplink(bank, "https://example.com/")


async def imported(engine: Engine, banks: list[Bank], now: datetime) -> BankImport:
    async with transaction(engine) as session:
        return await import_banks(session, banks, now=now)


async def kept(engine: Engine) -> list[Bank]:
    async with transaction(engine) as session:
        return await list_banks(session)


async def test_the_same_list_again_changes_nothing(engine: Engine, now: datetime) -> None:
    banks = bundled_banks()

    first = await imported(engine, banks, now)
    again = await imported(engine, banks, now + timedelta(days=1))

    assert (len(first.added), first.changed, first.gone, first.unchanged) == (192, (), (), 0)
    assert again == BankImport((), (), (), 192)
    assert await kept(engine) == banks


async def test_an_import_says_what_came_changed_and_went(engine: Engine, now: datetime, bank: Bank) -> None:
    one, two, three = bundled_banks()[:3]
    await imported(engine, [one, two, three], now)

    done = await imported(engine, [three, replace(one, name="Сбер"), bank], now)
    back = await imported(engine, [one, two, three], now)

    assert (done.added, set(done.changed), done.gone) == ((bank.name,), {three.name, "Сбер"}, (two.name,))
    assert (set(back.changed), back.gone) == ({one.name, two.name, three.name}, (bank.name,))
    assert await kept(engine) == [one, two, three]
