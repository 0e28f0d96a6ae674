"""A registration's data, checked by the till's rules and filled in by finance's: siblings that never meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from checkout.bank_details import BankAccount, check_bank_account, check_ogrn
from checkout.merchants import Merchant
from ledger.clock import moscow_day
from ledger.database import Session
from reconciliation import repository as finance
from reconciliation.tariffs import group_of_mcc, tariff_on
from sbp_gateway.registrations import RegistrationData

RAIL = "sbp"


def data_known_of(merchant: Merchant, bik: str) -> RegistrationData:
    """What we know of a merchant already: its OGRN, and its account when it is in this bank."""
    number = merchant.bank_account.number if merchant.bank_account.bik == bik else None
    return RegistrationData(ogrn=merchant.ogrn, bank_account=number)


async def data_with(
    session: Session, merchant: Merchant, bik: str, data: RegistrationData, given: Mapping[str, Any], *, now: datetime
) -> RegistrationData:
    """The data with what was given put in. Without a tariff group of its own an MCC brings its group.

    Raises: InvalidOgrn, InvalidBankAccount, NoTariff.
    """
    changed = replace(data, **given)
    if changed.ogrn is not None:
        check_ogrn(changed.ogrn, merchant.inn)
    if changed.bank_account is not None:
        check_bank_account(BankAccount(bik, changed.bank_account))
    if given.get("mcc") is not None and "tariff_group" not in given:
        group = group_of_mcc(await finance.load_mcc_groups(session), given["mcc"], on=moscow_day(now))
        changed = replace(changed, tariff_group=group.tariff_group)
    if given.get("tariff_group") is not None:
        tariffs = await finance.load_tariffs(session, RAIL)
        tariff_on(tariffs, tariff_group=given["tariff_group"], rail=RAIL, on=moscow_day(now))
    return changed
