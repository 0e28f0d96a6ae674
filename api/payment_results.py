"""What NSPK says about links, turned into paid orders: the status call, then one transaction.

Notifications are hints: whoever sends one only makes us ask NSPK. Hints that arrive while a
question is under way share the next one, so a busy minute costs few calls and few commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api.paying import close_silent, pay, reject
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction
from ledger.errors import KopeykaError
from sbp_gateway import repository as sbp
from sbp_gateway.nspk import STATUS_BATCH_MAX, LinkStatus, Nspk, OperationStatus
from sbp_gateway.payments import is_paid

log = logging.getLogger(__name__)

QUESTIONS_AT_ONCE = 2
"""Status calls under way in one process."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody says that something happened to a link."""

    qrc_id: str
    happened_at: datetime | None = None


@dataclass(slots=True)
class StatusReader:
    """Asks NSPK about links and carries out what it says."""

    engine: Engine
    nspk: Nspk
    clock: Clock
    _waiting: list[tuple[Hint, asyncio.Future[None]]] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def look_up(self, hint: Hint) -> None:
        """Ask about one link together with whatever else waits.

        Raises: NspkUnknown, and what the database raises; the worker asks again later.
        """
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((hint, answered))
        if len(self._running) < QUESTIONS_AT_ONCE:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await answered

    async def _run(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:STATUS_BATCH_MAX], self._waiting[STATUS_BATCH_MAX:]
            try:
                await self.read([hint for hint, _ in taken])
            except Exception as error:
                _answer_all(taken, error)
            else:
                _answer_all(taken, None)

    async def read(self, hints: Sequence[Hint]) -> list[LinkStatus]:
        """Ask about up to 100 links and carry out what NSPK says.

        Raises: NspkUnknown, and what the database raises.
        """
        answers = await self.nspk.statuses(list({hint.qrc_id for hint in hints}))
        hinted_at = {hint.qrc_id: hint.happened_at for hint in hints if hint.happened_at is not None}
        await self._carry_out(answers, hinted_at)
        return answers

    async def _carry_out(self, answers: Sequence[LinkStatus], hinted_at: Mapping[str, datetime]) -> None:
        """All answers in one transaction; when one of them cannot be carried out, each in its own."""
        now = self.clock.now()
        try:
            await in_transaction(self.engine, lambda session: carry_out(session, answers, hinted_at, now=now))
        except KopeykaError:
            if len(answers) == 1:
                raise
            for answer in answers:
                try:
                    await self._carry_out([answer], hinted_at)
                except KopeykaError as error:
                    log.error("sbp_result_not_carried_out", extra={"qrc_id": answer.qrc_id, "code": error.code})


def _answer_all(taken: Sequence[tuple[Hint, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, answered in taken:
        if answered.done():
            continue
        if error is None:
            answered.set_result(None)
        else:
            answered.set_exception(error)


async def carry_out(
    session: Session, answers: Sequence[LinkStatus], hinted_at: Mapping[str, datetime], *, now: datetime
) -> None:
    """Do what NSPK's answers mean: pay orders, end attempts, or nothing yet.

    Locks: the codes, then orders, attempts and accounts, each in the order of their ids.
    """
    by_id = {answer.qrc_id: answer for answer in answers if is_final(answer)}
    codes = await sbp.lock_by_qrc_id(session, list(by_id)) if by_id else []
    paid = [(qr, by_id[qr.qrc_id or ""]) for qr in codes if is_paid(by_id[qr.qrc_id or ""])]
    others = [(qr, by_id[qr.qrc_id or ""]) for qr in codes if not is_paid(by_id[qr.qrc_id or ""])]
    await reject(session, [qr for qr, answer in others if answer.status is OperationStatus.REJECTED])
    await close_silent(session, [qr for qr, _ in others], now=now)
    await pay(session, paid, hinted_at, now=now)


def is_final(answer: LinkStatus) -> bool:
    """Whether an answer may change anything: NSPK still processing a payment does not."""
    return is_paid(answer) or answer.status in (OperationStatus.NOT_STARTED, OperationStatus.REJECTED)
