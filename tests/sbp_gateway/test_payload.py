"""NSPK's links: the public vectors, and links with something wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import Kopecks
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import LinkKind, build_dynamic, parse

VECTORS = [
    "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G?type=01&bank=100000000007&crc=0C8A",
    "https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0",
    "https://qr.nspk.ru/AS100074QCPTCVTO8JM9NO8IDAIQPHPB?type=01&bank=100000000061&sum=1000&cur=RUB&crc=2FF3",
    "https://qr.nspk.ru/AS1R004PRL5RNGBA9ARPLJLTDO94S3J9?type=01&bank=100000000061&crc=5D90",
    "https://qr.nspk.ru/AD100004BAL7227F9BNP6KNE007J9B3K?type=02&bank=100000000007&sum=1&cur=RUB&crc=AB75",
    "https://qr.nspk.ru/AD10001RQ10OT70E8LEOT61G16J41I09?type=02&bank=100000000111&sum=1400&cur=RUB&crc=62E3",
    "https://sub.nspk.ru/AB1S002LBQ7PDTTE88HQ1SE2PVFVTP04?type=03&bank=100000000111&crc=3B02",
    "https://qr.nspk.ru/AD10006269TNA0JH9378574UQ65OM04Q?type=02&bank=100000000015&sum=1000&cur=RUB&crc=AA34",
    "https://qr.nspk.ru/AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17",
    "https://qr.nspk.ru/AS1A000000000000000000000000TEST?type=01&bank=100000000999&crc=E1F6",
    "https://qr.nspk.ru/AS1R000000000000000000000000TEST?type=01&bank=100000000999&crc=FDBB",
    "https://sub.nspk.ru/AB1S000000000000000000000000TEST?type=03&bank=100000000999&crc=7E3C",
]
"""Samples of banks' public documentation and SDKs, and four made up with the same algorithm."""

TEST_LINK = "https://qr.nspk.ru/AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17"


@pytest.mark.parametrize("payload", VECTORS)
def test_public_links_are_read(payload: str) -> None:
    link = parse(payload)
    assert link.qrc_id in payload
    assert link.kind is not None
    assert f"type={link.kind.value}" in payload


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(TEST_LINK.replace("149990", "149991"), id="the amount was raised"),
        pytest.param(
            "https://qr.nspk.ru/BD100079OJJHGJAG83NRAERR9428F7H2?type=02&bank=100000000014&sum=222200&cur=RUB&crc=DB3B",
            id="seen in the wild with another amount",
        ),
        pytest.param(
            "https://qr.nspk.ru/AS1A007S6L54D2GE8BIP92DSJCED7O6M?type=01&bank=100000000007&sum=100&cur=RUB&crc=037F",
            id="seen in the wild with an amount put in",
        ),
        pytest.param(TEST_LINK.replace("crc=5B17", "crc=5B18"), id="the check sum is another"),
        pytest.param(TEST_LINK.replace("qr.nspk", "sub.nspk"), id="a payment on the host of bindings"),
        pytest.param(TEST_LINK.replace("https", "http"), id="not https"),
        pytest.param(TEST_LINK.replace("sum=149990&cur=RUB&", ""), id="a dynamic link without a sum"),
        pytest.param(TEST_LINK + " ", id="something after it"),
        pytest.param("", id="nothing"),
    ],
)
def test_links_with_something_wrong_are_refused(payload: str) -> None:
    with pytest.raises(InvalidPayload):
        parse(payload)


def test_the_short_form_has_no_check_sum() -> None:
    assert parse("https://qr.nspk.ru/AD10000000000000000000000000TEST").kind is None


def test_the_check_sum_may_be_in_lower_case() -> None:
    assert parse(TEST_LINK.replace("5B17", "5b17")).amount == 149_990


qrc_ids = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUV", min_size=32, max_size=32)


@given(qrc_ids, st.from_regex(r"[0-9]{12}", fullmatch=True), st.integers(1, 100_000_000))
def test_what_is_built_is_read_again(qrc_id: str, member_id: str, amount: int) -> None:
    link = parse(build_dynamic(qrc_id, member_id, Kopecks(amount)))
    assert (link.qrc_id, link.kind, link.member_id, link.amount) == (qrc_id, LinkKind.DYNAMIC, member_id, amount)
