"""Registrations (регистрации ТСП в СБП): how a merchant comes to take SBP payments through each bank."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases, once
from api.merchant_registrations import data_known_of, data_with
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, Text, View
from checkout import repository as till_rows
from checkout.errors import MerchantNotFound
from ledger.database import Session, transaction
from sbp_gateway import onboarding, registrations
from sbp_gateway import registration_repository as repository
from sbp_gateway.errors import RegistrationIncomplete, RegistrationNotAllowed, RegistrationNotFound
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.nspk_merchants import FoundMerchant
from sbp_gateway.registrations import (
    AWAITED,
    MISSING,
    MerchantRegistration,
    MerchantSource,
    RegistrationStatus,
)

router = door_router("/v1/sbp/registrations", "registrations")

CanRegister = Annotated[Call, needs("merchants:write")]
Bik = Annotated[str, Field(strict=True, pattern=r"^[0-9]{9}$", examples=["044525225"])]


class RegistrationDataBody(Body):
    """What the bank asks for. Send what there is; what is not sent stays as it was, ``null`` clears it."""

    ogrn: Annotated[str, Field(strict=True, max_length=20, examples=["1027700132195"])] | None = None
    bank_account: Annotated[str, Field(strict=True, max_length=40, examples=["40702810938000000001"])] | None = None
    """Number of the merchant's account in this bank."""
    mcc: Annotated[str, Field(strict=True, pattern=r"^[0-9]{4}$", examples=["5411"])] | None = None
    tariff_group: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$")] | None = None
    """Follows from the MCC when it is not sent."""
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    contact_name: Annotated[Text, Field(max_length=100, examples=["Иванова Анна"])] | None = None
    contact_phone: Annotated[str, Field(strict=True, pattern=r"^\+7[0-9]{10}$", examples=["+79001234567"])] | None = (
        None
    )
    contact_email: Annotated[str, Field(strict=True, pattern=r"^[^@\s]{1,64}@[^@\s]{1,189}$")] | None = None


class RegistrationBody(RegistrationDataBody):
    """A registration to begin, with whatever data there is."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)]
    bik: Bik
    """The bank that is to register the merchant."""


class NspkNumbersBody(Body):
    """What the bank told when it had registered the merchant."""

    nspk_merchant_id: Annotated[str, Field(strict=True, pattern=r"^M[A-Z][0-9]{10}$", examples=["MA0000000552"])]
    member_id: Annotated[str, Field(strict=True, pattern=r"^[0-9]{12}$", examples=["100000000007"])]


class ReasonBody(Body):
    """Why."""

    reason: Annotated[Text, Field(max_length=300, examples=["Нет договора эквайринга"])]


class MissingView(View):
    """Something that is not there yet."""

    code: str
    text: str


class NextStepView(View):
    """What to do now."""

    code: str
    text: str


class FoundMerchantView(View):
    """A merchant that NSPK's directory shows for the OGRN and the bank."""

    nspk_merchant_id: str
    member_id: str
    brand_name: str
    mcc: str

    @classmethod
    def of(cls, found: FoundMerchant) -> FoundMerchantView:
        """The merchant as it is shown."""
        return cls(
            nspk_merchant_id=found.nspk_merchant_id, member_id=found.member_id, brand_name=found.brand_name,
            mcc=found.mcc,
        )  # fmt: skip


class RegistrationView(View):
    """A registration."""

    id: str
    merchant_id: str
    bik: str
    status: RegistrationStatus
    next_step: NextStepView
    missing: list[MissingView]
    ogrn: str | None
    bank_account: str | None
    mcc: str | None
    tariff_group: str | None
    settlement_mode: SettlementMode
    contact_name: str | None
    contact_phone: str | None
    contact_email: str | None
    nspk_merchant_id: str | None
    member_id: str | None
    learnt_by: MerchantSource | None
    is_in_use: bool
    """The merchant takes payments by this registration now."""
    reason: str | None
    candidates: list[FoundMerchantView]
    """After a look-up: who it may be, when it is not clear. Confirm one."""
    created_at: Instant
    sent_at: Instant | None
    registered_at: Instant | None
    closed_at: Instant | None
    version: int

    @classmethod
    def of(
        cls, found: MerchantRegistration, *, is_in_use: bool, candidates: list[FoundMerchant] | None = None
    ) -> RegistrationView:
        """The registration as it is shown."""
        data, numbers = found.data, found.numbers
        code, says = found.next_step
        missing = data.missing if found.status in registrations.GATHERING else ()
        return cls(
            id=found.id, merchant_id=found.merchant_id, bik=found.bik, status=found.status,
            next_step=NextStepView(code=code, text=says),
            missing=[MissingView(code=f"{name}_missing", text=MISSING[name]) for name in missing],
            ogrn=data.ogrn, bank_account=data.bank_account, mcc=data.mcc, tariff_group=data.tariff_group,
            settlement_mode=data.settlement_mode, contact_name=data.contact_name, contact_phone=data.contact_phone,
            contact_email=data.contact_email, nspk_merchant_id=numbers and numbers.nspk_merchant_id,
            member_id=numbers and numbers.member_id, learnt_by=numbers and numbers.learnt_by,
            is_in_use=is_in_use, reason=found.reason,
            candidates=[FoundMerchantView.of(each) for each in candidates or ()],
            created_at=found.created_at, sent_at=found.sent_at, registered_at=numbers and numbers.registered_at,
            closed_at=found.closed_at, version=found.version,
        )  # fmt: skip


async def _view(
    session: Session, found: MerchantRegistration, candidates: list[FoundMerchant] | None = None
) -> RegistrationView:
    in_use = await repository.ids_in_use(session, [found.merchant_id])
    return RegistrationView.of(found, is_in_use=found.id in in_use, candidates=candidates)


async def _own(session: Session, call: Call, registration_id: str) -> MerchantRegistration:
    """The registration, if the caller may see it. Raises: RegistrationNotFound."""
    found = await repository.load_registration(session, registration_id)
    if not call.caller.sees(found.merchant_id):
        raise RegistrationNotFound(registration_id=registration_id)
    return found


async def _carry_out(
    call: Call, registration_id: str, step: Callable[[Session], Awaitable[MerchantRegistration]]
) -> Response:
    """Answer with the registration after a step, once."""

    async def work(session: Session, _claim: Claim) -> RegistrationView:
        await _own(session, call, registration_id)
        return await _view(session, await step(session))

    return await once(call, work, prefix="obj", status=200)


@router.post("", status_code=201, response_model=RegistrationView)
async def create_registration(body: RegistrationBody, call: CanRegister) -> Response:
    """Begin a merchant's registration in a bank with whatever data there is."""

    async def work(session: Session, claim: Claim) -> RegistrationView:
        if not call.caller.sees(body.merchant_id):
            raise MerchantNotFound(merchant_id=body.merchant_id)
        merchant = await till_rows.load_merchant(session, body.merchant_id)
        known = data_known_of(merchant, body.bik)
        data = await data_with(session, merchant, body.bik, known, _given(body), now=call.now)
        opened = await onboarding.open_registration(
            session, claim.resource_id, merchant_id=merchant.id, bik=body.bik, data=data, now=call.now
        )
        return await _view(session, opened)

    return await once(call, work, prefix="sbr", location="/v1/sbp/registrations/{id}")


def _given(body: RegistrationDataBody) -> dict[str, Any]:
    return body.model_dump(include=body.model_fields_set & set(RegistrationDataBody.model_fields))


@router.post("/{registration_id}", response_model=RegistrationView)
async def change_registration(registration_id: str, body: RegistrationDataBody, call: CanRegister) -> Response:
    """Put data in, until the bank has it."""

    async def step(session: Session) -> MerchantRegistration:
        found = await repository.lock_registration(session, registration_id)
        merchant = await till_rows.load_merchant(session, found.merchant_id)
        data = await data_with(session, merchant, found.bik, found.data, _given(body), now=call.now)
        return await onboarding.change(
            session, registration_id, lambda locked: registrations.fill_in(locked, data), now=call.now
        )

    return await _carry_out(call, registration_id, step)


@router.post("/{registration_id}/submit", response_model=RegistrationView)
async def submit_registration(registration_id: str, call: CanRegister) -> Response:
    """Say that the papers went to the bank. Nothing is sent from here: no API of NSPK's registers a merchant."""

    async def step(session: Session) -> MerchantRegistration:
        return await onboarding.change(
            session, registration_id, lambda found: registrations.submit(found, now=call.now), now=call.now
        )

    return await _carry_out(call, registration_id, step)


@router.post("/{registration_id}/confirm", response_model=RegistrationView)
async def confirm_registration(registration_id: str, body: NspkNumbersBody, call: CanRegister) -> Response:
    """Write down the numbers that the bank told."""

    async def step(session: Session) -> MerchantRegistration:
        return await onboarding.register(
            session, registration_id, nspk_merchant_id=body.nspk_merchant_id, member_id=body.member_id,
            learnt_by=MerchantSource.ENTERED, now=call.now,
        )  # fmt: skip

    return await _carry_out(call, registration_id, step)


@router.post("/{registration_id}/look-up", response_model=RegistrationView)
async def look_up_registration(registration_id: str, call: CanRegister) -> Response:
    """Look for the merchant in NSPK's directory by its OGRN and bank; the only one found is taken.

    Several are shown as candidates, and nothing changes until one of them is confirmed.
    """

    async def intent(session: Session, _claim: Claim) -> MerchantRegistration:
        found = await _own(session, call, registration_id)
        if found.status is RegistrationStatus.DATA_MISSING:
            raise RegistrationIncomplete(registration_id=found.id, missing=list(found.data.missing))
        if found.status not in AWAITED:
            raise RegistrationNotAllowed(
                registration_id=found.id, status=found.status.value, next_step=found.next_step[0]
            )
        return found

    async def act(found: MerchantRegistration) -> list[FoundMerchant]:
        assert found.data.ogrn is not None
        return await call.door.wiring.merchants.search(ogrn=found.data.ogrn, bik=found.bik)

    async def outcome(
        session: Session, found: MerchantRegistration, merchants: list[FoundMerchant]
    ) -> RegistrationView:
        now_known, candidates = await onboarding.record_look_up(session, found.id, merchants, now=call.now)
        return await _view(session, now_known, candidates if now_known.numbers is None else None)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200)


@router.post("/{registration_id}/refuse", response_model=RegistrationView)
async def refuse_registration(registration_id: str, body: ReasonBody, call: CanRegister) -> Response:
    """Write down that the bank said no, and why. The data may be put right and sent again."""

    async def step(session: Session) -> MerchantRegistration:
        to = RegistrationStatus.REFUSED
        return await onboarding.change(
            session, registration_id, lambda found: registrations.advance(found, to, reason=body.reason), now=call.now
        )

    return await _carry_out(call, registration_id, step)


@router.post("/{registration_id}/activate", response_model=RegistrationView)
async def activate_registration(registration_id: str, call: CanRegister) -> Response:
    """Take the merchant's payments by this registration from now on, instead of another bank's."""
    return await _carry_out(
        call, registration_id, lambda session: onboarding.activate(session, registration_id, now=call.now)
    )


@router.post("/{registration_id}/suspend", response_model=RegistrationView)
async def suspend_registration(registration_id: str, body: ReasonBody, call: CanRegister) -> Response:
    """Take no payments for the time being. Those under way still come in."""
    return await _carry_out(
        call,
        registration_id,
        lambda session: onboarding.suspend(session, registration_id, reason=body.reason, now=call.now),
    )


@router.post("/{registration_id}/resume", response_model=RegistrationView)
async def resume_registration(registration_id: str, call: CanRegister) -> Response:
    """Take payments again."""
    return await _carry_out(
        call, registration_id, lambda session: onboarding.resume(session, registration_id, now=call.now)
    )


@router.post("/{registration_id}/close", response_model=RegistrationView)
async def close_registration(registration_id: str, call: CanRegister) -> Response:
    """End a registration for good. Refunds of its payments still go by it."""
    return await _carry_out(
        call, registration_id, lambda session: onboarding.close(session, registration_id, now=call.now)
    )


@router.get("/{registration_id}")
async def read_registration(registration_id: str, call: Annotated[Call, needs("orders:read")]) -> RegistrationView:
    """One registration: what is missing, and the next step."""
    async with transaction(call.engine) as session:
        return await _view(session, await _own(session, call, registration_id))


@router.get("")
async def list_registrations(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    status: RegistrationStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[RegistrationView]:
    """Registrations, oldest first."""
    start = read_cursor("registrations", after) or ""
    whose = call.caller.merchant_id or merchant_id
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_registrations(
            session, merchant_id=whose, status=status, after=start, limit=limit
        )
        in_use = await repository.ids_in_use(session, [each.merchant_id for each in found])
    views = [RegistrationView.of(each, is_in_use=each.id in in_use) for each in found]
    return page_of("registrations", views, has_more, views[-1].id if views else None, after)
