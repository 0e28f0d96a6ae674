"""The text behind an SBP QR: building and reading NSPK's functional links.

``https://qr.nspk.ru/<qrcId>?type=02&bank=<member>&sum=<kopecks>&cur=RUB&crc=<4 hex digits>``

The check sum finds misprints; it proves nothing, since anybody can compute it. Trust comes from the
registration with NSPK alone. What can be wrong with a link, and how it is found, is in ``payload_flaws``.
Source: link grammar and vectors of public bank documentation, see tests/sbp_gateway/test_payload.py.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from enum import StrEnum
from typing import NamedTuple

from ledger.money import Kopecks
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload_flaws import (
    CRC_START,
    EXPLAINED,
    LINK_KOPECKS_MAX,
    TOLERATED,
    PayloadFlaw,
    check_sum,
    flaws_of,
    parameters_of,
)

_CRC_TAIL = -len("&crc=0C8A")

_LINK = re.compile(
    r"https://(qr|sub)\.nspk\.ru/([0-9A-V]([0-9A-V])[0-9A-V]{30})"
    r"(?:\?type=(0[123])&bank=([0-9]{12})(?:&sum=([1-9][0-9]{0,8})&cur=RUB)?&crc=([0-9A-Fa-f]{4}))?",
    re.ASCII,
)


class LinkKind(StrEnum):
    """What a link is for, as its ``type`` says."""

    STATIC = "01"
    """Many payments; the sum is optional. Cash links look the same."""
    DYNAMIC = "02"
    """One payment of a fixed sum."""
    BINDING = "03"
    """Consent to later charges, no payment."""


_KINDS = {
    ("qr", "S", "01", False): LinkKind.STATIC,
    ("qr", "S", "01", True): LinkKind.STATIC,
    ("qr", "D", "02", True): LinkKind.DYNAMIC,
    ("sub", "B", "03", False): LinkKind.BINDING,
}
"""Host, second character of the id, type, and whether there is a sum: what goes together."""


class Link(NamedTuple):
    """A functional link, taken apart. A named tuple because links are read by the thousand."""

    qrc_id: str
    kind: LinkKind | None
    """Empty in the short form, which also has no check sum."""
    member_id: str | None
    """NSPK's number of the payee's bank."""
    amount: Kopecks | None
    flaws: tuple[PayloadFlaw, ...] = ()
    """What a lenient reading forgave; always empty after a strict one."""


def build_static(qrc_id: str, member_id: str, amount: Kopecks | None = None) -> str:
    """The payload of a link for many payments: of ``amount``, or of what each payer types. Cash links look the same.

    Raises: InvalidPayload.
    """
    return _checked(f"https://qr.nspk.ru/{qrc_id}?type=01&bank={member_id}" + _sum(amount))


def build_dynamic(qrc_id: str, member_id: str, amount: Kopecks) -> str:
    """The payload of a link for one payment of ``amount``. Raises: InvalidPayload."""
    return _checked(f"https://qr.nspk.ru/{qrc_id}?type=02&bank={member_id}" + _sum(amount))


def build_binding(qrc_id: str, member_id: str) -> str:
    """The payload of a link by which a buyer consents to later charges. Raises: InvalidPayload."""
    return _checked(f"https://sub.nspk.ru/{qrc_id}?type=03&bank={member_id}")


def with_check_sum(head: str) -> str:
    """A link's text with its check sum added."""
    return f"{head}&crc={check_sum(head):04X}"


def parse(payload: str) -> Link:
    """Take a link apart, strictly.

    Raises: InvalidPayload, with the first thing that is wrong as its ``reason``.
    """
    found = _LINK.fullmatch(payload)
    if found is not None:
        host, qrc_id, letter, kind_said, member_id, said, crc = found.groups()
        if kind_said is None:
            return Link(qrc_id, None, None, None)
        kind = _KINDS.get((host, letter, kind_said, said is not None))
        amount = None if said is None else Kopecks(int(said))
        if (
            kind is not None
            and crc_hqx(payload[:_CRC_TAIL].encode(), CRC_START) == int(crc, 16)
            and (amount is None or amount <= LINK_KOPECKS_MAX)
        ):
            return Link(qrc_id, kind, member_id, amount)
    flaws = flaws_of(payload)
    assert flaws, "the grammar refuses a link and nothing is wrong with it"
    raise _invalid(flaws[0])


def parse_leniently(payload: str) -> Link:
    """Take a link of somebody's sandbox apart, and say in ``flaws`` what a strict reading would refuse.

    Bank numbers of another length, dummy check sums, ids of another kind, parameters more or in another order
    are forgiven. A wrong host, type, sum or currency never is.
    Raises: InvalidPayload. Source: Raiffeisen's sandbox gives 8-digit banks and dummy check sums (ecom-API).
    """
    flaws = tuple(flaws_of(payload))
    for flaw in flaws:
        if flaw not in TOLERATED:
            raise _invalid(flaw)
    if not flaws:
        return parse(payload)
    address, _, query = payload.partition("?")
    said = dict(parameters_of(query))
    kind = LinkKind(said["type"]) if query else None
    amount = Kopecks(int(said["sum"])) if "sum" in said else None
    return Link(address.rpartition("/")[2], kind, said.get("bank"), amount, flaws)


def _sum(amount: Kopecks | None) -> str:
    return "" if amount is None else f"&sum={int(amount)}&cur=RUB"


def _checked(head: str) -> str:
    payload = with_check_sum(head)
    parse(payload)
    return payload


def _invalid(flaw: PayloadFlaw) -> InvalidPayload:
    return InvalidPayload(reason=flaw.value, meaning=EXPLAINED[flaw])
