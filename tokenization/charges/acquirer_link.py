"""The line to the acquirer: one TCP connection that stays, many messages on it, each answer known by its number.

Nothing about a message is guessed: it was certainly not sent (``AcquirerUnreachable``), or it was and no
answer came (``AcquirerSilent``), or here is the answer. An answer that nobody waits for any more is handed
to whoever listens for late ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from tokenization.charges.errors import AcquirerSilent, AcquirerUnreachable
from tokenization.charges.messages import (
    ECHO,
    LENGTH_BYTES,
    MESSAGE_BYTES_MAX,
    SIGN_ON,
    Acceptor,
    Correlation,
    Message,
    answer_kind,
    decode,
    encode,
    network_message,
)

log = structlog.get_logger("acquirer_link")

CONNECT_SECONDS_MAX = 2.0
ANSWER_SECONDS_MAX = 6.0
"""A buyer stands at the till, and the api waits ten. The acquirer's own limit is longer, so late answers do come."""
ECHO_SECONDS = 30.0
"""A line that was silent for so long is asked whether it lives."""
CLOSE_SECONDS = 2.0
"""How long answers that came late may take to be written down when we hang up."""
WAITING_MAX = 512
"""Messages without an answer on one line; further ones are not sent."""

LateAnswer = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    waiting: dict[Correlation, asyncio.Future[Message]] = field(default_factory=dict)
    """Who waits for which answer on this line."""
    reading: asyncio.Task[None] | None = None


@dataclass(slots=True)
class AcquirerLink:
    """One process's line to one acquirer."""

    host: str
    port: int
    now: Callable[[], datetime]
    acceptor: Acceptor = field(default_factory=Acceptor)
    answer_seconds: float = ANSWER_SECONDS_MAX
    on_late: LateAnswer | None = None
    late: int = 0
    """Answers that came when nobody waited for them any more, duplicates among them."""
    connects: int = 0
    _connection: _Connection | None = None
    _opening: asyncio.Task[_Connection | AcquirerUnreachable] | None = None
    _late_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _network_number: int = 0

    async def exchange(self, message: Message) -> Message:
        """Send one message and wait for its answer.

        Raises: AcquirerUnreachable if it was not sent; AcquirerSilent if it may have been, and no answer came.
        """
        connection = await self._connected()
        if len(connection.waiting) >= WAITING_MAX:
            raise AcquirerUnreachable("Too many messages wait for an answer")
        return await self._send(connection, message)

    async def keep_alive(self) -> None:
        """Ask a silent line from time to time whether it lives; runs until it is cancelled."""
        while True:
            await asyncio.sleep(ECHO_SECONDS)
            with suppress(AcquirerUnreachable, AcquirerSilent):
                await self._network(await self._connected(), ECHO)

    async def close(self) -> None:
        """Hang up."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._connection is not None:
            self._drop(self._connection)
        if self._late_tasks:  # a write cut in its middle would keep its locks until the database loses patience
            await asyncio.wait(self._late_tasks, timeout=CLOSE_SECONDS)
        for task in self._late_tasks:
            task.cancel()
        await asyncio.gather(*self._late_tasks, return_exceptions=True)

    async def _connected(self) -> _Connection:
        """The line, opened if there is none. Whoever comes while it is being opened shares the attempt and its end."""
        if self._connection is not None:
            return self._connection
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
        opened = await asyncio.shield(self._opening)
        if isinstance(opened, AcquirerUnreachable):
            raise AcquirerUnreachable(str(opened))
        return opened

    async def _open(self) -> _Connection | AcquirerUnreachable:
        try:
            self._connection = await self._connect()
        except AcquirerUnreachable as failed:
            return failed
        return self._connection

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                reader, writer = await asyncio.open_connection(self.host, self.port, limit=MESSAGE_BYTES_MAX)
        except (OSError, TimeoutError):
            raise AcquirerUnreachable() from None
        connection = _Connection(reader, writer)
        connection.reading = asyncio.create_task(self._read(connection))
        try:
            await self._network(connection, SIGN_ON)
        except AcquirerSilent:
            raise AcquirerUnreachable("The acquirer does not let us sign on") from None
        self.connects += 1
        return connection

    async def _network(self, connection: _Connection, code: str) -> None:
        self._network_number = self._network_number % 999_999 + 1
        message = network_message(code, self.acceptor, self._network_number, self.now())
        try:
            answered = await self._send(connection, message)
        except AcquirerSilent:
            self._drop(connection)
            raise
        if answered.response_code != "00":
            self._drop(connection)
            raise AcquirerSilent("The acquirer refuses to speak", response_code=answered.response_code)

    async def _send(self, connection: _Connection, message: Message) -> Message:
        key = _key_of(message)
        answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        connection.waiting[key] = answered
        try:
            connection.writer.write(encode(message))
            async with asyncio.timeout(self.answer_seconds):
                await connection.writer.drain()
                return await answered
        except (OSError, TimeoutError):
            raise AcquirerSilent() from None
        finally:
            connection.waiting.pop(key, None)

    async def _read(self, connection: _Connection) -> None:
        """Hand every answer to whoever waits for it, until the line ends."""
        try:
            while True:
                length = int.from_bytes(await connection.reader.readexactly(LENGTH_BYTES), "big")
                if not 0 < length <= MESSAGE_BYTES_MAX:
                    break
                self._take(connection, decode(await connection.reader.readexactly(length)))
        except (OSError, asyncio.IncompleteReadError, AcquirerSilent):
            pass
        finally:
            self._drop(connection)

    def _take(self, connection: _Connection, answer: Message) -> None:
        waiting = connection.waiting.get(_key_of(answer))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
            return
        self.late += 1
        log.info("answer_came_late", kind=answer.kind, stan=answer.fields.get("11"))
        if self.on_late is not None:
            task = asyncio.create_task(self._tell(self.on_late, answer))
            self._late_tasks.add(task)
            task.add_done_callback(self._late_tasks.discard)

    async def _tell(self, on_late: LateAnswer, answer: Message) -> None:
        try:
            await on_late(answer)
        except Exception as error:  # the database may be away; the reversal is under way in any case
            log.warning("late_answer_not_recorded", error=type(error).__name__)

    def _drop(self, connection: _Connection) -> None:
        """Forget a line; whoever waits on it learns at once that no answer will come."""
        if self._connection is connection:
            self._connection = None
        connection.writer.close()
        if connection.reading is not None and connection.reading is not asyncio.current_task():
            connection.reading.cancel()
        for waiting in list(connection.waiting.values()):
            if not waiting.done():
                waiting.set_exception(AcquirerSilent("The line to the acquirer was cut"))


def _key_of(message: Message) -> Correlation:
    """An answer is known by its kind and numbers: a reversal has numbers of its own."""
    terminal_id, stan, transmitted = message.correlation
    kind = message.kind if int(message.kind[2]) % 2 else answer_kind(message.kind)
    return Correlation(f"{kind}/{terminal_id}", stan, transmitted)


def address_of(url: str) -> tuple[str, int]:
    """Host and port of ``tcp://host:port``. Raises: ValueError if it is no such address."""
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        raise ValueError("the acquirer's address must be tcp://host:port")
    return parts.hostname, parts.port


def link_to(url: str, now: Callable[[], datetime]) -> AcquirerLink | None:
    """The line to the acquirer at this address, not opened yet; nothing without an address. Raises: ValueError."""
    if not url:
        return None
    host, port = address_of(url)
    return AcquirerLink(host, port, now)
