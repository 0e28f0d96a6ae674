"""Premises: a merchant's places, from all of them down to one till, and what is said at each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

RAILS = ("sbp", "dolyame", "card", "koshelek_pay")
"""Every rail of ours, in the order in which a till offers them when nobody said otherwise."""


class Level(StrEnum):
    """How much of a merchant something is said of; the nearest level to the till counts."""

    MERCHANT = "merchant"
    REGION = "region"
    STORE = "store"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store is, as its merchant counts its stores."""

    store_id: str
    merchant_id: str
    number: str
    """The merchant's own."""
    region: str | None
    """A word of the merchant's: ``msk``, ``spb``."""
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class PremisesSetting:
    """A setting at one level."""

    merchant_id: str
    level: Level
    place: str
    """The merchant's, store's or terminal's id, or the region's word."""
    name: str
    value: int | str | None
    """None: taken back, what is said further from the till counts again."""
    changed_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class RailRollout:
    """From a Moscow day on, a rail is on or off at a level."""

    id: str
    merchant_id: str
    rail: str
    level: Level
    place: str
    effective_on: date
    is_on: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Cashier:
    """Who stands at tills."""

    id: str
    merchant_id: str
    number: str
    """The merchant's own number of its people."""
    name: str
    """As slips and shift reports show it."""
    created_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TerminalKey:
    """By what a till proves itself. The secret of its one-time codes is derived, and never kept."""

    id: str
    terminal_id: str
    merchant_id: str
    fingerprint: str
    """Names the till in the header ``token``."""
    key_check: str
    """Tells whether the secret that is derived today is the one that the till was given."""
    created_at: datetime
    proved_at: datetime | None
    """When the till first proved itself; the secret is shown no more."""
    expires_at: datetime | None
    """When it ends, after a newer key was made."""


@dataclass(frozen=True, slots=True)
class TerminalSighting:
    """When a till was last heard."""

    terminal_id: str
    seen_at: datetime
    software: str | None
    """The till's program and version."""
    problem: str | None
    """The code of the last refusal that its cashier was shown."""
    problem_at: datetime | None
