"""Stickers (наклейки): a static link on paper, one of a terminal, of a fixed sum or of what the buyer types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.money import Kopecks
from sbp_gateway.nspk import LinkStatus
from sbp_gateway.payments import is_paid

STICKER_KOPECKS_MAX = 1_000_000_00
"""A million roubles: the largest SBP operation. Source: Bank of Russia, page on SBP."""


@dataclass(frozen=True, slots=True)
class Sticker:
    """A static link of a terminal. It is indefinite. Source: https://sbp.nspk.ru/faq/business/"""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    amount: Kopecks | None
    """Empty: the buyer types it."""
    purpose: str
    qrc_id: str
    payload: str
    created_at: datetime
    registration_id: str | None = None
    """The registration that its payments go by, whichever the merchant uses now."""


@dataclass(frozen=True, slots=True)
class SaidOperation:
    """An operation under a sticker, as a notification says it: a hint until NSPK confirms it."""

    trx_id: str
    amount: Kopecks
    happened_at: datetime
    kzo: str | None


def confirmed_amount(sticker: Sticker, answer: LinkStatus, said: SaidOperation | None) -> Kopecks | None:
    """How much was paid, if NSPK's answer vouches for it; else nothing.

    The status call names the last operation and no amount. A fixed sum is the sticker's own. A typed one is
    taken from the notification that names the same operation with the same control value: only NSPK knows it.
    """
    if not is_paid(answer):
        return None
    if sticker.amount is not None:
        return sticker.amount
    if said is None or said.kzo is None or (said.trx_id, said.kzo) != (answer.trx_id, answer.kzo):
        return None
    return said.amount if said.amount > 0 else None
