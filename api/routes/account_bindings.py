"""Account bindings (привязки счёта): a buyer's consent to be charged later without scanning."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, Text, View
from checkout.errors import MerchantNotFound
from ledger.database import Session, transaction
from sbp_gateway import activating
from sbp_gateway import binding_repository as rows
from sbp_gateway.bindings import (
    BINDING_TTL_MINUTES,
    BUYER_REFERENCE_CHARACTERS_MAX,
    Binding,
    BindingRegistration,
    BindingStatus,
)
from sbp_gateway.errors import NspkRefused
from sbp_gateway.nspk import RegisteredLink
from sbp_gateway.qr_codes import FIRST_POLL_WAIT

router = door_router("/v1/sbp/bindings", "SBP account bindings")


class BindingBody(Body):
    """A consent to be asked for."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)]
    buyer_reference: Annotated[Text, Field(max_length=BUYER_REFERENCE_CHARACTERS_MAX, examples=["buyer-17"])]
    """The merchant's own name of the buyer."""
    purpose: Annotated[Text, Field(max_length=140)] = "Привязка счёта для оплаты"


class BindingView(View):
    """A consent."""

    id: str
    merchant_id: str
    buyer_reference: str
    purpose: str
    status: BindingStatus
    qrc_id: str
    payload: str
    payer_member_id: str | None
    created_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, binding: Binding) -> BindingView:
        """The binding as it is shown. NSPK's name of the consent is not: who knows it may charge."""
        return cls(
            id=binding.id, merchant_id=binding.merchant_id, buyer_reference=binding.buyer_reference,
            purpose=binding.purpose, status=binding.status, qrc_id=binding.qrc_id, payload=binding.payload,
            payer_member_id=binding.payer_member_id, created_at=binding.requested_at, expires_at=binding.expires_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=BindingView)
async def create_binding(call: Annotated[Call, needs("orders:write")], body: BindingBody) -> Response:
    """Register a binding link to be shown to the buyer. When NSPK's answer is lost, the same key registers another."""
    ttl = BINDING_TTL_MINUTES

    async def intent(session: Session, claim: Claim) -> tuple[str, BindingRegistration]:
        if not call.caller.sees(body.merchant_id):
            raise MerchantNotFound(merchant_id=body.merchant_id)
        merchant = await activating.merchant_at_nspk(session, body.merchant_id, call.door.settings.tkassa_members)
        return claim.resource_id, BindingRegistration(
            merchant.nspk_merchant_id, merchant.member_id, merchant.bank_account, ttl, body.purpose
        )

    async def act(intended: tuple[str, BindingRegistration]) -> RegisteredLink | NspkRefused:
        try:
            return await call.door.wiring.bindings.nspk.register(intended[1])
        except NspkRefused as refused:
            return refused

    async def outcome(
        session: Session, intended: tuple[str, BindingRegistration], link: RegisteredLink | NspkRefused
    ) -> BindingView:
        if isinstance(link, NspkRefused):
            raise link
        binding = Binding(
            intended[0], body.merchant_id, body.buyer_reference, body.purpose, BindingStatus.WAITING, link.qrc_id,
            link.payload, None, None, call.now, call.now + timedelta(minutes=ttl), 0,
        )  # fmt: skip
        await rows.add_binding(session, binding, next_poll_at=call.now + FIRST_POLL_WAIT)
        return BindingView.of(binding)

    return await in_phases(
        call, intent=intent, act=act, outcome=outcome, prefix="bnd", location="/v1/sbp/bindings/{id}"
    )


@router.get("/{binding_id}")
async def read_binding(binding_id: str, call: Annotated[Call, needs("orders:read")]) -> BindingView:
    """One binding."""
    async with transaction(call.engine) as session:
        return BindingView.of(await rows.load_binding(session, binding_id, merchant_id=call.caller.merchant_id))


@router.get("")
async def list_bindings(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[BindingView]:
    """Bindings, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("bindings", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_bindings(session, merchant_id=whose, after=start, limit=limit)
    views = [BindingView.of(binding) for binding in found]
    return page_of("bindings", views, has_more, views[-1].id if views else None, after)
