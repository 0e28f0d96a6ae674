"""The states of a code, and how often we ask about it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ledger.money import Kopecks
from sbp_gateway.nspk import LinkStatus, OperationStatus
from sbp_gateway.payments import AcceptedOperation, is_paid, paid_at_of
from sbp_gateway.qr_codes import ALLOWED, GRACE, QrCode, QrStatus

FINAL = {QrStatus.PAID, QrStatus.REFUSED, QrStatus.ABANDONED}


@pytest.fixture
def qr(now: datetime) -> QrCode:
    return QrCode(
        "qr_1", "att_1", "mer_1", Kopecks(100), "Order 1", QrStatus.REGISTERED, "A" * 32, "https://…", now,
        now + timedelta(minutes=15), 0,
    )  # fmt: skip


def test_every_state_is_in_the_table_and_final_states_lead_nowhere() -> None:
    assert set(ALLOWED) == set(QrStatus)
    assert {status for status, nexts in ALLOWED.items() if not nexts} == FINAL


def test_money_is_only_taken_for_a_code_that_was_registered() -> None:
    assert {status for status in QrStatus if QrStatus.PAID in ALLOWED[status]} == {
        QrStatus.REGISTERED, QrStatus.EXPIRED,
    }  # fmt: skip


def test_silence_means_nothing_before_the_grace_has_passed(qr: QrCode) -> None:
    assert qr.is_over_at == qr.expires_at + GRACE


@pytest.mark.parametrize(
    ("hours", "taken"),
    [
        pytest.param(-1, False, id="before the code was asked for"),
        pytest.param(1, True, id="while the code lived"),
        pytest.param(3, False, id="in the future"),
    ],
)
def test_a_hint_moves_a_payment_only_to_where_it_can_have_been(
    qr: QrCode, now: datetime, hours: int, taken: bool
) -> None:
    hinted_at, learnt_at = now + timedelta(hours=hours), now + timedelta(hours=2)
    operation = AcceptedOperation("att_1", "mer_1", qr.amount, "A" * 32, "9F2C", qr.requested_at, hinted_at, "qr_1")
    assert paid_at_of(operation, learnt_at) == (hinted_at if taken else learnt_at)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(("RQ00000", OperationStatus.ACCEPTED, "A" * 32), True, id="accepted"),
        pytest.param(("RQ00000", OperationStatus.RECEIVED, "A" * 32), False, id="in processing"),
        pytest.param(("RQ00000", OperationStatus.NOT_STARTED, None), False, id="not started"),
        pytest.param(("RQ00000", OperationStatus.REJECTED, "A" * 32), False, id="rejected"),
        pytest.param(("RQ07999", OperationStatus.ACCEPTED, "A" * 32), False, id="with an error"),
        pytest.param(("RQ00000", OperationStatus.ACCEPTED, None), False, id="without an operation"),
        pytest.param(("RQ00000", OperationStatus.ACCEPTED, "a b"), False, id="with a malformed operation"),
    ],
)
def test_only_an_accepted_operation_is_money(answer: tuple[str, OperationStatus, str | None], expected: bool) -> None:
    code, status, trx_id = answer
    assert is_paid(LinkStatus("A" * 32, code, status, trx_id, None)) is expected
