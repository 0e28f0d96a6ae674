"""NSPK's plates as the simulator keeps them: their states, and a journal to wake up from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from sbp_gateway.cash_links import LinkState
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.simulator.cash_links import (
    ARMED_ALREADY,
    BEING_PAID,
    NOT_ARMED,
    NOT_RESERVED,
    CashLinkRefused,
    CashLinks,
)
from sbp_gateway.simulator.links import Links, PayRefused

MEMBER, ACCOUNT = "100000000999", "4" * 20


@pytest.fixture
def journal() -> list[Mapping[str, Any]]:
    return []


@pytest.fixture
def plates(journal: list[Mapping[str, Any]]) -> CashLinks:
    return CashLinks(Links(journal.append, "seed"))


def pay(plates: CashLinks, qrc_id: str, now: datetime, **how: Any) -> Any:
    return plates.pay(qrc_id, now, **{"outcome": "accepted", "amount": None, "params_id": None, **how})


def test_a_plate_goes_round_its_states(plates: CashLinks, now: datetime) -> None:
    link = plates.register(MEMBER, ACCOUNT, None)
    first = plates.activate(link.qrc_id, 100, now)
    with pytest.raises(CashLinkRefused) as refused:
        plates.activate(link.qrc_id, 200, now)
    assert refused.value.code == ARMED_ALREADY[0]

    pay(plates, link.qrc_id, now, outcome="begin")
    assert first.link_state is LinkState.IN_PROGRESS
    with pytest.raises(CashLinkRefused) as refused:
        plates.deactivate(link.qrc_id, now)
    assert refused.value.code == BEING_PAID[0]
    pay(plates, link.qrc_id, now)
    assert (first.link_state, first.status) == (LinkState.INACTIVATED, OperationStatus.ACCEPTED)

    second = plates.activate(link.qrc_id, 200, now)
    plates.deactivate(link.qrc_id, now)
    assert second.link_state is LinkState.DEACTIVATED
    with pytest.raises(CashLinkRefused) as refused:
        plates.deactivate(link.qrc_id, now)
    assert refused.value.code == NOT_ARMED[0]
    with pytest.raises(PayRefused):
        pay(plates, link.qrc_id, now)
    assert (plates.links.paid, plates.links.paid_kopecks) == (1, 100)


def test_an_activation_ends_by_itself_after_twenty_minutes(plates: CashLinks, now: datetime) -> None:
    link = plates.register(MEMBER, ACCOUNT, None)
    plates.activate(link.qrc_id, 100, now)
    assert link.armed(now + timedelta(minutes=20)) is None
    plates.activate(link.qrc_id, 100, now + timedelta(minutes=20))


def test_only_reserved_ids_are_registered_and_each_once(plates: CashLinks) -> None:
    (qrc_id,) = plates.reserve(1)
    assert plates.register(MEMBER, ACCOUNT, qrc_id).qrc_id == qrc_id
    for wanted in (qrc_id, "AS1R000000000000000000000000TEST"):
        with pytest.raises(CashLinkRefused) as refused:
            plates.register(MEMBER, ACCOUNT, wanted)
        assert refused.value.code == NOT_RESERVED[0]


def test_a_killed_simulator_wakes_up_as_it_was(
    plates: CashLinks, journal: list[Mapping[str, Any]], now: datetime
) -> None:
    (reserved, _) = plates.reserve(2)
    link = plates.register(MEMBER, ACCOUNT, reserved)
    plates.activate(link.qrc_id, 100, now)
    plates.deactivate(link.qrc_id, now)
    plates.activate(link.qrc_id, 300, now)
    pay(plates, link.qrc_id, now)
    plates.activate(link.qrc_id, 400, now)
    plates.move(link.qrc_id, "5" * 20)
    sticker = plates.register_sticker(MEMBER, ACCOUNT, None)
    pay(plates, sticker.qrc_id, now, amount=700)

    woken = CashLinks(Links(lambda _: None, "seed"))
    for line in journal:
        woken.recall(line)

    assert (woken.by_id, woken.reserved) == (plates.by_id, plates.reserved)
    assert (woken.links.paid, woken.links.paid_kopecks) == (2, 1_000)
    assert woken.reserve(1) == plates.reserve(1)
