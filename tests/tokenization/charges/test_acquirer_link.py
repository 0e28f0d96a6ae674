"""The line to the acquirer: what is certainly unsent, what may have been heard, and whose answer is whose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from tests.tokenization.charges.charge_world import PATIENCE_SECONDS, until
from tokenization.acquirer_simulator.control import new_server
from tokenization.charges.acquirer_link import AcquirerLink, address_of, link_to
from tokenization.charges.errors import AcquirerSilent, AcquirerUnreachable
from tokenization.charges.messages import (
    SPEC,
    Acceptor,
    Message,
    answer_kind,
    decode,
    encode,
    network_message,
    private_fields,
)

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(stan: int, amount: int = 100) -> Message:
    return Message({
        "t": "0200", "2": "2200000000000004", "3": "000000", "4": f"{amount:012}", "7": "1122090000",
        "11": f"{stan:06}", "14": "2812", "41": "KPK00001", "49": "643", "62": f"cpy_{stan}",
    })  # fmt: skip


@asynccontextmanager
async def line(speak: Speak, **terms: float) -> AsyncIterator[AcquirerLink]:
    writers: list[asyncio.StreamWriter] = []

    async def spoken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await speak(reader, writer)

    listener = await asyncio.start_server(spoken, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    link = AcquirerLink("127.0.0.1", port, lambda: NOW, answer_seconds=terms.get("answer_seconds", PATIENCE_SECONDS))
    try:
        yield link
    finally:
        await link.close()
        listener.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


async def signed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, code: str = "00") -> None:
    body = decode(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
    writer.write(encode(Message({**body.fields, "t": "0810", "39": code})))


async def test_many_messages_share_a_line_and_each_gets_its_own_answer() -> None:
    server, _ = new_server()
    async with line(server.speak) as link:
        answers = await asyncio.gather(*(link.exchange(asked(stan, stan)) for stan in range(1, 101)))

        assert [int(answer.fields["4"]) for answer in answers] == list(range(1, 101))
        assert link.connects == 1


async def test_a_cut_line_is_silence_at_once_and_the_next_message_opens_another() -> None:
    server, _ = new_server()
    async with line(server.speak, answer_seconds=600) as link:
        server.host.scripts.set({"rules": [{"fault": "cut"}]})
        with pytest.raises(AcquirerSilent):
            await asyncio.wait_for(link.exchange(asked(1)), PATIENCE_SECONDS)

        assert (await link.exchange(asked(2))).response_code == "00"
        assert link.connects == 2


async def test_an_acquirer_that_refuses_us_is_unreachable() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await signed_on(reader, writer, "58")

    async with line(speak) as link:
        with pytest.raises(AcquirerUnreachable):
            await link.exchange(asked(1))


async def test_all_who_wait_for_a_mute_acquirer_learn_of_it_at_once() -> None:
    opened: list[asyncio.StreamWriter] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        await reader.read()

    async with line(speak, answer_seconds=0.5) as link:
        asked_by_many = (link.exchange(asked(stan)) for stan in range(1, 9))
        ends = await asyncio.gather(*asked_by_many, return_exceptions=True)

        assert {type(end) for end in ends} == {AcquirerUnreachable}
        assert len(opened) == 1, "they waited for one sign-on, and not one after another"


@pytest.mark.parametrize(
    "garbage", [b"\x00\x04ABCD", b"\xff\xff" + b"0" * 100, b"\x00\x00", b"\x00\x10" + b"\xff" * 16, b"\x00"],
    ids=["no-message", "too-long", "empty", "no-ascii", "half-a-length"],
)  # fmt: skip
async def test_garbage_ends_the_line_and_counts_as_silence(garbage: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await signed_on(reader, writer)
        await reader.readexactly(2)
        writer.write(garbage)
        await writer.drain()
        writer.close()

    async with line(speak) as link:
        with pytest.raises(AcquirerSilent):
            await link.exchange(asked(1))


async def test_an_answer_to_another_message_is_nobodys() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await signed_on(reader, writer)
        await reader.readexactly(2)
        for strange in ({"11": "000002"}, {"7": "1122090001"}, {"41": "KPK00002"}, {"t": "0230"}):
            writer.write(encode(Message({**asked(1).fields, "t": "0210", "39": "00", **strange})))

    async with line(speak, answer_seconds=0.3) as link:
        with pytest.raises(AcquirerSilent):
            await link.exchange(asked(1))
        await until(lambda: link.late == 4)


async def test_a_caller_that_gives_up_leaves_the_line_to_others() -> None:
    server, _ = new_server()
    async with line(server.speak) as link:
        server.host.scripts.set({"rules": [{"fault": "lost_answer"}]})
        gone = asyncio.create_task(link.exchange(asked(1)))
        await asyncio.sleep(0.05)
        gone.cancel()

        assert (await link.exchange(asked(2))).response_code == "00"


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://a:1", "tcp://a", "tcp://:1"])
def test_an_address_is_tcp_host_and_port(url: str) -> None:
    with pytest.raises(ValueError, match="tcp://host:port"):
        address_of(url)


def test_without_an_address_there_is_no_line() -> None:
    assert link_to("", lambda: NOW) is None
    assert address_of("tcp://[::1]:8583") == ("::1", 8583)


def test_every_field_survives_the_wire_and_nothing_of_a_message_is_printed() -> None:
    fields = {"t": "0200"}
    for number, field in SPEC.items():
        if number not in ("h", "t", "p", "1"):
            fields[number] = ("A0" if field["data_enc"] == "b" else "1") * field["max_len"]
    message = Message(fields)

    assert decode(encode(message)[2:]).fields == fields
    assert "1" * 19 not in f"{message!r} {message}"


@pytest.mark.parametrize(
    ("kind", "answered"),
    [("0100", "0110"), ("0200", "0210"), ("0221", "0230"), ("0400", "0410"), ("0421", "0430"), ("0800", "0810")],
)
def test_each_kind_has_its_answer(kind: str, answered: str) -> None:
    assert answer_kind(kind) == answered


def test_private_fields_are_tag_length_value() -> None:
    assert private_fields(Message({"t": "0200", "48": "92003123SC001FSM005mer_1"})) == {
        "92": "123", "SC": "F", "SM": "mer_1",
    }  # fmt: skip
    assert private_fields(Message({"t": "0200", "48": "92"})) == {}


def test_a_network_message_carries_no_card() -> None:
    assert set(network_message("301", Acceptor(), 1, NOW).fields) == {"t", "7", "11", "41", "70"}
