"""Banks whose clients pay by SBP links: reading NSPK's list, finding a bank in it, links into its application.

NSPK wants the list shown in its own order, names and logos unchanged, with a search; up to three banks chosen
before may stand first. Source: https://qr.nspk.ru/proxyapp/c2bmembers.json; T-Bank's acquiring API, section SBP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sbp_gateway.errors import BankNotFound, InvalidBankList
from sbp_gateway.payload import parse_leniently

BANKS_MAX = 2_000
"""Ten times as many as there are."""
NAME_CHARACTERS_MAX = 200
URL_CHARACTERS_MAX = 500
CHOSEN_BANKS_MAX = 3
"""Banks chosen before that may stand before all others."""
SEPARATOR_USUAL = "/"
_SCHEMA = re.compile("bank([0-9]{12})")
_HTTPS = re.compile(r"https://[!-~]+")


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank of NSPK's list."""

    id: str
    """The digits of its application's schema. Not always its member id: VTB's schema says 110000000005, its logo
    100000000005."""
    name: str
    app_schema: str
    """``bank100000000111``: its application opens links that begin so."""
    package: str | None
    """Of its Android application; several banks may share one."""
    logo_url: str | None
    is_dr_active: bool
    """Whether its application takes digital roubles too, as NSPK says."""
    is_web_client_active: bool
    """Whether a link can be paid in the browser."""
    web_client_url: str | None
    web_client_url_sub: str | None
    """The same for account bindings."""
    param_separator: str | None


@dataclass(frozen=True, slots=True)
class Deeplink:
    """One link as a bank's own application and web client open it."""

    bank: Bank
    app_link: str
    web_link: str | None


def read_banks(text: str) -> list[Bank]:
    """Read the list: NSPK's own form, or the public normalised copy of it.

    Raises: InvalidBankList, saying where; nothing of a list with a fault is taken.
    """
    try:
        said = json.loads(text)
    except ValueError:
        raise InvalidBankList(reason="the file is not JSON") from None
    listed = (said.get("dictionary") or said.get("banks")) if isinstance(said, dict) else said
    if not isinstance(listed, list) or not 1 <= len(listed) <= BANKS_MAX:
        raise InvalidBankList(reason=f"no list of 1 to {BANKS_MAX} banks under `dictionary` or `banks`")
    banks = [_bank(item, place) for place, item in enumerate(listed, 1)]
    _refuse_repeated(banks)
    return banks


def find_banks(banks: Iterable[Bank], search: str | None) -> list[Bank]:
    """The banks whose name has the words in it, in the order of the list. Case, ё and punctuation do not matter."""
    wanted = searchable(search or "")
    return [bank for bank in banks if wanted in searchable(bank.name)]


def searchable(name: str) -> str:
    """A name as it is searched: ``Т-Банк`` and ``т банк`` are the same."""
    return re.sub(r"[\W_]+", "", name.casefold().replace("ё", "е"))


def chosen_first(banks: Sequence[Bank], chosen: Sequence[str]) -> list[Bank]:
    """The list with banks chosen before at its head. Raises: BankNotFound."""
    assert len(chosen) <= CHOSEN_BANKS_MAX
    by_id = {bank.id: bank for bank in banks}
    for bank_id in chosen:
        if bank_id not in by_id:
            raise BankNotFound(bank_id=bank_id)
    return [by_id[bank_id] for bank_id in dict.fromkeys(chosen)] + [bank for bank in banks if bank.id not in chosen]


def deeplink(bank: Bank, payload: str) -> Deeplink:
    """A link as the bank's application and web client open it. Give the plain link beside it, always.

    The application's link keeps host and path and replaces ``https``. The web client's address is followed by the
    list's separator and the link without its host. Raises: InvalidPayload.
    """
    parse_leniently(payload)
    plain = payload.removeprefix("https://")
    host, _, rest = plain.partition("/")
    base = bank.web_client_url_sub if host.startswith("sub.") else bank.web_client_url
    web_link = None
    if bank.is_web_client_active and base is not None and _HTTPS.fullmatch(base):  # plain http would show the link
        separator = bank.param_separator or SEPARATOR_USUAL
        web_link = base.removesuffix(separator) + separator + rest
    return Deeplink(bank, f"{bank.app_schema}://{plain}", web_link)


def _bank(item: Any, place: int) -> Bank:
    if not isinstance(item, dict):
        raise InvalidBankList(reason="not an object", place=place)
    schema = _text(item, ("schema",), place, maximum=16)
    found = _SCHEMA.fullmatch(schema or "")
    name = _text(item, ("bankName", "name"), place, maximum=NAME_CHARACTERS_MAX)
    if schema is None or found is None:
        raise InvalidBankList(reason="the schema is `bank` and 12 digits", place=place)
    if name is None:
        raise InvalidBankList(reason="no name", place=place)
    web_client_url = _text(item, ("webClientUrl",), place)
    return Bank(
        id=found[1],
        name=name,
        app_schema=schema,
        package=_text(item, ("package_name", "package"), place),
        logo_url=_text(item, ("logoURL", "logo"), place),
        is_dr_active=_flag(item, "isDrActive", place),
        is_web_client_active=_flag(item, "isWebClientActive", place) and web_client_url is not None,
        web_client_url=web_client_url,
        web_client_url_sub=_text(item, ("webClientUrlSub",), place),
        param_separator=_text(item, ("param_separator",), place, maximum=8),
    )


def _text(item: Mapping[str, Any], names: Sequence[str], place: int, maximum: int = URL_CHARACTERS_MAX) -> str | None:
    """A field under the one or the other name; absent and empty are the same."""
    value = next((item[name] for name in names if item.get(name) is not None), None)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > maximum or not value.isprintable():
        raise InvalidBankList(reason=f"{names[0]} is not a text of at most {maximum} characters", place=place)
    return value


def _flag(item: Mapping[str, Any], name: str, place: int) -> bool:
    """NSPK writes some flags as booleans and some as texts."""
    value = item.get(name)
    if value not in (None, True, False, "true", "false", ""):
        raise InvalidBankList(reason=f"{name} is neither true nor false", place=place)
    return value in (True, "true")


def _refuse_repeated(banks: Sequence[Bank]) -> None:
    seen: set[str] = set()
    for place, bank in enumerate(banks, 1):
        if bank.id in seen:
            raise InvalidBankList(reason=f"{bank.app_schema} stands twice", place=place)
        seen.add(bank.id)
