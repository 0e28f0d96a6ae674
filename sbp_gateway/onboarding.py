"""Taking merchants into SBP: from papers to the bank's numbers, and out of it again.

One registration of a merchant is in use at a time. The first that its bank registers is taken into
use by itself; another bank's is, when somebody says so. Links made before go on by the registration
they were made by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from ledger import outbox
from ledger.database import Session
from ledger.outbox import Event
from sbp_gateway import bookkeeping, registrations
from sbp_gateway import registration_repository as repository
from sbp_gateway.errors import MerchantNotRegistered, RegistrationNotAllowed
from sbp_gateway.merchants import SbpMerchant
from sbp_gateway.nspk_merchants import FoundMerchant
from sbp_gateway.registrations import (
    NOT_BEGUN,
    MerchantRegistration,
    MerchantSource,
    NspkNumbers,
    RegistrationData,
    RegistrationStatus,
)

Change = Callable[[MerchantRegistration], MerchantRegistration]


async def open_registration(
    session: Session, registration_id: str, *, merchant_id: str, bik: str, data: RegistrationData, now: datetime
) -> MerchantRegistration:
    """Begin a merchant's registration in a bank with whatever data there is.

    Raises: BankRegistrationOpen if one in this bank is not closed.
    """
    status = RegistrationStatus.DATA_MISSING if data.missing else RegistrationStatus.READY
    opened = MerchantRegistration(
        id=registration_id, merchant_id=merchant_id, bik=bik, status=status, data=data, numbers=None, reason=None,
        created_at=now, sent_at=None, closed_at=None, look_ups=0, next_look_up_at=None, version=1,
    )  # fmt: skip
    await repository.add_registration(session, opened)
    return opened


async def change(session: Session, registration_id: str, by: Change, *, now: datetime) -> MerchantRegistration:
    """Carry out a rule of ``registrations`` on a registration: other data, papers sent, refused.

    Raises: RegistrationNotFound and what the rule refuses. Locks: the registration.
    """
    found = await repository.lock_registration(session, registration_id)
    changed = by(found)
    await repository.save_registration(session, changed)
    if changed.status is not found.status:
        await _publish(session, changed, now)
    return changed


async def register(
    session: Session,
    registration_id: str,
    *,
    nspk_merchant_id: str,
    member_id: str,
    learnt_by: MerchantSource,
    now: datetime,
) -> MerchantRegistration:
    """Write down the bank's numbers, open the accounts, and take the registration into use if no other is.

    Raises: RegistrationNotFound, RegistrationIncomplete, RegistrationNotAllowed, NspkMerchantTaken.
    Locks: the registration, then the merchant's row.
    """
    numbers = NspkNumbers(nspk_merchant_id, member_id, learnt_by, now)
    registered = await change(session, registration_id, lambda found: registrations.register(found, numbers), now=now)
    await bookkeeping.open_accounts(session, registered.as_merchant, now=now)
    if await repository.registration_in_use(session, registered.merchant_id) is None:
        await repository.use_registration(session, registered, now=now)
    return registered


async def record_look_up(
    session: Session, registration_id: str, found: Sequence[FoundMerchant], *, now: datetime
) -> tuple[MerchantRegistration, list[FoundMerchant]]:
    """Write down what NSPK's directory said: one merchant is ours, none or several are for the bank or a person.

    Gives the registration and the merchants that may be it. Merchants of other registrations of ours are left
    out, and those of another MCC while one has ours.
    Raises: RegistrationNotFound, RegistrationIncomplete. Locks: the registration, then the merchant's row.
    """
    registration = await repository.lock_registration(session, registration_id)
    candidates = await _candidates(session, registration, found)
    if registration.status not in registrations.AWAITED or len(candidates) != 1:
        return registration, candidates
    (only,) = candidates
    registered = await register(
        session, registration_id, nspk_merchant_id=only.nspk_merchant_id, member_id=only.member_id,
        learnt_by=MerchantSource.LOOKED_UP, now=now,
    )  # fmt: skip
    return registered, candidates


async def _candidates(
    session: Session, registration: MerchantRegistration, found: Sequence[FoundMerchant]
) -> list[FoundMerchant]:
    taken = await repository.registered_numbers(session, [each.nspk_merchant_id for each in found])
    free = [each for each in found if each.nspk_merchant_id not in taken]
    return [each for each in free if each.mcc == registration.data.mcc] or free


async def suspend(session: Session, registration_id: str, *, reason: str, now: datetime) -> MerchantRegistration:
    """Take no payments by a registration for the time being. Those under way still come in.

    Raises: RegistrationNotFound, RegistrationNotAllowed. Locks: the registration, then the merchant's row.
    """
    to = RegistrationStatus.SUSPENDED
    changed = await change(
        session, registration_id, lambda found: registrations.advance(found, to, reason=reason), now=now
    )
    await repository.stop_using(session, registration_id)
    return changed


async def resume(session: Session, registration_id: str, *, now: datetime) -> MerchantRegistration:
    """Take payments by a suspended registration again, unless the merchant takes them by another now.

    Raises: RegistrationNotFound, RegistrationNotAllowed. Locks: the registration, then the merchant's row.
    """
    changed = await change(session, registration_id, _resumed, now=now)
    if await repository.registration_in_use(session, changed.merchant_id) is None:
        await repository.use_registration(session, changed, now=now)
    return changed


def _resumed(found: MerchantRegistration) -> MerchantRegistration:
    if found.status is not RegistrationStatus.SUSPENDED:
        raise RegistrationNotAllowed(registration_id=found.id, status=found.status.value, next_step=found.next_step[0])
    return registrations.advance(found, RegistrationStatus.REGISTERED)


async def activate(session: Session, registration_id: str, *, now: datetime) -> MerchantRegistration:
    """Take the merchant's payments by this registration from now on, whatever bank it used before.

    Raises: RegistrationNotFound, RegistrationNotAllowed. Locks: the registration, then the merchant's row.
    """
    found = await repository.lock_registration(session, registration_id)
    if found.status is not RegistrationStatus.REGISTERED:
        raise RegistrationNotAllowed(registration_id=found.id, status=found.status.value, next_step=found.next_step[0])
    await repository.use_registration(session, found, now=now)
    await _publish(session, found, now, name="registration.activated")
    return found


async def close(session: Session, registration_id: str, *, now: datetime) -> MerchantRegistration:
    """End a registration for good. Its links may still be paid until they expire.

    Raises: RegistrationNotFound, RegistrationNotAllowed. Locks: the registration, then the merchant's row.
    """
    closed = await change(session, registration_id, lambda found: registrations.close(found, now=now), now=now)
    await repository.stop_using(session, registration_id)
    return closed


async def import_merchant(
    session: Session, registration_id: str, merchant: SbpMerchant, *, bik: str, ogrn: str | None = None,
    learnt_by: MerchantSource, now: datetime,
) -> MerchantRegistration:  # fmt: skip
    """Take in a merchant that its bank registered long ago, without papers, and open its accounts.

    Raises: BankRegistrationOpen, NspkMerchantTaken.
    """
    numbers = NspkNumbers(merchant.nspk_merchant_id, merchant.member_id, learnt_by, now)
    data = RegistrationData(
        ogrn=ogrn, bank_account=merchant.bank_account, tariff_group=merchant.tariff_group,
        settlement_mode=merchant.settlement_mode,
    )  # fmt: skip
    opened = await open_registration(
        session, registration_id, merchant_id=merchant.merchant_id, bik=bik, data=data, now=now
    )
    registered = replace(opened, status=RegistrationStatus.REGISTERED, numbers=numbers)
    await repository.save_registration(session, registered)
    await bookkeeping.open_accounts(session, merchant, now=now)
    await repository.use_registration(session, registered, now=now)
    return registered


async def not_registered(session: Session, merchant_id: str) -> MerchantNotRegistered:
    """Why a merchant takes no payments, and what to do about it, as a refusal to raise."""
    nearest = await repository.nearest_registration(session, merchant_id)
    code, says = NOT_BEGUN if nearest is None else nearest.next_step
    if nearest is not None and nearest.status is RegistrationStatus.REGISTERED:
        code, says = ("activate", "Регистрация есть, но не выбрана. Выберите её (activate).")
    return MerchantNotRegistered(
        merchant_id=merchant_id, registration_id=nearest and nearest.id,
        status=nearest and nearest.status.value, next_step=code, next_step_text=says,
        missing=list(nearest.data.missing) if nearest is not None and nearest.numbers is None else None,
    )  # fmt: skip


async def _publish(session: Session, registration: MerchantRegistration, now: datetime, *, name: str = "") -> None:
    data = {
        "registration_id": registration.id,
        "merchant_id": registration.merchant_id,
        "bik": registration.bik,
        "status": registration.status.value,
        "reason": registration.reason,
        "nspk_merchant_id": registration.numbers and registration.numbers.nspk_merchant_id,
        "member_id": registration.numbers and registration.numbers.member_id,
        "settlement_mode": registration.data.settlement_mode.value,
    }
    event_type = name or f"registration.{registration.status.value}"
    await outbox.publish(session, Event(event_type, registration.id, registration.merchant_id, data), now=now)
