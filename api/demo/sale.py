"""One purchase on its way through the demo."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from api.demo.purchases import Purchase
from api.demo.sellers import Till
from ledger.money import Kopecks

Story = list[tuple[datetime, str]]
"""What went wrong with an order, and when."""


@dataclass(slots=True)
class Sale:
    """One purchase on its way."""

    purchase: Purchase
    till: Till
    order_id: str
    amount: Kopecks
    attempt_id: str = ""
    qrc_id: str = ""
    paid_at: float = 0.0
    """By the monotonic clock: when the payer's bank said yes."""
    was_unknown: bool = False
    """Whether NSPK's answer was lost, so that the worker had to find another link."""
    payer_at: datetime | None = None
    """The same by the machine's clock."""
    story: Story = field(default_factory=list)
