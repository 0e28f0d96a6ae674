"""What a merchant says a token may be used for, as it comes over the wire and as it is kept with a form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from tokenization.card import CardTerms
from tokenization.card_use import CardRestrictions
from tokenization.wire import Body

TOKEN_DAYS_MAX = 3_650
"""A token that should end later has no end."""
Word = Annotated[str, Field(min_length=1, max_length=253)]


class RestrictionsBody(Body):
    """Where, for how much and when a token may be used; what is left out is not restricted."""

    channels: Annotated[tuple[Word, ...], Field(max_length=16)] = ()
    hosts: Annotated[tuple[Word, ...], Field(max_length=16)] = ()
    amount_max_kopecks: Annotated[int, Field(ge=1, le=10**15)] | None = None
    currency: Annotated[str, Field(pattern="^([A-Z]{3})?$")] = ""
    usable_from: AwareDatetime | None = None
    usable_until: AwareDatetime | None = None

    def restrictions(self) -> CardRestrictions:
        """Raises: RestrictionsMalformed."""
        return CardRestrictions(
            channels=frozenset(self.channels), hosts=frozenset(self.hosts),
            amount_max_kopecks=self.amount_max_kopecks, currency=self.currency,
            usable_from=self.usable_from, usable_until=self.usable_until,
        )  # fmt: skip


class TermsBody(Body):
    """How a card is to be kept."""

    scope: Annotated[str, Field(pattern="^[a-z0-9_]{0,32}$")] = ""
    """A part of the merchant's, within which the same number is the same card."""
    wants_digits: bool = False
    """Also a token that looks like a card number and passes for none."""
    days: Annotated[int, Field(ge=1, le=TOKEN_DAYS_MAX)] | None = None
    """How long the token lives; without it, until it is deleted."""
    restrictions: RestrictionsBody = RestrictionsBody()

    def terms(self, merchant_id: str, *, now: datetime) -> CardTerms:
        """The terms of one merchant's card that comes in now. Raises: RestrictionsMalformed, ScopeMalformed."""
        return CardTerms(
            merchant_id=merchant_id, scope=self.scope, wants_digits=self.wants_digits,
            expires_at=None if self.days is None else now + timedelta(days=self.days),
            restrictions=self.restrictions.restrictions(),
        )  # fmt: skip

    def kept(self) -> dict[str, Any]:
        """As they stand in a form's row."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> TermsBody:
        """The opposite of ``kept``: they were checked when the form was opened."""
        return cls.model_validate(dict(kept), strict=False)
