"""A merchant's way to SBP: where it may go from each place, and what is said at each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ledger.errors import KopeykaError
from sbp_gateway.errors import RegistrationFixed, RegistrationIncomplete, RegistrationNotAllowed
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.registrations import (
    ALLOWED,
    GATHERING,
    LOOK_UP_WAIT_MAX,
    MISSING,
    NEXT_STEP,
    MerchantRegistration,
    MerchantSource,
    NspkNumbers,
    RegistrationData,
    RegistrationStatus,
    advance,
    close,
    fill_in,
    register,
    submit,
    wait_before_look_up,
)

Status = RegistrationStatus
WHOLE = RegistrationData(
    "1027700132195", "40702810938000000001", "5411", "everyday", SettlementMode.DIRECT, "Анна", "+79001234567", "a@b.ru"
)


def registration(now: datetime, status: Status = Status.READY, data: RegistrationData = WHOLE) -> MerchantRegistration:
    return MerchantRegistration(
        "sbr_1",
        "mer_1",
        "044525225",
        status,
        data,
        None,
        None,
        now,
        None,
        None,
        look_ups=0,
        next_look_up_at=None,
        version=1,
    )


def numbers(now: datetime) -> NspkNumbers:
    return NspkNumbers("MA0000000552", "100000000007", MerchantSource.ENTERED, now)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(Status, Status)))
def test_a_registration_goes_only_where_the_table_says(now: datetime, start: Status, to: Status) -> None:
    found = registration(now, start)
    if to in ALLOWED[start]:
        moved = advance(found, to, reason="r")
        assert (moved.status, moved.version, moved.reason) == (to, 2, "r")
    else:
        with pytest.raises(RegistrationNotAllowed) as refusal:
            advance(found, to)
        assert refusal.value.facts["next_step"] == NEXT_STEP[start][0]


def test_every_status_has_a_next_step_in_russian_and_closed_is_the_end() -> None:
    assert set(NEXT_STEP) == set(Status)
    assert len({code for code, _ in NEXT_STEP.values()}) == len(Status)
    assert all("а" <= text[1] <= "я" for text in (*MISSING.values(), *(text for _, text in NEXT_STEP.values())))
    assert [status for status in Status if not ALLOWED[status]] == [Status.CLOSED]


@pytest.mark.parametrize("name", MISSING)
def test_each_missing_field_keeps_the_papers_from_the_bank(now: datetime, name: str) -> None:
    found = fill_in(registration(now), replace(WHOLE, **{name: None}))
    assert found.status is Status.DATA_MISSING
    assert found.data.missing == (name,)
    for step in (lambda: submit(found, now=now), lambda: register(found, numbers(now))):
        with pytest.raises(RegistrationIncomplete) as refusal:
            step()
        assert refusal.value.facts["missing"] == [name]


@pytest.mark.parametrize("status", Status)
def test_data_is_changed_only_before_the_bank_has_it(now: datetime, status: Status) -> None:
    found = registration(now, status)
    if status in GATHERING:
        assert fill_in(found, WHOLE).status is Status.READY
    else:
        with pytest.raises(RegistrationFixed):
            fill_in(found, WHOLE)


def test_a_refused_registration_is_put_right_and_sent_again(now: datetime) -> None:
    sent = submit(registration(now), now=now)
    assert (sent.sent_at, sent.next_look_up_at) == (now, now + timedelta(seconds=10))
    refused = advance(sent, Status.REFUSED, reason="Нет договора")
    assert refused.next_look_up_at is None
    again = submit(fill_in(refused, replace(WHOLE, mcc="5912")), now=now)
    assert (again.status, again.reason) == (Status.SENT_TO_BANK, None)


@pytest.mark.parametrize("status", Status)
def test_the_banks_numbers_come_only_while_they_are_awaited(now: datetime, status: Status) -> None:
    found = registration(now, status)
    if status in (Status.READY, Status.SENT_TO_BANK):
        done = register(found, numbers(now))
        merchant = done.as_merchant
        assert (merchant.nspk_merchant_id, merchant.member_id) == ("MA0000000552", "100000000007")
        assert (merchant.settlement_mode, merchant.tariff_group) == (SettlementMode.DIRECT, "everyday")
    else:
        with pytest.raises(KopeykaError):
            register(found, numbers(now))


def test_a_closed_registration_says_when(now: datetime) -> None:
    assert close(registration(now), now=now).closed_at == now


def test_the_directory_is_asked_later_and_later() -> None:
    waits = [wait_before_look_up(count).total_seconds() for count in range(20)]
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == LOOK_UP_WAIT_MAX.total_seconds()
