"""The text behind an SBP QR: building and reading NSPK's functional links.

``https://qr.nspk.ru/<qrcId>?type=02&bank=<member>&sum=<kopecks>&cur=RUB&crc=<4 hex digits>``

The check sum finds misprints; it proves nothing, since anybody can compute it. Trust comes from the
registration with NSPK alone.
Source: link grammar and vectors of public bank documentation, see tests/sbp_gateway/test_payload.py.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from ledger.money import Kopecks
from sbp_gateway.errors import InvalidPayload

QRC_ID_CHARACTERS = 32
_CRC_START = 0xFFFF
"""CRC-16/CCITT-FALSE: polynomial 0x1021, no reflection, no final inversion."""

_LINK = re.compile(
    r"https://(?P<host>qr|sub)\.nspk\.ru/(?P<qrc_id>[0-9A-V]{32})"
    r"(?:\?type=(?P<type>0[123])&bank=(?P<bank>[0-9]{12})"
    r"(?:&sum=(?P<sum>[1-9][0-9]{0,11})&cur=RUB)?&crc=(?P<crc>[0-9A-Fa-f]{4}))?"
)


class LinkKind(StrEnum):
    """What a link is for, as its ``type`` says."""

    STATIC = "01"
    """Many payments; the sum is optional. Cash links look the same."""
    DYNAMIC = "02"
    """One payment of a fixed sum."""
    BINDING = "03"
    """Consent to later charges, no payment."""


@dataclass(frozen=True, slots=True)
class Link:
    """A functional link, taken apart."""

    qrc_id: str
    kind: LinkKind | None
    """Empty in the short form, which also has no check sum."""
    member_id: str | None
    """NSPK's number of the payee's bank."""
    amount: Kopecks | None


def build_dynamic(qrc_id: str, member_id: str, amount: Kopecks) -> str:
    """The payload of a link for one payment of ``amount``."""
    head = f"https://qr.nspk.ru/{qrc_id}?type={LinkKind.DYNAMIC}&bank={member_id}&sum={int(amount)}&cur=RUB"
    payload = with_check_sum(head)
    assert parse(payload).amount == amount
    return payload


def with_check_sum(head: str) -> str:
    """A link's text with its check sum added."""
    return f"{head}&crc={_check_sum(head):04X}"


def parse(payload: str) -> Link:
    """Take a link apart.

    Raises: InvalidPayload if it breaks the grammar, or the check sum is another.
    """
    found = _LINK.fullmatch(payload)
    if found is None:
        raise InvalidPayload(reason="the grammar of NSPK's links")
    if found["type"] is None:
        return Link(found["qrc_id"], None, None, None)
    kind = LinkKind(found["type"])
    if (kind is LinkKind.BINDING) != (found["host"] == "sub") or (kind is LinkKind.BINDING and found["sum"]):
        raise InvalidPayload(reason="a binding link lives on sub.nspk.ru and has no sum")
    if kind is LinkKind.DYNAMIC and found["sum"] is None:
        raise InvalidPayload(reason="a dynamic link has a sum")
    if _check_sum(payload.rpartition("&crc=")[0]) != int(found["crc"], 16):
        raise InvalidPayload(reason="the check sum")
    amount = None if found["sum"] is None else Kopecks(int(found["sum"]))
    return Link(found["qrc_id"], kind, found["bank"], amount)


def _check_sum(head: str) -> int:
    return binascii.crc_hqx(head.encode("ascii"), _CRC_START)
