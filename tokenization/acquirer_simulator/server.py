"""The simulated acquirer on a TCP port: frames in, answers out, with the faults that were ordered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tokenization.acquirer_simulator.host import AcquirerHost
from tokenization.acquirer_simulator.scripts import AcquirerFault
from tokenization.charges.errors import AcquirerSilent
from tokenization.charges.messages import LENGTH_BYTES, MESSAGE_BYTES_MAX, Message, decode, encode

_CARRIED_OUT_LATE = AcquirerFault.SLOW_REQUEST


@dataclass(slots=True)
class AcquirerServer:
    """Speaks ISO 8583 with whoever connects."""

    host: AcquirerHost
    faults: dict[str, int] = field(default_factory=dict)
    """How many of each happened."""
    messages: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's messages until it ends; each by itself, so a late one holds up nobody."""
        self._lines.add(writer)
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
                if not 0 < length <= MESSAGE_BYTES_MAX:
                    break
                message = decode(await reader.readexactly(length))
                task = asyncio.create_task(self._take(message, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (OSError, asyncio.IncompleteReadError, AcquirerSilent):
            pass
        finally:
            self._lines.discard(writer)
            writer.close()

    def cut_all(self) -> int:
        """Close every line, as a network does; how many."""
        lines = list(self._lines)
        for writer in lines:
            writer.close()
        return len(lines)

    async def _take(self, message: Message, writer: asyncio.StreamWriter) -> None:
        self.messages += 1
        fault = self.host.scripts.fault_of(message.kind, int(message.fields.get("4", "0")))
        delay = self.host.scripts.faults.delay_seconds
        if fault is not None:
            self.faults[fault] = self.faults.get(fault, 0) + 1
        if fault is AcquirerFault.LOST_REQUEST:
            return
        if fault is _CARRIED_OUT_LATE:
            await asyncio.sleep(delay)
        answer = self.host.carry_out(message)
        if fault is AcquirerFault.LATE_ANSWER:
            await asyncio.sleep(delay)
        if fault is AcquirerFault.CUT:
            writer.close()
        if fault in (AcquirerFault.LOST_ANSWER, AcquirerFault.CUT):
            return
        with suppress(OSError):
            writer.write(encode(_distorted(answer, fault)) * (2 if fault is AcquirerFault.DUPLICATE_ANSWER else 1))
            await writer.drain()

    def summary(self) -> Mapping[str, Any]:
        """What happened so far."""
        return {**self.host.summary(), "messages": self.messages, "faults": self.faults, "lines": len(self._lines)}


def _distorted(answer: Message, fault: AcquirerFault | None) -> Message:
    if fault is AcquirerFault.WRONG_RRN:
        return Message({**answer.fields, "37": "............"})
    if fault is AcquirerFault.WRONG_AMOUNT:
        return Message({**answer.fields, "4": f"{int(answer.fields.get('4', '0')) + 100:012}"})
    return answer
