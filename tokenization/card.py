"""A card as it comes in, as it is known outside, and as it is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping

from pci.pan import Pan
from pci.schemes import Scheme
from tokenization import card_use
from tokenization.card_errors import CardExpired, CardExpiryMalformed, CardHolderMalformed, ScopeMalformed
from tokenization.card_use import NO_RESTRICTIONS, CardRestrictions

EXPIRES_YEARS_MAX = 20
"""No card is issued for longer: a later year was mistyped."""
HOLDER_CHARACTERS_MAX = 64
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_HOLDER = re.compile(rf"[^\W\d_][^\x00-\x1f<>{{}}]{{1,{HOLDER_CHARACTERS_MAX - 1}}}")
_DIGITS_IN_A_ROW = re.compile(r"[0-9]{4}")
_SCOPE = re.compile(r"[a-z0-9_]{0,32}")


class CardStatus(StrEnum):
    """Whether there is still a card behind a token."""

    ACTIVE = "active"
    EXPIRED = "expired"
    """The token's own time was over."""
    DELETED = "deleted"
    """The merchant or the buyer wanted it gone."""
    SHREDDED = "shredded"
    """The merchant's keys were destroyed."""


ALLOWED: dict[CardStatus, frozenset[CardStatus]] = {
    CardStatus.ACTIVE: frozenset({CardStatus.EXPIRED, CardStatus.DELETED, CardStatus.SHREDDED}),
    CardStatus.EXPIRED: frozenset(),
    CardStatus.DELETED: frozenset(),
    CardStatus.SHREDDED: frozenset(),
}
"""Nothing comes back: what was sealed is gone."""


def advance(status: CardStatus, to: CardStatus) -> CardStatus:
    """Move a card's status. Who is told no asks in vain: the caller looked before."""
    assert to in ALLOWED[status], f"a card does not go from {status} to {to}"
    return to


@dataclass(frozen=True, slots=True)
class CardDetails:
    """A card as its holder enters it. The CVC is never here: it is not kept with a card."""

    pan: Pan
    expires_on: str
    """The last month it is good in: YYYY-MM."""
    holder_name: str | None = field(default=None, repr=False)

    def check(self, now: datetime) -> None:
        """Raises: CardExpiryMalformed, CardExpired, CardHolderMalformed."""
        if not isinstance(self.expires_on, str) or _MONTH.fullmatch(self.expires_on) is None:
            raise CardExpiryMalformed
        first, last = _months(now.year, now.month)
        if self.expires_on < first:
            raise CardExpired(expired_on=self.expires_on)
        if self.expires_on > last:
            raise CardExpiryMalformed
        if self.holder_name is not None and not _is_name(self.holder_name):
            raise CardHolderMalformed


@lru_cache(maxsize=2)
def _months(year: int, month: int) -> tuple[str, str]:
    """The first and the last that a card may expire in."""
    return f"{year}-{month:02}", f"{year + EXPIRES_YEARS_MAX}-12"


def _is_name(text: str) -> bool:
    """A run of digits is no name: numbers are typed into the wrong field."""
    return _HOLDER.fullmatch(text) is not None and _DIGITS_IN_A_ROW.search(text) is None


@dataclass(frozen=True, slots=True)
class CardTerms:
    """For whom and how a card is kept."""

    merchant_id: str
    scope: str = ""
    """A part of the merchant's, in which the same number is the same card; empty: all of the merchant."""
    wants_digits: bool = False
    """Also a token that looks like a number of the same length and passes for no card."""
    expires_at: datetime | None = None
    """When the token ends and the card is gone; None: never."""
    restrictions: CardRestrictions = NO_RESTRICTIONS

    def __post_init__(self) -> None:
        """Raises: ScopeMalformed."""
        if _SCOPE.fullmatch(self.scope) is None:
            raise ScopeMalformed

    @property
    def fingerprint_scope(self) -> str:
        """Within which the same number gives the same fingerprint: never wider than one merchant."""
        return f"{self.merchant_id}/{self.scope}" if self.scope else self.merchant_id


@dataclass(frozen=True, slots=True)
class Card:
    """A card as everybody may know it."""

    token: str
    merchant_id: str
    mask: str
    scheme: Scheme
    expires: str
    fingerprint_id: str
    """The same for the same number in the same scope. Random: it tells nothing of the number."""
    status: CardStatus
    tokenized_at: datetime
    expires_at: datetime | None = None
    digits_token: str | None = None
    restrictions: CardRestrictions = NO_RESTRICTIONS

    @classmethod
    def from_row(cls, row: RowMapping | Mapping[str, Any]) -> Card:
        """Read a row of ``cards``."""
        return cls(
            token=row["token"],
            merchant_id=row["merchant_id"],
            mask=f"{row['first6']}{'*' * (row['digits'] - 10)}{row['last4']}",
            scheme=Scheme(row["scheme"]),
            expires=row["expires"],
            fingerprint_id=row["fingerprint_id"],
            status=CardStatus(row["status"]),
            tokenized_at=row["tokenized_at"],
            expires_at=row["expires_at"],
            digits_token=row["digits_token"],
            restrictions=card_use.from_json(row["restrictions"]),
        )


@dataclass(frozen=True, slots=True)
class Tokenized:
    """What became of a card that came in."""

    card: Card
    is_new: bool
    metadata_changed: bool
    """It was known, and its expiry is another now: it was issued again."""


@dataclass(frozen=True, slots=True)
class OpenCard:
    """A card opened for one use. Not to be shown or sent before the transaction that opened it has committed."""

    token: str
    merchant_id: str
    pan: Pan
    expires: str
    holder_name: str | None = field(repr=False)
    scheme: Scheme
    fingerprint_id: str
