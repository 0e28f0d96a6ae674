"""Promo codes (промокоды) of merchants, and what became of their redemptions. Tills use them by placing orders."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.till_callers import merchant_of, till_actor
from api.wire import Body, Flag, Instant, View
from checkout import promo_code_rows, promo_codes, repository
from checkout.loyalty_cards import load_card
from checkout.promo_rules import (
    BUYER_REDEMPTIONS_MAX,
    DISCOUNT_KOPECKS_MAX,
    REDEMPTIONS_MAX,
    PromoCode,
    PromoKind,
    PromoTerms,
    Redemption,
    RedemptionStatus,
    read_code,
)
from ledger.database import Session, transaction
from ledger.money import BASIS_POINTS

router = door_router("/v1/promo-codes", "promo codes")

CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("promo_codes:write")]
Discount = Annotated[int, Field(strict=True, ge=1, le=DISCOUNT_KOPECKS_MAX, examples=[20_000])]
CardId = Annotated[str, Field(strict=True, pattern=r"^lcd_[0-9a-z]{26}$", examples=["lcd_01kahs9m00e6srk3cffkt0m0ax"])]


class PromoCodeBody(Body):
    """A promo code to be made."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Whose it is; a key of one merchant need not say."""
    code: Annotated[str, Field(strict=True, min_length=3, max_length=40, examples=["DRUG-200"])] | None = None
    """What the buyer says at the till: Latin or Russian letters, digits, hyphens. Made up if none is given."""
    kind: PromoKind
    discount_kopecks: Discount | None = None
    discount_basis_points: Annotated[int, Field(strict=True, ge=1, le=BASIS_POINTS, examples=[1_000])] | None = None
    discount_kopecks_max: Discount | None = None
    basket_kopecks_min: Annotated[int, Field(strict=True, ge=0, le=DISCOUNT_KOPECKS_MAX)] = 0
    redemptions_max: Annotated[int, Field(strict=True, ge=1, le=REDEMPTIONS_MAX)] | None = None
    """Overall: three for a referral, any number for the other kinds, unless it is said."""
    buyer_redemptions_max: Annotated[int, Field(strict=True, ge=1, le=BUYER_REDEMPTIONS_MAX)] | None = None
    """By one buyer, known by a loyalty card: one for a referral and a trial, any number for a discount."""
    owner_card_id: CardId | None = None
    """Whose a referral is; the owner's own purchases do not count."""
    only_for_card_id: CardId | None = None
    reward_kopecks: Discount | None = None
    """A code of the owner's own for so much, made when the last redemption of a referral is paid."""
    is_returnable: Flag = True
    """Whether the refund of a whole order gives the redemption back."""
    valid_from: Instant | None = None
    valid_until: Instant | None = None


class PromoCodeView(View):
    """A promo code."""

    id: str
    merchant_id: str
    code: str
    kind: PromoKind
    discount_kopecks: int | None
    discount_basis_points: int | None
    discount_kopecks_max: int | None
    basket_kopecks_min: int
    redemptions_max: int | None
    buyer_redemptions_max: int | None
    owner_card_id: str | None
    only_for_card_id: str | None
    reward_kopecks: int | None
    is_returnable: bool
    valid_from: Instant
    valid_until: Instant | None
    redemptions_left: int | None
    """How many tills may still reserve one; nothing when there is no limit."""
    reward_code_id: str | None
    """The code by which the owner was rewarded."""
    created_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, code: PromoCode) -> PromoCodeView:
        """The code as it is shown."""
        terms, limit = code.terms, code.terms.redemptions_max
        return cls(
            id=code.id, merchant_id=code.merchant_id, code=terms.code, kind=terms.kind,
            discount_kopecks=terms.discount_kopecks, discount_basis_points=terms.discount_basis_points,
            discount_kopecks_max=terms.discount_kopecks_max, basket_kopecks_min=terms.basket_kopecks_min,
            redemptions_max=limit, buyer_redemptions_max=terms.buyer_redemptions_max,
            owner_card_id=terms.owner_key, only_for_card_id=terms.only_for, reward_kopecks=terms.reward_kopecks,
            is_returnable=terms.is_returnable, valid_from=terms.valid_from, valid_until=terms.valid_until,
            redemptions_left=None if limit is None else limit - code.taken, reward_code_id=code.reward_code_id,
            created_at=code.created_at, ended_at=code.ended_at,
        )  # fmt: skip


class RedemptionView(View):
    """One use of a promo code by an order."""

    id: str
    promo_code_id: str
    order_id: str
    discount_kopecks: int
    status: RedemptionStatus
    reserved_at: Instant
    confirmed_at: Instant | None
    ended_at: Instant | None

    @classmethod
    def of(cls, redemption: Redemption) -> RedemptionView:
        """The redemption as it is shown."""
        return cls(
            id=redemption.id, promo_code_id=redemption.promo_code_id, order_id=redemption.order_id,
            discount_kopecks=int(redemption.discount), status=redemption.status, reserved_at=redemption.reserved_at,
            confirmed_at=redemption.confirmed_at, ended_at=redemption.ended_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=PromoCodeView)
async def create_promo_code(body: PromoCodeBody, call: CanWrite) -> Response:
    """Make a promo code of a merchant."""

    async def work(session: Session, claim: Claim) -> PromoCodeView:
        merchant_id = (await repository.load_merchant(session, merchant_of(call, body.merchant_id))).id
        for card_id in (body.owner_card_id, body.only_for_card_id):
            if card_id is not None:
                await load_card(session, card_id, merchant_id=merchant_id)
        code = await promo_codes.make_code(
            session,
            claim.resource_id,
            _terms_of(body, call),
            merchant_id=merchant_id,
            by=till_actor(call),
            now=call.now,
        )
        return PromoCodeView.of(code)

    return await once(call, work, prefix="pmc", location="/v1/promo-codes/{id}")


def _terms_of(body: PromoCodeBody, call: Call) -> PromoTerms:
    return PromoTerms(
        body.code or "", body.kind, body.valid_from or call.now, body.discount_kopecks, body.discount_basis_points,
        body.discount_kopecks_max, body.basket_kopecks_min, body.redemptions_max, body.buyer_redemptions_max,
        body.owner_card_id, body.only_for_card_id, body.reward_kopecks, body.is_returnable, body.valid_until,
    )  # fmt: skip


@router.post("/{promo_code_id}/end", status_code=200, response_model=PromoCodeView)
async def end_promo_code(promo_code_id: str, call: CanWrite) -> Response:
    """Let nobody reserve the code any more. Orders that have it already may still be paid."""

    async def work(session: Session, _claim: Claim) -> PromoCodeView:
        code = await promo_codes.end_code(
            session, promo_code_id, merchant_id=call.caller.merchant_id, by=till_actor(call), now=call.now
        )
        return PromoCodeView.of(code)

    return await once(call, work, status=200)


@router.get("/{promo_code_id}")
async def read_promo_code(promo_code_id: str, call: CanRead) -> PromoCodeView:
    """One promo code."""
    async with transaction(call.engine) as session:
        code = await promo_code_rows.load_code(session, promo_code_id, merchant_id=call.caller.merchant_id)
    return PromoCodeView.of(code)


@router.get("")
async def list_promo_codes(
    call: CanRead,
    merchant_id: str | None = None,
    code: Annotated[str, Field(max_length=40)] | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[PromoCodeView]:
    """Promo codes, oldest first; those that a buyer would say as ``code``, when it is given."""
    whose = call.caller.merchant_id or merchant_id
    said = None if code is None else read_code(code)
    start = read_cursor("promo_codes", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await promo_code_rows.list_codes(
            session, merchant_id=whose, code=said, after=start, limit=limit
        )
    views = [PromoCodeView.of(each) for each in found]
    return page_of("promo_codes", views, has_more, views[-1].id if views else None, after)


@router.get("/{promo_code_id}/redemptions")
async def list_redemptions(
    promo_code_id: str, call: CanRead, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[RedemptionView]:
    """Redemptions of a promo code, oldest first."""
    start = read_cursor("redemptions", after) or ""
    async with transaction(call.engine) as session:
        code = await promo_code_rows.load_code(session, promo_code_id, merchant_id=call.caller.merchant_id)
        found, has_more = await promo_code_rows.list_redemptions(session, code.id, after=start, limit=limit)
    views = [RedemptionView.of(each) for each in found]
    return page_of("redemptions", views, has_more, views[-1].id if views else None, after)
