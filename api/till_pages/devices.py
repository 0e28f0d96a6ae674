"""Phones of the sandbox with a card on them: what a real one keeps in its secure hardware is in memory here."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from tokenization.koshelek_pay.phone import Phone

PHONES_MAX = 200
"""The one that was given its card longest ago is forgotten first."""


@dataclass(slots=True)
class Device:
    """A phone with one card on it."""

    phone: Phone
    token_id: str
    trid: str
    card_token: str


@dataclass(slots=True)
class Devices:
    """The phones of this process, by whose till they are."""

    by_link: OrderedDict[str, Device] = field(default_factory=OrderedDict, repr=False)

    def find(self, link_code: str, card_token: str) -> Device | None:
        """The phone with this card on it."""
        found = self.by_link.get(link_code)
        return found if found is not None and found.card_token == card_token else None

    def keep(self, link_code: str, device: Device) -> None:
        """Remember a phone."""
        self.by_link[link_code] = device
        self.by_link.move_to_end(link_code)
        while len(self.by_link) > PHONES_MAX:
            self.by_link.popitem(last=False)
