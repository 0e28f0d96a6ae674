"""Merchants (ТСП): who sells and is paid."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.settings import Mode
from api.wire import Body, Flag, Instant, Text, View
from checkout import onboarding, repository
from checkout.bank_details import BankAccount
from checkout.errors import MerchantNotFound
from checkout.merchants import Merchant
from ledger import ids
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from reconciliation import repository as finance
from reconciliation.tariffs import tariff_on
from sbp_gateway import onboarding as sbp_onboarding
from sbp_gateway.merchants import SbpMerchant, SettlementMode, for_sandbox
from sbp_gateway.registrations import MerchantSource

router = door_router("/v1/merchants", "merchants")


class BankAccountBody(Body):
    """Where the merchant's payouts go."""

    bik: Annotated[str, Field(strict=True, max_length=20, examples=["044525225"])]
    number: Annotated[str, Field(strict=True, max_length=40, examples=["40702810938000000001"])]


class SbpBody(Body):
    """What the merchant's bank registered with NSPK. A sandbox makes it up when it is not given."""

    nspk_merchant_id: Annotated[str, Field(strict=True, pattern=r"^M[A-Z][0-9]{10}$", examples=["MA0000000552"])]
    member_id: Annotated[str, Field(strict=True, pattern=r"^[0-9]{12}$", examples=["100000000007"])]


class MerchantBody(Body):
    """A merchant to be taken in."""

    name: Annotated[Text, Field(max_length=100, examples=["Пятница"])]
    legal_name: Annotated[Text, Field(max_length=200, examples=["ООО «Пятница»"])]
    inn: Annotated[str, Field(strict=True, max_length=20, examples=["7707083893"])]
    ogrn: Annotated[str, Field(strict=True, max_length=20, examples=["1027700132195"])] | None = None
    bank_account: BankAccountBody
    tariff_group: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["everyday"])]
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    """Whose account the money of SBP payments arrives at."""
    sbp: SbpBody | None = None
    is_registered_by_hand: Flag = False
    """A sandbox makes no registration up: the merchant comes to SBP by ``/v1/sbp/registrations``, as in production."""


class BankAccountView(View):
    """Where the merchant's payouts go."""

    bik: str
    number: str


class MerchantView(View):
    """A merchant."""

    id: str
    name: str
    legal_name: str
    inn: str
    ogrn: str | None
    bank_account: BankAccountView
    tariff_group: str
    created_at: Instant

    @classmethod
    def of(cls, merchant: Merchant) -> MerchantView:
        """The merchant as it is shown."""
        account = BankAccountView(bik=merchant.bank_account.bik, number=merchant.bank_account.number)
        return cls(
            id=merchant.id, name=merchant.name, legal_name=merchant.legal_name, inn=merchant.inn, ogrn=merchant.ogrn,
            bank_account=account, tariff_group=merchant.tariff_group, created_at=merchant.created_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=MerchantView)
async def create_merchant(body: MerchantBody, call: Annotated[Call, needs("merchants:write")]) -> Response:
    """Take a merchant in: its account in the books and its registration with NSPK come with it."""

    async def work(session: Session, claim: Claim) -> MerchantView:
        tariffs = await finance.load_tariffs(session, "sbp")
        tariff_on(tariffs, tariff_group=body.tariff_group, rail="sbp", on=moscow_day(call.now))
        merchant = await onboarding.onboard_merchant(
            session, claim.resource_id, name=body.name, legal_name=body.legal_name, inn=body.inn,
            bank_account=BankAccount(body.bank_account.bik, body.bank_account.number),
            tariff_group=body.tariff_group, ogrn=body.ogrn, now=call.now,
        )  # fmt: skip
        registered = _registered(body, merchant, call)
        if registered is not None:
            await sbp_onboarding.import_merchant(
                session, ids.new_id("sbr", call.now), registered, bik=merchant.bank_account.bik, ogrn=merchant.ogrn,
                learnt_by=MerchantSource.SANDBOX if body.sbp is None else MerchantSource.ENTERED, now=call.now,
            )  # fmt: skip
        return MerchantView.of(merchant)

    return await once(call, work, prefix="mer", location="/v1/merchants/{id}")


def _registered(body: MerchantBody, merchant: Merchant, call: Call) -> SbpMerchant | None:
    number = merchant.bank_account.number
    if body.sbp is not None:
        return SbpMerchant(merchant.id, body.sbp.nspk_merchant_id, body.sbp.member_id, number, body.settlement_mode)
    if call.door.settings.mode is Mode.SANDBOX and not body.is_registered_by_hand:
        return for_sandbox(merchant.id, ids.read("mer", merchant.id).int, number, body.settlement_mode)
    return None


@router.get("/{merchant_id}")
async def read_merchant(merchant_id: str, call: Annotated[Call, needs("orders:read")]) -> MerchantView:
    """One merchant."""
    if not call.caller.sees(merchant_id):
        raise MerchantNotFound(merchant_id=merchant_id)
    async with transaction(call.engine) as session:
        return MerchantView.of(await repository.load_merchant(session, merchant_id))


@router.get("")
async def list_merchants(
    call: Annotated[Call, needs("orders:read")], after: After = None, limit: Limit = PAGE_USUAL
) -> Page[MerchantView]:
    """Merchants, oldest first."""
    start = read_cursor("merchants", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_merchants(
            session, merchant_id=call.caller.merchant_id, after=start, limit=limit
        )
    views = [MerchantView.of(merchant) for merchant in found]
    return page_of("merchants", views, has_more, views[-1].id if views else None, after)
