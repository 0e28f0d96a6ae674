"""Promo codes at the till: reserved with the order, confirmed by its payment, released when nobody pays.

A use is taken when the order is placed, because the buyer is told the lower price then. Of two hundred tills that
ask for the last use at once one gets it; the others are refused, and none of them waits longer than that one's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from checkout import promo_code_rows as rows
from checkout.baskets import Basket
from checkout.promo_errors import PromoBuyerLimit, PromoCodeAlready, PromoCodeSpent, PromoCodeTaken, PromoTrialTaken
from checkout.promo_rules import (
    PromoCode,
    PromoKind,
    PromoTerms,
    Redemption,
    RedemptionStatus,
    check_terms,
    check_usable,
    discount_of,
    read_code,
    with_usual_limits,
)
from checkout.telling import BY_ITSELF, TillActor, tell
from ledger import outbox
from ledger.database import Session
from ledger.ids import new_id
from ledger.outbox import Event

REWARD_LIVES = timedelta(days=90)
"""How long an owner may spend a reward."""
NEW_CODE_CHARACTERS = 8
"""40 bits of chance: enough not to be guessed at a till."""
NEW_CODE_TRIES_MAX = 3
"""Of a million million codes of chance three in a row are never taken."""
USE_TRIES_MAX = 5
"""Tills of one buyer that may choose the same use one after another."""


async def make_code(
    session: Session, code_id: str, terms: PromoTerms, *, merchant_id: str, by: TillActor, now: datetime
) -> PromoCode:
    """Make a code of a merchant; one of chance if the terms name none. Raises: PromoTermsInvalid, PromoCodeTaken."""
    for attempt in range(1, NEW_CODE_TRIES_MAX + 1):
        wanted = with_usual_limits(replace(terms, code=read_code(terms.code or _new_code(now))))
        check_terms(wanted)
        code = PromoCode(code_id, merchant_id, wanted, 0, 0, None, now, None)
        if await rows.add_code(session, code):
            await tell(session, "promo_code.made", code_id, merchant_id, by, {"kind": wanted.kind.value}, now=now)
            return code
        if terms.code or attempt == NEW_CODE_TRIES_MAX:
            raise PromoCodeTaken(code=wanted.code)
    raise AssertionError("unreachable")


async def end_code(
    session: Session, code_id: str, *, merchant_id: str | None, by: TillActor, now: datetime
) -> PromoCode:
    """Give no more redemptions of a code; what is reserved may still be paid. Ending it again changes nothing.

    Raises: PromoCodeNotFound.
    """
    code = await rows.load_code(session, code_id, merchant_id=merchant_id)
    if code.ended_at is not None:
        return code
    await rows.end_code(session, code_id, now=now)
    await tell(session, "promo_code.ended", code_id, code.merchant_id, by, {}, now=now)
    return await rows.load_code(session, code_id, merchant_id=merchant_id)


async def reserve(
    session: Session, code: str, order_id: str, buyer_key: str | None, basket: Basket, *, now: datetime
) -> Redemption:
    """Take one use of the merchant's code for an order that the session has placed. A repeat gives the same.

    ``buyer_key`` names the buyer, as far as they are known: their loyalty card's id.
    Amounts: kopecks. Locks: the code, if its uses are counted.
    Raises: PromoRejected of any kind; the caller's transaction must then be undone.
    """
    found, is_repeated = await rows.find_for_order(session, read_code(code), order_id)
    if is_repeated:
        return await _known(session, found, order_id)
    price = basket.subtotal
    check_usable(found, buyer_key, price, now=now)
    discount = discount_of(found.terms, price)
    if found.terms.redemptions_max is not None and not await rows.take_use(session, found.id):
        raise PromoCodeSpent(redemptions_max=found.terms.redemptions_max)
    wanted = Redemption(new_id("rdm", now), discount, found.id, order_id, RedemptionStatus.RESERVED, now)
    return await _reserve_use(session, wanted, found, buyer_key)


async def _known(session: Session, code: PromoCode, order_id: str) -> Redemption:
    """What the order has reserved already. Raises: PromoCodeAlready if it is of another code."""
    known = await rows.redemption_of(session, order_id)
    if known is None or known.promo_code_id != code.id:
        raise PromoCodeAlready(order_id=order_id)
    return known


async def _reserve_use(session: Session, wanted: Redemption, code: PromoCode, buyer_key: str | None) -> Redemption:
    """Keep the redemption as the next use of the buyer. Raises: PromoBuyerLimit, PromoTrialTaken."""
    for _ in range(USE_TRIES_MAX):
        kept = await rows.add_redemption(session, wanted, code, buyer_key)
        if kept is not None:
            return kept
        assert buyer_key is not None, "only a buyer's own uses stand in the way"
        if code.terms.kind is PromoKind.TRIAL and await rows.has_trial(session, code.merchant_id, buyer_key):
            raise PromoTrialTaken()
        by_buyer = code.terms.buyer_redemptions_max
        if by_buyer is not None and await rows.uses_of_buyer(session, code.id, buyer_key) >= by_buyer:
            raise PromoBuyerLimit(buyer_redemptions_max=by_buyer)
    raise PromoBuyerLimit(buyer_redemptions_max=code.terms.buyer_redemptions_max)


async def confirm_redemptions(session: Session, order_ids: Sequence[str], *, now: datetime) -> list[Redemption]:
    """Confirm what paid orders had reserved; the last redemption of a referral rewards its owner.

    Gives what was confirmed now: a repeat confirms nothing.
    Locks: the redemptions, then the codes that are counted.
    """
    moved = await rows.move_redemptions(session, order_ids, RedemptionStatus.CONFIRMED, now=now)
    await _publish(session, moved, now=now)
    for code in {code.id: code for _, code in moved}.values():
        if _is_reward_due(code):
            await _reward(session, code, now=now)
    return [redemption for redemption, _ in moved]


async def release_redemptions(session: Session, order_ids: Sequence[str], *, now: datetime) -> list[Redemption]:
    """Let go of what orders had reserved that will not be paid. Locks: as ``confirm_redemptions``."""
    moved = await rows.move_redemptions(session, order_ids, RedemptionStatus.RELEASED, now=now)
    await _publish(session, moved, now=now)
    return [redemption for redemption, _ in moved]


async def give_back_redemption(session: Session, order_id: str, *, now: datetime) -> Redemption | None:
    """Give the use back of an order that was refunded whole, if its code says so; a reward once given stays.

    Locks: the redemption, then its code if it is counted.
    """
    known = await rows.redemption_of(session, order_id)
    if known is None or not (await rows.load_code(session, known.promo_code_id, merchant_id=None)).terms.is_returnable:
        return None
    moved = await rows.move_redemptions(session, [order_id], RedemptionStatus.RETURNED, now=now)
    await _publish(session, moved, now=now)
    return moved[0][0] if moved else None


def _is_reward_due(code: PromoCode) -> bool:
    terms = code.terms
    return terms.reward_kopecks is not None and code.reward_code_id is None and code.confirmed == terms.redemptions_max


async def _reward(session: Session, code: PromoCode, *, now: datetime) -> None:
    """Make the owner a code of their own for one purchase. It costs the merchant when it is spent; nothing is booked.

    DECISIONS.md, 11.
    """
    assert code.terms.owner_key is not None
    terms = PromoTerms(
        code="", kind=PromoKind.DISCOUNT, valid_from=now, valid_until=now + REWARD_LIVES,
        discount_kopecks=code.terms.reward_kopecks, redemptions_max=1, only_for=code.terms.owner_key,
    )  # fmt: skip
    reward = await make_code(session, new_id("pmc", now), terms, merchant_id=code.merchant_id, by=BY_ITSELF, now=now)
    noted = await rows.note_reward(session, code.id, reward.id)
    assert noted, "the code is locked by its last redemption"
    facts = {"reward_code_id": reward.id, "owner_card_id": code.terms.owner_key}
    await tell(session, "promo_code.rewarded", code.id, code.merchant_id, BY_ITSELF, facts, now=now)


def _new_code(now: datetime) -> str:
    return new_id("pmc", now)[-NEW_CODE_CHARACTERS:].upper()


async def _publish(session: Session, moved: Sequence[tuple[Redemption, PromoCode]], *, now: datetime) -> None:
    """One event a redemption, numbered by itself: tills that redeem one code do not queue up at its numbering."""
    events = [
        Event(
            f"redemption.{redemption.status}", redemption.id, code.merchant_id,
            {
                "redemption_id": redemption.id, "promo_code_id": code.id, "order_id": redemption.order_id,
                "discount_kopecks": int(redemption.discount),
            },
        )
        for redemption, code in moved
    ]  # fmt: skip
    for start in range(0, len(events), outbox.PUBLISH_MAX):
        await outbox.publish_all(session, events[start : start + outbox.PUBLISH_MAX], now=now)
