"""The key of phones' digests and of barcodes on loyalty cards: the house's key of buyers, or a refusal."""

from __future__ import annotations

from api.buyer_key import buyers_key
from api.door import Door
from checkout.loyalty_errors import LoyaltyKeyMissing
from pci.secret import Secret


def loyalty_key(door: Door) -> Secret:
    """The key. Raises: LoyaltyKeyMissing."""
    key = buyers_key(door.settings)
    if key is None:
        raise LoyaltyKeyMissing()
    return key
