"""Banks (банки) whose clients pay by SBP links, in NSPK's order: for the list a buyer chooses from."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.door import Call, door_router, needs
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import View
from ledger.database import transaction
from sbp_gateway.bank_list import list_banks
from sbp_gateway.banks import Bank, find_banks
from sbp_gateway.errors import BankNotFound

router = door_router("/v1/sbp/banks", "sbp")

CanRead = Annotated[Call, needs("orders:read")]
Search = Annotated[
    str | None,
    Query(max_length=100, description="Words of the name; case, ё and punctuation do not matter.", examples=["сбер"]),
]


class BankView(View):
    """A bank of NSPK's list. Show its name and logo unchanged."""

    id: str
    """The digits of its application's schema; not always its member id."""
    name: str
    app_schema: str
    package: str | None
    logo_url: str | None
    is_dr_active: bool
    is_web_client_active: bool

    @classmethod
    def of(cls, bank: Bank) -> BankView:
        """The bank as it is shown."""
        return cls(
            id=bank.id, name=bank.name, app_schema=bank.app_schema, package=bank.package, logo_url=bank.logo_url,
            is_dr_active=bank.is_dr_active, is_web_client_active=bank.is_web_client_active,
        )  # fmt: skip


@router.get("")
async def list_sbp_banks(
    call: CanRead, search: Search = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[BankView]:
    """Banks in NSPK's order."""
    start = read_cursor("sbp_banks", after)
    async with transaction(call.engine) as session:
        banks = await list_banks(session)
    found, has_more = page_after(find_banks(banks, search), start, limit)
    return page_of("sbp_banks", [BankView.of(bank) for bank in found], has_more, found[-1].id if found else None, after)


def page_after(banks: list[Bank], start: str | None, limit: int) -> tuple[list[Bank], bool]:
    """The part of a list after the bank ``start``; nothing if it is gone from the list since."""
    place = next((place for place, bank in enumerate(banks, 1) if bank.id == start), 0 if start is None else len(banks))
    return banks[place : place + limit], place + limit < len(banks)


@router.get("/{bank_id}")
async def read_sbp_bank(bank_id: str, call: CanRead) -> BankView:
    """One bank."""
    async with transaction(call.engine) as session:
        banks = await list_banks(session)
    for bank in banks:
        if bank.id == bank_id:
            return BankView.of(bank)
    raise BankNotFound(bank_id=bank_id)
