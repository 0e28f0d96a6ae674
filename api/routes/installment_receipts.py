"""Receipts of plans (чеки по 54-ФЗ): what a till is to print is fetched, and what it printed is told back.

A key of one merchant speaks for that merchant's till. A key of the house that names no merchant speaks for our own
till, which prints on behalf of the merchants that agreed to it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import FieldFault, RequestInvalid, ResourceUnknown
from api.idempotency import Claim, once
from api.plan_views import BasketLineView
from api.routes.installment_plans import actor_of
from api.routes.installment_products import MerchantId
from api.wire import Body, Day, Text, View
from checkout.repository import load_merchant
from installments import receipts
from installments.receipts import ReceiptIntent, ReceiptProfile, ReceiptSigns, ReceiptStage
from ledger.database import Session
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

router = door_router("/v1/installments", "installments")

CanWrite = Annotated[Call, needs("installments:write")]
CanManage = Annotated[Call, needs("installments:manage")]
REASON_CHARACTERS_MAX = 300


class ReceiptFetchBody(Body):
    """Whose till asks."""

    merchant_id: MerchantId | None = None
    """A key of one merchant need not say; a key of the house that says nothing asks for our own till."""


class ReceiptSignsBody(Body):
    """What the till printed."""

    fiscal_drive: Annotated[str, Field(strict=True, pattern=r"^[0-9]{16}$", examples=["9999078900001234"])]
    """Tag 1041 (ФН)."""
    fiscal_document: Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,10}$", examples=["17"])]
    """Tag 1040 (ФД)."""
    fiscal_sign: Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,10}$", examples=["3456789012"])]
    """Tag 1077 (ФПД)."""


class ReceiptRefusalBody(Body):
    """Why the till printed nothing."""

    reason: Annotated[Text, Field(min_length=1, max_length=REASON_CHARACTERS_MAX, examples=["Нет бумаги"])]
    """For people; never personal data."""


class ReceiptProfileBody(Body):
    """Who fiscalises a merchant's sales by plans, from a day on."""

    merchant_id: MerchantId
    profile: ReceiptProfile
    effective_on: Day


class ReceiptProfileView(View):
    """Who fiscalises a merchant's sales by plans, from a day on."""

    merchant_id: str
    profile: ReceiptProfile
    effective_on: Day


class ReceiptLineView(BasketLineView):
    """A line of a receipt."""

    receipt: dict[str, str]
    """Tax, method and object as the shop gave them."""


class ReceiptView(View):
    """One receipt that a till is to make. It names no buyer."""

    id: str
    plan_id: str
    merchant_id: str
    profile: ReceiptProfile
    stage: ReceiptStage
    is_return: bool
    amount_kopecks: int
    tags: dict[str, int]
    """Tags of fiscal documents: 1054, 1214, 1020, 1081, 1215 and 1216; sums in kopecks."""
    items: list[ReceiptLineView]

    @classmethod
    def of(cls, intent: ReceiptIntent) -> ReceiptView:
        """The receipt as a till is given it."""
        tags = receipts.tags_of(intent)
        return cls(
            id=intent.id, plan_id=intent.plan_id, merchant_id=intent.merchant_id, profile=intent.profile,
            stage=intent.stage, is_return=intent.is_return, amount_kopecks=int(intent.sums.total),
            items=[_line(item) for item in tags.pop("items")], tags=tags,
        )  # fmt: skip


class ReceiptsView(View):
    """What a till is to print now, oldest first: the same again until it says what it did."""

    items: list[ReceiptView]


class ReceiptEndView(View):
    """What a till did."""

    id: str
    state: str
    """``issued`` or ``refused``."""


@router.post("/receipts/claims", status_code=200, response_model=ReceiptsView)
async def fetch_plan_receipts(body: ReceiptFetchBody, call: CanWrite) -> Response:
    """Give a till what it is to print. Nothing is taken away: what it did is told by the receipt's id."""
    merchant_id = _till_of(call, body.merchant_id)

    async def fetch(session: Session, _claim: Claim) -> ReceiptsView:
        if merchant_id is None:
            found = await receipts.fetch_of_operator(session, now=call.now)
        else:
            found = await receipts.fetch_receipts(session, merchant_id, now=call.now)
        return ReceiptsView(items=[ReceiptView.of(intent) for intent in found])

    return await once(call, fetch, status=200)


@router.post("/receipts/{receipt_id}/signs", status_code=200, response_model=ReceiptEndView)
async def tell_plan_receipt_issued(receipt_id: str, body: ReceiptSignsBody, call: CanWrite) -> Response:
    """The till printed it, under these fiscal signs. Told again with the same signs, nothing changes."""
    signs = ReceiptSigns(body.fiscal_drive, body.fiscal_document, body.fiscal_sign)

    async def end(session: Session, _claim: Claim) -> ReceiptEndView:
        is_news = await receipts.receipt_issued(
            session, receipt_id, signs, merchant_id=call.caller.merchant_id, now=call.now
        )
        return await _ended(session, receipt_id, "issued", call, is_news=is_news)

    return await once(call, end, status=200)


@router.post("/receipts/{receipt_id}/refusal", status_code=200, response_model=ReceiptEndView)
async def tell_plan_receipt_refused(receipt_id: str, body: ReceiptRefusalBody, call: CanWrite) -> Response:
    """The till would not print it: a person looks. It may still be issued later."""

    async def end(session: Session, _claim: Claim) -> ReceiptEndView:
        await receipts.receipt_refused(
            session, receipt_id, body.reason, merchant_id=call.caller.merchant_id, now=call.now
        )
        return await _ended(session, receipt_id, "refused", call)

    return await once(call, end, status=200)


@router.post("/receipt-profiles", status_code=201, response_model=ReceiptProfileView)
async def agree_receipt_profile(body: ReceiptProfileBody, call: CanManage) -> Response:
    """Write down who fiscalises a merchant's contracts from a day on; contracts of before keep what they had."""

    async def agree(session: Session, _claim: Claim) -> ReceiptProfileView:
        await load_merchant(session, body.merchant_id)
        await receipts.agree_profile(session, body.merchant_id, body.profile, body.effective_on)
        if await receipts.profile_on(session, body.merchant_id, body.effective_on) is not body.profile:
            raise RequestInvalid((FieldFault("/effective_on", "another profile is agreed from that day"),))
        await _log(
            session, "plan.receipt_profile_agreed", f"merchant:{body.merchant_id}", body.merchant_id, call,
            {"profile": body.profile.value, "effective_on": body.effective_on.isoformat()},
        )  # fmt: skip
        return ReceiptProfileView(merchant_id=body.merchant_id, profile=body.profile, effective_on=body.effective_on)

    return await once(call, agree)


def _till_of(call: Call, merchant_id: str | None) -> str | None:
    """The merchant whose till asks; nothing for our own. Raises: ResourceUnknown for another's."""
    if merchant_id is not None and not call.caller.sees(merchant_id):
        raise ResourceUnknown()
    return merchant_id or call.caller.merchant_id


async def _ended(session: Session, receipt_id: str, state: str, call: Call, *, is_news: bool = True) -> ReceiptEndView:
    if is_news:
        await _log(session, f"plan.receipt_{state}", f"receipt:{receipt_id}", call.caller.merchant_id or "", call, {})
    return ReceiptEndView(id=receipt_id, state=state)


async def _log(
    session: Session, action: str, subject: str, merchant_id: str, call: Call, facts: dict[str, str]
) -> None:
    by = actor_of(call)
    event = AuditEvent(action, by.actor, by.origin, subject, call.now, merchant_id=merchant_id, facts=dict(facts))
    await stage(session, [event])


def _line(item: dict[str, Any]) -> ReceiptLineView:
    return ReceiptLineView(
        name=item["name"], quantity=item["quantity"], price_kopecks=item["price_kopecks"], sku=item["sku"],
        receipt=dict(item["receipt"]),
    )  # fmt: skip
