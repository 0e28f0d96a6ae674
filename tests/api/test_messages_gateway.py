"""Messages to buyers go through a gateway under our own ids; what is lost may be sent again and comes once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.data_dir import StartRefused
from api.messages_gateway import Channel, MessagesGateway, SendOutcome, SendStatus, messages_gateway
from api.settings import Settings
from ledger.database import Engine, transaction
from pci.secret import Secret
from tests.api.message_world import MessageWorld, message_world

PHONE = Secret("+79161234567")
TEXT = Secret("Код 123456")


@pytest_asyncio.fixture
async def world() -> AsyncIterator[MessageWorld]:
    """The sandbox's gateway."""
    async with message_world() as world:
        yield world


async def test_a_message_reaches_its_phone(world: MessageWorld) -> None:
    outcome = await world.gateway.send("msg_1", PHONE, TEXT, Channel.PUSH)

    assert outcome == SendOutcome(SendStatus.SENT)
    assert await world.read(PHONE.expose()) == [
        {"id": "msg_1", "to": "+79161234567", "text": "Код 123456", "channel": "push"}
    ]


async def test_a_lost_answer_is_unknown_and_the_repeat_comes_once(world: MessageWorld) -> None:
    await world.faults(lost_answer=1)
    first = await world.gateway.send("msg_1", PHONE, TEXT)
    await world.faults(lost_answer=0)
    again = await world.gateway.send("msg_1", PHONE, TEXT)

    assert (first.status, again.status) == (SendStatus.UNKNOWN, SendStatus.SENT)
    assert len(await world.read(PHONE.expose())) == 1


async def test_a_lost_request_is_unknown_and_nothing_came(world: MessageWorld) -> None:
    await world.faults(lost_request=1)

    assert (await world.gateway.send("msg_1", PHONE, TEXT)).status is SendStatus.UNKNOWN
    assert await world.read(PHONE.expose()) == []


async def test_a_phone_that_takes_nothing_is_a_refusal(world: MessageWorld) -> None:
    outcome = await world.gateway.send("msg_1", Secret("+79160000000"), TEXT)

    assert outcome == SendOutcome(SendStatus.REFUSED, "answer_422")


async def test_nobody_listening_is_unknown() -> None:
    gateway = MessagesGateway("http://127.0.0.1:9")
    outcome = await gateway.send("msg_1", PHONE, TEXT)
    await gateway.close()

    assert outcome == SendOutcome(SendStatus.UNKNOWN, "cut_off")


async def test_no_gateway_is_a_refusal() -> None:
    outcome = await MessagesGateway("").send("msg_1", PHONE, TEXT)

    assert outcome == SendOutcome(SendStatus.REFUSED, "no_gateway")


async def test_nothing_is_sent_while_a_transaction_is_open(world: MessageWorld, engine: Engine) -> None:
    async with transaction(engine):
        with pytest.raises(AssertionError, match="transaction is open"):
            await world.gateway.send("msg_1", PHONE, TEXT)


@pytest.mark.parametrize(
    ("mode", "url"), [("production", "http://127.0.0.1:1"), ("sandbox", "http://sms.example"), ("sandbox", "ftp://x")]
)
def test_an_unsafe_way_to_the_gateway_is_refused(mode: str, url: str) -> None:
    with pytest.raises(StartRefused, match="KOPEYKA_MESSAGES_URL"):
        messages_gateway(Settings(mode=mode, messages_url=url))  # type: ignore[arg-type]  # as the environment says it
