"""One basket on its way through a till."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from api.demo.till_baskets import TillBasket


@dataclass(slots=True)
class TillSale:
    """One basket on its way."""

    basket: TillBasket
    rail: str
    order_id: str = ""
    paid_at: float = 0.0
    tenders: dict[str, Any] = field(default_factory=dict)
    """Who pays what, as the order says."""
