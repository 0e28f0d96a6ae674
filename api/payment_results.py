"""What NSPK says about links, turned into paid orders: the status call, then one transaction.

Notifications are hints: whoever sends one only makes us ask NSPK. Hints that arrive while a
question is under way share the next one, so a busy minute costs few calls and few commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy.exc import IntegrityError

from api.paying import close_silent, pay, reject
from api.unmatched_money import keep_by_sticker, keep_second
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction, violated_constraint
from ledger.errors import KopeykaError
from sbp_gateway import repository as sbp
from sbp_gateway import unmatched_repository as stickers
from sbp_gateway.nspk import STATUS_BATCH_MAX, LinkStatus, Nspk, OperationStatus
from sbp_gateway.payments import AcceptedOperation, is_paid
from sbp_gateway.phones import masked
from sbp_gateway.qr_codes import ALLOWED, QrCode, QrStatus
from sbp_gateway.stickers import SaidOperation, confirmed_amount

log = structlog.get_logger("payment_results")

QUESTIONS_AT_ONCE = 1
"""Rounds under way in one process: the busier it is, the more hints share the next one."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody says that something happened to a link."""

    qrc_id: str
    happened_at: datetime | None = None
    payer_id: str | None = None
    """The payer's phone, as it was said; only its masked form is kept."""
    said: SaidOperation | None = None
    """The operation, as it was said."""


@dataclass(slots=True)
class StatusReader:
    """Asks NSPK about links and carries out what it says."""

    engine: Engine
    nspk: Nspk
    clock: Clock
    _waiting: list[tuple[Hint, asyncio.Future[bool]]] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def look_up(self, hint: Hint) -> bool:
        """Ask about one link together with whatever else waits, and say whether it may be ours.

        Raises: NspkUnknown, and what the database raises; the worker asks again later.
        """
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((hint, answered))
        if len(self._running) < QUESTIONS_AT_ONCE:
            self._running.add(asyncio.create_task(self._run()))
        return await answered

    async def _run(self) -> None:
        """Ask until nobody waits; in the very step that sees so, the next hint may start another."""
        try:
            await self._ask_waiting()
        finally:
            this = asyncio.current_task()
            assert this is not None
            self._running.discard(this)

    async def _ask_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:STATUS_BATCH_MAX], self._waiting[STATUS_BATCH_MAX:]
            try:
                known = await self.read([hint for hint, _ in taken])
            except Exception as error:
                _fail_all(taken, error)
            else:
                _answer_all(taken, known)

    async def read(self, hints: Sequence[Hint]) -> set[str]:
        """Ask about up to 100 links, carry out what NSPK says, and give the codes that are ours.

        They are asked about until they are over, so nothing of theirs is lost. Stickers are not: of them it gives
        the operations that are kept. NSPK may speak of another operation by then than the one that was told of.
        Raises: NspkUnknown, and what the database raises.
        """
        answers = await self.nspk.statuses(list({hint.qrc_id for hint in hints}))
        by_link = {hint.qrc_id: hint for hint in hints if hint.happened_at is not None}
        by_operation = {hint.said.trx_id: hint for hint in hints if hint.said is not None}
        known = await self._carry_out(answers, by_link | by_operation)
        others = {hint.qrc_id for hint in hints} - known
        if not others:
            return known
        told = [trx_id for trx_id, hint in by_operation.items() if hint.qrc_id in others and trx_id not in known]
        async with transaction(self.engine) as session:
            known |= await sbp.known_qrc_ids(session, list(others))
            return known | await stickers.kept_operations(session, told)

    async def read_open(self, qrc_ids: Sequence[str], over: Container[str]) -> None:
        """Ask about up to 100 open codes and carry out what NSPK says.

        That nobody paid a code yet changes nothing and costs no transaction, unless its time is ``over``.
        Raises: NspkUnknown, and what the database raises.
        """
        answers = [
            answer
            for answer in await self.nspk.statuses(qrc_ids)
            if answer.status is not OperationStatus.NOT_STARTED or answer.qrc_id in over
        ]
        if answers:
            await self._carry_out(answers, {})

    async def _carry_out(self, answers: Sequence[LinkStatus], hints: Mapping[str, Hint]) -> set[str]:
        """All answers in one transaction; when one of them cannot be carried out, each in its own."""
        now = self.clock.now()
        try:
            return await in_transaction(self.engine, lambda session: carry_out(session, answers, hints, now=now))
        except (KopeykaError, IntegrityError):
            if len(answers) == 1:
                raise
            return await self._carry_out_one_by_one(answers, hints)

    async def _carry_out_one_by_one(self, answers: Sequence[LinkStatus], hints: Mapping[str, Hint]) -> set[str]:
        known = set()
        for answer in answers:
            try:
                known |= await self._carry_out([answer], hints)
            except (KopeykaError, IntegrityError) as error:
                code = error.code if isinstance(error, KopeykaError) else violated_constraint(error)
                log.error("sbp_result_not_carried_out", qrc_id=answer.qrc_id, code=code)
        return known


def _answer_all(taken: Sequence[tuple[Hint, asyncio.Future[bool]]], known: set[str]) -> None:
    for hint, answered in taken:
        if not answered.done():
            answered.set_result(hint.qrc_id in known or (hint.said is not None and hint.said.trx_id in known))


def _fail_all(taken: Sequence[tuple[Hint, asyncio.Future[bool]]], error: Exception) -> None:
    for _, answered in taken:
        if not answered.done():
            answered.set_exception(error)


async def carry_out(
    session: Session, answers: Sequence[LinkStatus], hints: Mapping[str, Hint], *, now: datetime
) -> set[str]:
    """Do what NSPK's answers mean: pay orders, end attempts, or nothing yet.

    Gives those of our codes whose answers are final, and of stickers the operations that are kept.
    Locks: the codes, then orders, attempts and accounts, each in the order of their ids.
    """
    by_id = {answer.qrc_id: answer for answer in answers if is_final(answer)}
    codes = await sbp.lock_by_qrc_id(session, list(by_id)) if by_id else []
    paid = [
        accepted_operation(qr, by_id[qr.qrc_id or ""], hints.get(qr.qrc_id or ""))
        for qr in codes
        if is_paid(by_id[qr.qrc_id or ""]) and QrStatus.PAID in ALLOWED[qr.status]
    ]
    others = [(qr, by_id[qr.qrc_id or ""]) for qr in codes if not is_paid(by_id[qr.qrc_id or ""])]
    await reject(session, [qr for qr, answer in others if answer.status is OperationStatus.REJECTED])
    await close_silent(session, [qr for qr, _ in others], now=now)
    await pay(session, paid, now=now)
    await keep_second_payments(
        session, [(qr, by_id[qr.qrc_id or ""]) for qr in codes if qr.status is QrStatus.PAID], hints, now=now
    )
    known = {qr.qrc_id for qr in codes if qr.qrc_id is not None}
    strange = [answer for qrc_id, answer in by_id.items() if qrc_id not in known and is_paid(answer)]
    return known | await keep_by_stickers(session, strange, hints, now=now)


async def keep_second_payments(
    session: Session, codes: Sequence[tuple[QrCode, LinkStatus]], hints: Mapping[str, Hint], *, now: datetime
) -> None:
    """Keep money that came under codes that had been paid already, by another operation, for a person to match."""
    told = {answer.trx_id: (qr, answer) for qr, answer in codes if is_paid(answer) and answer.trx_id is not None}
    booked = await sbp.booked_operations(session, list(told)) if told else set()
    for trx_id, (qr, answer) in told.items():
        if trx_id not in booked:
            await keep_second(session, accepted_operation(qr, answer, hints.get(trx_id)), now=now)


async def keep_by_stickers(
    session: Session, answers: Sequence[LinkStatus], hints: Mapping[str, Hint], *, now: datetime
) -> set[str]:
    """Keep money that came by stickers for a person to match. Gives the operations kept.

    NSPK tells the last operation of a sticker alone: an earlier one that nobody asked about in time is parked.
    """
    kept = set()
    for answer in answers:
        sticker = await stickers.sticker_by_qrc_id(session, answer.qrc_id)
        hint = hints.get(answer.trx_id or "")
        said = hint.said if hint is not None else None
        amount = None if sticker is None else confirmed_amount(sticker, answer, said)
        if sticker is None or amount is None or answer.trx_id is None:
            continue
        said_at = said.happened_at if said is not None else None
        await keep_by_sticker(session, sticker, answer.trx_id, answer.kzo, amount, said_at, now=now)
        kept.add(answer.trx_id)
    return kept


def accepted_operation(qr: QrCode, answer: LinkStatus, hint: Hint | None) -> AcceptedOperation:
    """What NSPK says of a code that was paid. The amount is the code's own: the status call says none."""
    assert answer.trx_id is not None
    said_at, payer_id = (hint.happened_at, hint.payer_id) if hint else (None, None)
    return AcceptedOperation(
        qr.attempt_id, qr.merchant_id, qr.amount, answer.trx_id, answer.kzo, qr.requested_at, said_at, qr_id=qr.id,
        payer_mask=masked(payer_id),
    )  # fmt: skip


def is_final(answer: LinkStatus) -> bool:
    """Whether an answer may change anything: NSPK still processing a payment does not."""
    return is_paid(answer) or answer.status in (OperationStatus.NOT_STARTED, OperationStatus.REJECTED)
