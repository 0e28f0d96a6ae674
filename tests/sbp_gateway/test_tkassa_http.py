"""T-Kassa behind the port: its words become ours, and the port's promises hold over the network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.money import Kopecks
from pci.secret import Secret
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import LinkStatus, OperationStatus, Registration
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.payload import parse
from sbp_gateway.providers import Providers
from sbp_gateway.simulator.tkassa import MEMBER_ID
from sbp_gateway.tkassa_http import NO_ANSWER, STATUSES, TkassaHttp, read_answer, status_of
from sbp_gateway.tkassa_links import is_tkassa_link, link_id
from sbp_gateway.tkassa_token import TkassaTerminal
from tests.sbp_gateway.tkassa_world import TERMINAL, tkassa_world

NEXT_HOUR = datetime.now(UTC) + timedelta(hours=1)


def wanted(amount: int = 149_990, reference: str = "qr_1", expires_at: datetime = NEXT_HOUR) -> Registration:
    return Registration("MA0000000001", MEMBER_ID, "4" * 20, Kopecks(amount), 15, "Чай", reference, expires_at)


async def test_a_link_is_registered_paid_and_seen_paid() -> None:
    async with tkassa_world() as world:
        link = await world.adapter.register(wanted())
        parsed = parse(link.payload)
        assert (parsed.amount, parsed.member_id) == (149_990, MEMBER_ID)
        assert is_tkassa_link(link.qrc_id)

        assert await world.adapter.statuses([link.qrc_id]) == [
            LinkStatus(link.qrc_id, "RQ00000", OperationStatus.NOT_STARTED, None, None)
        ]
        assert (await world.pays(link.payload)).status_code == 200
        (found,) = await world.adapter.statuses([link.qrc_id])
        assert (found.status, found.trx_id) == (OperationStatus.ACCEPTED, link.qrc_id)
        assert (await world.pays(link.payload)).status_code == 409


async def test_many_are_asked_about_and_each_gets_its_own_answer() -> None:
    async with tkassa_world() as world:
        links = [await world.adapter.register(wanted(reference=f"qr_{number}")) for number in range(3)]
        await world.pays(links[1].payload)
        await world.pays(links[2].payload, outcome="rejected")
        strange = link_id("1")

        found = await world.adapter.statuses([*(link.qrc_id for link in links), strange])

    assert [answer.status for answer in found] == [
        OperationStatus.NOT_STARTED, OperationStatus.ACCEPTED, OperationStatus.REJECTED, None,
    ]  # fmt: skip
    assert found[3].code == "7"


@pytest.mark.parametrize("amount", [999, 100_000_001])
async def test_what_sbp_does_not_take_is_refused_in_tkassas_words(amount: int) -> None:
    async with tkassa_world() as world:
        with pytest.raises(NspkRefused) as refused:
            await world.adapter.register(wanted(amount))
    assert refused.value.facts["nspk_code"] == "3016"


async def test_a_wrong_password_is_refused() -> None:
    async with tkassa_world() as world:
        stranger = TkassaHttp(NspkTransport(world.url, read=read_answer), TkassaTerminal(TERMINAL.key, Secret("?")))
        with pytest.raises(NspkRefused) as refused:
            await stranger.register(wanted())
        await stranger.close()
    assert refused.value.facts["nspk_code"] == "204"


async def test_a_lost_answer_is_unknown_and_the_payment_is_not_begun_twice() -> None:
    async with tkassa_world() as world:
        await world.faults(lost_answer=1.0)
        with pytest.raises(NspkUnknown):
            await world.adapter.register(wanted())
        await world.faults(lost_answer=0.0)

        link = await world.adapter.register(wanted(reference="qr_2"))
        assert link.qrc_id == link_id("7000000002")  # the second payment ever


async def test_statuses_that_nobody_answered_are_unknown() -> None:
    async with tkassa_world() as world:
        link = await world.adapter.register(wanted())
        await world.faults(lost_request=1.0)
        with pytest.raises(NspkUnknown):
            await world.adapter.statuses([link.qrc_id])


async def test_a_session_that_is_over_can_still_end_by_its_own_time() -> None:
    async with tkassa_world() as world:
        link = await world.adapter.register(wanted())
        assert (await world.http.post("/simulator/clock/advance", json={"seconds": 3_601})).status_code == 200

        (found,) = await world.adapter.statuses([link.qrc_id])
        assert found.status is OperationStatus.NOT_STARTED
        assert (await world.pays(link.payload)).status_code == 410


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("CONFIRMED", OperationStatus.ACCEPTED),
        ("ASYNC_REFUNDING", OperationStatus.ACCEPTED),
        ("AUTHORIZED", OperationStatus.RECEIVED),
        ("REJECTED", OperationStatus.REJECTED),
        ("SOMETHING_NEW_IN_2027", OperationStatus.RECEIVED),
        (None, OperationStatus.RECEIVED),
        ({"odd": 1}, OperationStatus.RECEIVED),
    ],
)
def test_a_word_that_is_new_is_not_final_and_no_error(word: Any, status: OperationStatus) -> None:
    assert status_of(word) is status


def test_nothing_but_money_that_moved_is_called_accepted() -> None:
    accepted = {word for word, status in STATUSES.items() if status is OperationStatus.ACCEPTED}
    assert accepted == {"CONFIRMED", "REFUNDING", "ASYNC_REFUNDING", "PARTIAL_REFUNDED", "REFUNDED"}


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (200, {"Success": False, "ErrorCode": "3016", "Message": "no"}, NspkRefused),
        (200, {"Success": False, "ErrorCode": "9999", "Message": "?"}, NspkUnknown),
        (502, {"Success": True, "ErrorCode": "0"}, NspkUnknown),
        (200, {"Success": "true", "ErrorCode": "0"}, NspkRefused),
        (200, {"Success": True}, KeyError),
    ],
)
def test_only_success_is_an_answer(status: int, answer: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(status, answer)


async def test_a_silent_provider_does_not_spoil_the_answers_of_the_other() -> None:
    async with tkassa_world() as world:
        away = NspkHttp(NspkTransport("http://127.0.0.1:9"), "A00000000001")
        both = Providers(away, world.adapter, frozenset({MEMBER_ID}))
        link = await both.register(wanted())

        found = await both.statuses(["AD10000000000000000000000000TEST", link.qrc_id])
        assert [(answer.code, answer.status) for answer in found] == [
            (NO_ANSWER, None), ("RQ00000", OperationStatus.NOT_STARTED),
        ]  # fmt: skip
        with pytest.raises(NspkUnknown):
            await both.statuses(["AD10000000000000000000000000TEST"])
        with pytest.raises(NspkUnavailable):
            await both.register(Registration("M", "100000000111", "4" * 20, Kopecks(1000), 15, "x", "r", NEXT_HOUR))
        await away.close()
