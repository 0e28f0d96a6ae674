"""Merchants, their stores and terminals: who sells, where, at which till."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from checkout.bank_details import BankAccount


@dataclass(frozen=True, slots=True)
class Merchant:
    """The legal person that sells and is paid."""

    id: str
    name: str
    """What buyers know it by."""
    legal_name: str
    inn: str
    bank_account: BankAccount
    """Where its payouts go."""
    tariff_group: str
    """Which tariffs it pays."""
    created_at: datetime
    ogrn: str | None = None
    """OGRN of an organisation, OGRNIP of an entrepreneur, when it is known."""


@dataclass(frozen=True, slots=True)
class Store:
    """One place or site of a merchant."""

    id: str
    merchant_id: str
    name: str
    address: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Terminal:
    """One till of a store."""

    id: str
    store_id: str
    merchant_id: str
    name: str
    created_at: datetime
