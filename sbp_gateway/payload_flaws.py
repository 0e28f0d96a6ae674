"""What can be wrong with the text of a link, found slowly and said exactly.

Links that are right never come here: ``payload.parse`` reads them at one stroke and asks only why it could not.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum

LINK_KOPECKS_MAX = 100_000_000
"""A million roubles. Source: Bank of Russia, the largest C2B operation of SBP."""
PAYLOAD_CHARACTERS_MAX = 512
"""Four times the longest right link: a longer text is not looked into."""
CRC_START = 0xFFFF
"""CRC-16/CCITT-FALSE: polynomial 0x1021, no reflection, no final inversion. Source: verified on 22 public links."""
_HOSTS = {"qr.nspk.ru", "sub.nspk.ru"}
_ORDER = ("type", "bank", "sum", "cur", "crc")
_TYPES = {"01": "S", "02": "D", "03": "B"}
"""Types, and the second character of the id that agrees with each."""


class PayloadFlaw(StrEnum):
    """One thing wrong with a link. The word goes out as the ``reason`` of ``sbp_gateway.invalid_payload``."""

    CHARACTERS = "characters"
    SCHEME = "scheme"
    HOST = "host"
    QRC_ID = "qrc_id"
    PARAMETER_UNKNOWN = "parameter_unknown"
    PARAMETER_REPEATED = "parameter_repeated"
    TYPE = "type"
    HOST_OF_TYPE = "host_of_type"
    BANK = "bank"
    SUM = "sum"
    SUM_TOO_LARGE = "sum_too_large"
    SUM_MISSING = "sum_missing"
    SUM_FORBIDDEN = "sum_forbidden"
    CURRENCY = "currency"
    QRC_ID_OF_TYPE = "qrc_id_of_type"
    PARAMETER_ORDER = "parameter_order"
    CHECK_SUM_MISSING = "check_sum_missing"
    CHECK_SUM = "check_sum"


EXPLAINED: Mapping[PayloadFlaw, str] = {
    PayloadFlaw.CHARACTERS: "a link is 1 to 512 printable ASCII characters without a space",
    PayloadFlaw.SCHEME: "a link begins with https://",
    PayloadFlaw.HOST: "the host is qr.nspk.ru for payments and sub.nspk.ru for bindings",
    PayloadFlaw.QRC_ID: "the id is 32 characters of 0-9 and A-V",
    PayloadFlaw.PARAMETER_UNKNOWN: "the parameters are type, bank, sum, cur and crc, and there are no others",
    PayloadFlaw.PARAMETER_REPEATED: "a parameter stands once",
    PayloadFlaw.TYPE: "the type is 01, 02 or 03",
    PayloadFlaw.HOST_OF_TYPE: "types 01 and 02 live on qr.nspk.ru, type 03 on sub.nspk.ru",
    PayloadFlaw.BANK: "the bank is NSPK's number of 12 digits",
    PayloadFlaw.SUM: "the sum is whole kopecks from 1, without leading zeros",
    PayloadFlaw.SUM_TOO_LARGE: "the sum is at most a million roubles",
    PayloadFlaw.SUM_MISSING: "a link for one payment has its sum",
    PayloadFlaw.SUM_FORBIDDEN: "a binding link has no sum",
    PayloadFlaw.CURRENCY: "the currency is RUB and stands beside a sum, nowhere else",
    PayloadFlaw.QRC_ID_OF_TYPE: "the second character of the id is S for type 01, D for 02, B for 03",
    PayloadFlaw.PARAMETER_ORDER: "the parameters stand in the order type, bank, sum, cur, crc",
    PayloadFlaw.CHECK_SUM_MISSING: "the check sum is four hex digits at the end",
    PayloadFlaw.CHECK_SUM: "the check sum is of another text: something was changed or misread",
}
TOLERATED = frozenset({
    PayloadFlaw.QRC_ID_OF_TYPE,
    PayloadFlaw.BANK,
    PayloadFlaw.PARAMETER_UNKNOWN,
    PayloadFlaw.PARAMETER_ORDER,
    PayloadFlaw.CHECK_SUM_MISSING,
    PayloadFlaw.CHECK_SUM,
})  # fmt: skip
"""What a lenient reading forgives: nothing that changes which link is meant, how much is paid, or for what."""


def check_sum(head: str) -> int:
    """The check sum of a link's text before ``&crc=``."""
    return binascii.crc_hqx(head.encode("ascii"), CRC_START)


def parameters_of(query: str) -> list[tuple[str, str]]:
    """Names and values as they stand; nothing is decoded, because NSPK encodes nothing."""
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]


def flaws_of(payload: str) -> list[PayloadFlaw]:
    """Everything wrong with a link, the gravest first. Nothing if it is right."""
    return list(_flaws(payload))


def _flaws(payload: str) -> Iterator[PayloadFlaw]:
    if re.fullmatch(f"[!-~]{{1,{PAYLOAD_CHARACTERS_MAX}}}", payload) is None:
        yield PayloadFlaw.CHARACTERS
        return
    if not payload.startswith("https://"):
        yield PayloadFlaw.SCHEME
        return
    host, _, rest = payload.removeprefix("https://").partition("/")
    if host not in _HOSTS:
        yield PayloadFlaw.HOST
        return
    qrc_id, question, query = rest.partition("?")
    if re.fullmatch("[0-9A-V]{32}", qrc_id) is None:
        yield PayloadFlaw.QRC_ID
    if question:
        yield from _flaws_of_query(payload, host, qrc_id, parameters_of(query))


def _flaws_of_query(payload: str, host: str, qrc_id: str, said: list[tuple[str, str]]) -> Iterator[PayloadFlaw]:
    names = [name for name, _ in said]
    if set(names) - set(_ORDER):
        yield PayloadFlaw.PARAMETER_UNKNOWN
    if max(Counter(names).values()) > 1:
        yield PayloadFlaw.PARAMETER_REPEATED
    values = dict(said)
    kind = values.get("type")
    if kind not in _TYPES:
        yield PayloadFlaw.TYPE
    elif (kind == "03") != (host == "sub.nspk.ru"):
        yield PayloadFlaw.HOST_OF_TYPE
    if re.fullmatch("[0-9]{12}", values.get("bank", "")) is None:
        yield PayloadFlaw.BANK
    yield from _flaws_of_sum(kind, values)
    if kind in _TYPES and qrc_id[1:2] != _TYPES[kind]:
        yield PayloadFlaw.QRC_ID_OF_TYPE
    known = [name for name in names if name in _ORDER]
    if known != sorted(known, key=_ORDER.index) or (names[-1] != "crc" and "crc" in names):
        yield PayloadFlaw.PARAMETER_ORDER
    yield from _flaws_of_check_sum(payload, values.get("crc"))


def _flaws_of_sum(kind: str | None, values: Mapping[str, str]) -> Iterator[PayloadFlaw]:
    said = values.get("sum")
    if said is None:
        if kind == "02":
            yield PayloadFlaw.SUM_MISSING
        if "cur" in values:
            yield PayloadFlaw.CURRENCY
        return
    if re.fullmatch("[1-9][0-9]*", said) is None:
        yield PayloadFlaw.SUM
    elif len(said) > len(str(LINK_KOPECKS_MAX)) or int(said) > LINK_KOPECKS_MAX:
        yield PayloadFlaw.SUM_TOO_LARGE
    if kind == "03":
        yield PayloadFlaw.SUM_FORBIDDEN
    if values.get("cur") != "RUB":
        yield PayloadFlaw.CURRENCY


def _flaws_of_check_sum(payload: str, said: str | None) -> Iterator[PayloadFlaw]:
    if said is None or re.fullmatch("[0-9A-Fa-f]{4}", said) is None:
        yield PayloadFlaw.CHECK_SUM_MISSING
    elif check_sum(payload[: payload.rindex("&crc=")] if "&crc=" in payload else "") != int(said, 16):
        yield PayloadFlaw.CHECK_SUM
