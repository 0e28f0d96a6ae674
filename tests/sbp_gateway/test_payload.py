"""NSPK's links: the public vectors, and links with something wrong."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.money import Kopecks
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import (
    Link,
    LinkKind,
    build_binding,
    build_dynamic,
    build_static,
    parse,
    parse_leniently,
    with_check_sum,
)
from sbp_gateway.payload_flaws import EXPLAINED, TOLERATED, PayloadFlaw, flaws_of

QR, SUB = "https://qr.nspk.ru/", "https://sub.nspk.ru/"
VECTORS = [
    # Samples of banks' public documentation and SDKs
    (QR + "AS100001ORTF4GAF80KPJ53K186D9A3G?type=01&bank=100000000007&crc=0C8A", "01", "100000000007", None),
    (QR + "AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0", "01",
     "000000000001", 10_000),
    (QR + "AS100074QCPTCVTO8JM9NO8IDAIQPHPB?type=01&bank=100000000061&sum=1000&cur=RUB&crc=2FF3", "01",
     "100000000061", 1_000),
    (QR + "AS1R004PRL5RNGBA9ARPLJLTDO94S3J9?type=01&bank=100000000061&crc=5D90", "01", "100000000061", None),
    (QR + "AD100004BAL7227F9BNP6KNE007J9B3K?type=02&bank=100000000007&sum=1&cur=RUB&crc=AB75", "02",
     "100000000007", 1),
    (QR + "AD10001RQ10OT70E8LEOT61G16J41I09?type=02&bank=100000000111&sum=1400&cur=RUB&crc=62E3", "02",
     "100000000111", 1_400),
    (SUB + "AB1S002LBQ7PDTTE88HQ1SE2PVFVTP04?type=03&bank=100000000111&crc=3B02", "03", "100000000111", None),
    (QR + "AD10006269TNA0JH9378574UQ65OM04Q?type=02&bank=100000000015&sum=1000&cur=RUB&crc=AA34", "02",
     "100000000015", 1_000),
    # Seen in public code
    (QR + "AD10004NBI1TU7R69Q6R9EC0E8OIU4QT?type=02&bank=100000000065&sum=1200&cur=RUB&crc=3C45", "02",
     "100000000065", 1_200),
    (QR + "AD10000K2NIL3MTG886RG8K5691KFRR8?type=02&bank=100000000111&sum=1500&cur=RUB&crc=F38C", "02",
     "100000000111", 1_500),
    # Made up with the same algorithm
    (QR + "AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17", "02",
     "100000000999", 149_990),
    (QR + "AS1A000000000000000000000000TEST?type=01&bank=100000000999&crc=E1F6", "01", "100000000999", None),
    (QR + "AS1R000000000000000000000000TEST?type=01&bank=100000000999&crc=FDBB", "01", "100000000999", None),
    (SUB + "AB1S000000000000000000000000TEST?type=03&bank=100000000999&crc=7E3C", "03", "100000000999", None),
]  # fmt: skip
ID = "AD10000000000000000000000000TEST"
TEST_LINK = QR + ID + "?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17"
RAIFFEISEN_SANDBOX = QR + "AD1F2CD7212E48FA919AB52EF0AEFB33?type=02&bank=10000007&sum=1000&cur=RUB&crc=0000"


def of(query: str, address: str = QR + ID) -> str:
    """A link with this query and a right check sum."""
    return with_check_sum(f"{address}?{query}")


DYNAMIC = "type=02&bank=100000000999&sum=149990&cur=RUB"
WRONG: list[tuple[str, str, PayloadFlaw]] = [
    ("the amount was raised", TEST_LINK.replace("149990", "149991"), PayloadFlaw.CHECK_SUM),
    ("an amount raised by hand, as seen",
     QR + "BD100079OJJHGJAG83NRAERR9428F7H2?type=02&bank=100000000014&sum=222200&cur=RUB&crc=DB3B",
     PayloadFlaw.CHECK_SUM),
    ("an amount put in by hand, as seen",
     QR + "AS1A007S6L54D2GE8BIP92DSJCED7O6M?type=01&bank=100000000007&sum=100&cur=RUB&crc=037F",
     PayloadFlaw.CHECK_SUM),
    ("a check sum of another text", TEST_LINK.replace("crc=5B17", "crc=5B18"), PayloadFlaw.CHECK_SUM),
    ("a check sum too short", TEST_LINK[:-1], PayloadFlaw.CHECK_SUM_MISSING),
    ("no check sum", TEST_LINK.rpartition("&")[0], PayloadFlaw.CHECK_SUM_MISSING),
    ("a payment on the host of bindings", of(DYNAMIC, SUB + ID), PayloadFlaw.HOST_OF_TYPE),
    ("a binding on the host of payments", of("type=03&bank=100000000999", QR + "AB1S" + ID[4:]),
     PayloadFlaw.HOST_OF_TYPE),
    ("a binding with a sum", of("type=03&bank=100000000999&sum=1&cur=RUB", SUB + "AB1S" + ID[4:]),
     PayloadFlaw.SUM_FORBIDDEN),
    ("not https", with_check_sum(f"http://qr.nspk.ru/{ID}?{DYNAMIC}"), PayloadFlaw.SCHEME),
    ("another scheme", "bank100000000111://qr.nspk.ru/" + ID, PayloadFlaw.SCHEME),
    ("another host", of(DYNAMIC, "https://qr.nspk.ru.example.com/" + ID), PayloadFlaw.HOST),
    ("a host after a name", of(DYNAMIC, "https://qr.nspk.ru@example.com/" + ID), PayloadFlaw.HOST),
    ("a port", of(DYNAMIC, "https://qr.nspk.ru:443/" + ID), PayloadFlaw.HOST),
    ("an id too short", of(DYNAMIC, QR + ID[:-1]), PayloadFlaw.QRC_ID),
    ("an id with a letter after V", of(DYNAMIC, QR + ID.replace("TEST", "TESW")), PayloadFlaw.QRC_ID),
    ("an id in lower case", of(DYNAMIC, QR + ID.lower()), PayloadFlaw.QRC_ID),
    ("a slash after the id", of(DYNAMIC, QR + ID + "/"), PayloadFlaw.QRC_ID),
    ("the id of a static link", of(DYNAMIC, QR + "AS" + ID[2:]), PayloadFlaw.QRC_ID_OF_TYPE),
    ("the id of a refund", of(DYNAMIC, QR + "AR" + ID[2:]), PayloadFlaw.QRC_ID_OF_TYPE),
    ("type 04", of(DYNAMIC.replace("type=02", "type=04")), PayloadFlaw.TYPE),
    ("no type", of(DYNAMIC.removeprefix("type=02&")), PayloadFlaw.TYPE),
    ("an empty query", QR + ID + "?", PayloadFlaw.PARAMETER_UNKNOWN),
    ("a bank of 8 digits", of(DYNAMIC.replace("100000000999", "10000099")), PayloadFlaw.BANK),
    ("a bank with a letter", of(DYNAMIC.replace("100000000999", "10000000099A")), PayloadFlaw.BANK),
    ("no bank", of("type=02&sum=149990&cur=RUB"), PayloadFlaw.BANK),
    ("a dynamic link without a sum", of("type=02&bank=100000000999"), PayloadFlaw.SUM_MISSING),
    ("the sum 0", of(DYNAMIC.replace("149990", "0")), PayloadFlaw.SUM),
    ("a negative sum", of(DYNAMIC.replace("149990", "-149990")), PayloadFlaw.SUM),
    ("a leading zero", of(DYNAMIC.replace("149990", "0149990")), PayloadFlaw.SUM),
    ("roubles and kopecks", of(DYNAMIC.replace("149990", "1499.90")), PayloadFlaw.SUM),
    ("a plus", of(DYNAMIC.replace("149990", "+149990")), PayloadFlaw.SUM),
    ("an empty sum", of(DYNAMIC.replace("149990", "")), PayloadFlaw.SUM),
    ("a kopeck above a million roubles", of(DYNAMIC.replace("149990", "100000001")), PayloadFlaw.SUM_TOO_LARGE),
    ("a sum without end", of(DYNAMIC.replace("149990", "9" * 300)), PayloadFlaw.SUM_TOO_LARGE),
    ("dollars", of(DYNAMIC.replace("RUB", "USD")), PayloadFlaw.CURRENCY),
    ("a currency in lower case", of(DYNAMIC.replace("RUB", "rub")), PayloadFlaw.CURRENCY),
    ("a sum without a currency", of(DYNAMIC.replace("&cur=RUB", "")), PayloadFlaw.CURRENCY),
    ("a currency without a sum", of("type=01&bank=100000000999&cur=RUB", QR + "AS" + ID[2:]), PayloadFlaw.CURRENCY),
    ("parameters in another order", of("bank=100000000999&type=02&sum=149990&cur=RUB"), PayloadFlaw.PARAMETER_ORDER),
    ("a purpose", of(DYNAMIC + "&purpose=coffee"), PayloadFlaw.PARAMETER_UNKNOWN),
    ("a parameter after the check sum", TEST_LINK + "&utm=1", PayloadFlaw.PARAMETER_UNKNOWN),
    ("two sums", of(DYNAMIC.replace("&cur", "&sum=1&cur")), PayloadFlaw.PARAMETER_REPEATED),
    ("a space after it", TEST_LINK + " ", PayloadFlaw.CHARACTERS),
    ("a new line after it", TEST_LINK + "\n", PayloadFlaw.CHARACTERS),
    ("digits of another alphabet", TEST_LINK.replace("149990", "१४९९९०"), PayloadFlaw.CHARACTERS),
    ("a text without end", TEST_LINK * 100, PayloadFlaw.CHARACTERS),
    ("nothing", "", PayloadFlaw.CHARACTERS),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "kind", "member_id", "amount"), VECTORS, ids=[row[0][19:51] for row in VECTORS])
def test_public_links_are_read(payload: str, kind: str, member_id: str, amount: int | None) -> None:
    qrc_id = payload.partition("?")[0].rpartition("/")[2]
    link = Link(qrc_id, LinkKind(kind), member_id, None if amount is None else Kopecks(amount))

    assert parse(payload) == parse_leniently(payload) == link
    assert flaws_of(payload) == []


@pytest.mark.parametrize(("payload", "flaw"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_links_with_something_wrong_are_refused_with_the_reason(payload: str, flaw: PayloadFlaw) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        parse(payload)

    assert refusal.value.facts == {"reason": flaw.value, "meaning": EXPLAINED[flaw]}


@pytest.mark.parametrize(("payload", "flaw"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_lenient_reading_forgives_and_says_so_or_refuses(payload: str, flaw: PayloadFlaw) -> None:
    if set(flaws_of(payload)) <= TOLERATED:
        assert flaw in parse_leniently(payload).flaws
    else:
        with pytest.raises(InvalidPayload):
            parse_leniently(payload)


def test_every_flaw_is_explained_and_met() -> None:
    assert set(EXPLAINED) == set(PayloadFlaw) == {flaw for _, _, flaw in WRONG}


def test_a_sandbox_link_is_read_leniently() -> None:
    link = parse_leniently(RAIFFEISEN_SANDBOX)

    assert link[:4] == ("AD1F2CD7212E48FA919AB52EF0AEFB33", LinkKind.DYNAMIC, "10000007", 1_000)
    assert link.flaws == (PayloadFlaw.BANK, PayloadFlaw.CHECK_SUM)
    with pytest.raises(InvalidPayload):
        parse(RAIFFEISEN_SANDBOX)


@pytest.mark.parametrize("host", ["qr", "sub"])
def test_the_short_form_has_no_check_sum(host: str) -> None:
    short = f"https://{host}.nspk.ru/{ID}"
    assert parse(short) == parse_leniently(short) == Link(ID, None, None, None)


def test_the_check_sum_may_be_in_lower_case() -> None:
    assert parse(TEST_LINK.replace("5B17", "5b17")).amount == 149_990


@pytest.mark.parametrize("amount", [0, -1, 100_000_001])
def test_a_link_of_an_impossible_sum_is_not_built(amount: int) -> None:
    with pytest.raises(InvalidPayload):
        build_dynamic(ID, "100000000999", Kopecks(amount))
    with pytest.raises(InvalidPayload):
        build_static("AS" + ID[2:], "100000000999", Kopecks(amount))


letters = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUV", min_size=30, max_size=30)
banks = st.from_regex(r"[0-9]{12}", fullmatch=True)
sums = st.integers(1, 100_000_000).map(Kopecks)
links = st.one_of(
    st.builds(lambda rest, bank, amount: build_dynamic("AD" + rest, bank, amount), letters, banks, sums),
    st.builds(lambda rest, bank, amount: build_static("BS" + rest, bank, amount), letters, banks, st.none() | sums),
    st.builds(lambda rest, bank: build_binding("AB" + rest, bank), letters, banks),
)


spoilt = links.flatmap(lambda link: st.builds(link.replace, st.sampled_from(link), st.text(max_size=3)))


@given(letters, banks, sums)
def test_what_is_built_is_read_again(rest: str, bank: str, amount: Kopecks) -> None:
    assert parse(build_dynamic("AD" + rest, bank, amount)) == ("AD" + rest, LinkKind.DYNAMIC, bank, amount, ())
    assert parse(build_static("AS" + rest, bank, amount)) == ("AS" + rest, LinkKind.STATIC, bank, amount, ())
    assert parse(build_static("AS" + rest, bank)) == ("AS" + rest, LinkKind.STATIC, bank, None, ())
    assert parse(build_binding("AB" + rest, bank)) == ("AB" + rest, LinkKind.BINDING, bank, None, ())


@settings(max_examples=300)
@given(links, st.data())
def test_another_character_anywhere_is_noticed(payload: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(payload) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    assume(character != payload[place])
    changed = payload[:place] + character + payload[place + 1 :]

    if place >= len(payload) - 4 and changed.upper() == payload.upper():
        assert parse(changed) == parse(payload)
    else:
        with pytest.raises(InvalidPayload):
            parse(changed)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=80), spoilt))
def test_what_is_refused_has_a_reason_and_what_is_read_has_none(payload: str) -> None:
    try:
        parse(payload)
    except InvalidPayload:
        assert flaws_of(payload) != []
    else:
        assert flaws_of(payload) == []
    try:
        assert set(parse_leniently(payload).flaws) <= TOLERATED
    except InvalidPayload:
        assert not set(flaws_of(payload)) <= TOLERATED
