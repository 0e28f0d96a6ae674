"""T-Kassa's API v2 for SBP, as routes of the simulator: sessions, their QR, refunds, signed both ways.

Source: T-Kassa API v2: ``Init``, ``GetQr``, ``GetState``, ``Cancel``, ``GetQrState``, ``SbpPayTest``, and its codes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ledger.money import Kopecks
from pci.secret import Secret
from sbp_gateway import payload
from sbp_gateway.errors import MoneyUnreadable
from sbp_gateway.money_units import MoneyUnit, from_json, read
from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.faults import CutConnection, Faults
from sbp_gateway.simulator.links import Remember, letters
from sbp_gateway.simulator.notifications import Notifier
from sbp_gateway.tkassa_links import is_tkassa_link, payment_id_of
from sbp_gateway.tkassa_token import TkassaTerminal, is_signed, token_of

TERMINAL = TkassaTerminal("KopeykaDEMO", Secret("kopeyka-sandbox"))
"""The sandbox's shop; nothing of value is behind its password."""
MEMBER_ID = "100000000004"
AMOUNT_KOPECKS_MIN, AMOUNT_KOPECKS_MAX = 1_000, 100_000_000
"""What SBP takes at T-Bank: 10 to 1,000,000 roubles."""
REFUSED_REFUND, SLOW_REFUND = 99, 97
"""The kopecks of a refund that the payer's bank refuses, and of one that takes two questions."""
QUESTIONS_OF_SLOW = 2
FIRST_PAYMENT_ID = 7_000_000_001
WRONG_TOKEN, NOT_POSSIBLE, NO_PAYMENT, INVALID = "204", "4", "7", "9"
OUT_OF_RANGE, PAYERS_BANK_REFUSED = "3016", "3028"
OPEN = frozenset({"NEW", "FORM_SHOWED"})
PAID = frozenset({"CONFIRMED", "PARTIAL_REFUNDED"})
_ORDER = re.compile(r"[0-9A-Za-z_.:-]{1,36}")


class TkassaRefused(Exception):
    """T-Kassa says no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class TkassaSession:
    """One payment of T-Kassa's."""

    id: str
    order_id: str
    amount: int
    ends_at: str | None
    notified_at_path: str | None
    status: str = "NEW"
    qrc_id: str | None = None
    refunded: int = 0
    last_refund: int = 0
    questions_left: int = 0
    """Before a slow refund is done."""

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed unpaid."""
        return self.status in OPEN and self.ends_at is not None and now >= datetime.fromisoformat(self.ends_at)


@dataclass(slots=True)
class TkassaSimulator:
    """T-Kassa and what was begun there."""

    remember: Remember
    faults: Faults
    notifier: Notifier
    clock: SimulatorClock
    seed: str = ""
    by_id: dict[str, TkassaSession] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """T-Kassa's paths, and the one by which a test plays the payer."""
        methods = {
            "Init": self.begin, "GetQr": self.show, "GetState": self.state, "Cancel": self.cancel,
            "GetQrState": self.refund_state, "SbpPayTest": self.pay_test,
        }  # fmt: skip
        own = [Route(f"/v2/{name}", self._signed(work), methods=["POST"]) for name, work in methods.items()]
        return [*own, Route("/simulator/tkassa/pay", self.pay, methods=["POST"])]

    def _signed(self, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Awaitable[Any]]:
        async def endpoint(request: Request) -> Any:
            if self.faults.happens("lost_request"):
                return CutConnection()
            answer = self._answer(await request.body(), work)
            return CutConnection() if self.faults.happens("lost_answer") else JSONResponse(answer)

        return endpoint

    def _answer(self, text: bytes, work: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        try:
            body = from_json(text)
            if not isinstance(body, dict) or body.get("TerminalKey") != TERMINAL.key:
                raise TkassaRefused(WRONG_TOKEN, "Неверный токен. Проверьте пару TerminalKey/SecretKey.")
            if not is_signed(body, TERMINAL.password):
                raise TkassaRefused(WRONG_TOKEN, "Неверный токен. Проверьте пару TerminalKey/SecretKey.")
            return {"Success": True, "ErrorCode": "0", "Message": "OK", "TerminalKey": TERMINAL.key, **work(body)}
        except TkassaRefused as refused:
            return {"Success": False, "ErrorCode": refused.code, "Message": str(refused), "Details": str(refused)}
        except (MoneyUnreadable, KeyError, TypeError, ValueError) as error:
            return {"Success": False, "ErrorCode": INVALID, "Message": f"Неверные параметры: {type(error).__name__}"}

    def begin(self, body: dict[str, Any]) -> dict[str, Any]:
        """``Init``: a session for an order."""
        amount, order_id = int(_sum(body["Amount"])), str(body["OrderId"])
        if amount < 1 or not _ORDER.fullmatch(order_id):
            raise TkassaRefused(INVALID, "Неверные параметры. Поле Amount или OrderId.")
        ends_at = body.get("RedirectDueDate")
        if ends_at is not None and datetime.fromisoformat(ends_at).tzinfo is None:
            raise TkassaRefused(INVALID, "Неверные параметры. Поле RedirectDueDate.")
        path = urlsplit(str(body["NotificationURL"])).path if body.get("NotificationURL") else None
        session = TkassaSession(str(FIRST_PAYMENT_ID + len(self.by_id)), order_id, amount, ends_at, path)
        self._keep(session)
        return self._told(session) | {"PaymentURL": f"https://pay.tkassa.test/{session.id}"}

    def show(self, body: dict[str, Any]) -> dict[str, Any]:
        """``GetQr``: the SBP link of a session."""
        session = self._session(body)
        if not AMOUNT_KOPECKS_MIN <= session.amount <= AMOUNT_KOPECKS_MAX:
            raise TkassaRefused(OUT_OF_RANGE, "Сумма операции по СБП вне допустимых пределов.")
        if session.status not in OPEN:
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.")
        session.status, session.qrc_id = "FORM_SHOWED", f"AD10{letters(f'{self.seed}/tkassa/{session.id}', 28)}"
        self._keep(session)
        shown = payload.build_dynamic(session.qrc_id, MEMBER_ID, Kopecks(session.amount))
        return {"PaymentId": session.id, "OrderId": session.order_id, "Data": shown}

    def state(self, body: dict[str, Any]) -> dict[str, Any]:
        """``GetState``."""
        return self._told(self._session(body))

    def cancel(self, body: dict[str, Any]) -> dict[str, Any]:
        """``Cancel``: before the payment it ends the session, afterwards it gives money back."""
        session = self._session(body)
        before = session.amount - session.refunded
        amount = int(_sum(body["Amount"])) if body.get("Amount") is not None else before
        if session.status in OPEN:
            session.status, amount = "CANCELED", before
        elif session.status not in PAID or not 0 < amount <= before:
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.")
        elif amount % 100 == REFUSED_REFUND:
            raise TkassaRefused(PAYERS_BANK_REFUSED, "Банк плательщика отклонил возврат.")
        else:
            self._refund(session, amount)
        self._keep(session)
        return self._told(session) | {"OriginalAmount": before, "NewAmount": before - amount}

    def refund_state(self, body: dict[str, Any]) -> dict[str, Any]:
        """``GetQrState``: how far the last refund is."""
        session = self._session(body)
        if not session.last_refund:
            raise TkassaRefused(NO_PAYMENT, "Возвраты не найдены.")
        return self._told(session) | {"Amount": session.last_refund}

    def pay_test(self, body: dict[str, Any]) -> dict[str, Any]:
        """``SbpPayTest``: the payer pays, or as the flags say."""
        session = self._session(body)
        status = "CONFIRMED"
        if body.get("IsDeadlineExpired"):
            status = "DEADLINE_EXPIRED"
        elif body.get("IsRejected"):
            status = "REJECTED"
        self._pay(session, status)
        return {}

    async def pay(self, request: Request) -> JSONResponse:
        """The payer scans the code. ``qrc_id``: what the QR says, or the id that Kopeyka gave the link."""
        body = await request.json()
        session = self._by_link(str(body.get("qrc_id")))
        if session is None:
            return JSONResponse({"code": "unknown_link"}, status_code=404)
        try:
            self._pay(session, "REJECTED" if body.get("outcome") == "rejected" else "CONFIRMED")
        except TkassaRefused:
            return JSONResponse({"code": "already_paid"}, status_code=409)
        return JSONResponse({"payment_id": session.id, "status": session.status})

    def _by_link(self, qrc_id: str) -> TkassaSession | None:
        if is_tkassa_link(qrc_id):
            return self.by_id.get(payment_id_of(qrc_id))
        return next((found for found in self.by_id.values() if found.qrc_id == qrc_id), None)

    def _pay(self, session: TkassaSession, status: str) -> None:
        if session.status not in OPEN or session.qrc_id is None or session.is_over(self.clock.now()):
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.")
        session.status = status
        self._keep(session)
        if session.notified_at_path is not None:
            self.notifier.notify(self._notification(session), path=session.notified_at_path)

    def _notification(self, session: TkassaSession) -> dict[str, Any]:
        said = self._told(session) | {"TerminalKey": TERMINAL.key, "Success": True, "ErrorCode": "0"}
        said["PaymentId"] = int(session.id)  # a number here and text in answers, as at T-Kassa
        return said | {"Token": token_of(said, TERMINAL.password)}

    def _refund(self, session: TkassaSession, amount: int) -> None:
        session.last_refund = amount
        session.refunded += amount
        if amount % 100 == SLOW_REFUND:
            session.status, session.questions_left = "ASYNC_REFUNDING", QUESTIONS_OF_SLOW
        else:
            self._finish_refund(session)

    def _finish_refund(self, session: TkassaSession) -> None:
        session.status = "REFUNDED" if session.refunded == session.amount else "PARTIAL_REFUNDED"

    def _session(self, body: Mapping[str, Any]) -> TkassaSession:
        session = self.by_id.get(str(body["PaymentId"]))
        if session is None:
            raise TkassaRefused(NO_PAYMENT, "Платёж не найден.")
        if session.is_over(self.clock.now()):
            session.status = "DEADLINE_EXPIRED"
            self._keep(session)
        if session.status == "ASYNC_REFUNDING":
            session.questions_left -= 1
            if session.questions_left <= 0:
                self._finish_refund(session)
            self._keep(session)
        return session

    def _told(self, session: TkassaSession) -> dict[str, Any]:
        return {
            "PaymentId": session.id, "OrderId": session.order_id, "Amount": session.amount, "Status": session.status,
        }  # fmt: skip

    def _keep(self, session: TkassaSession) -> None:
        self.by_id[session.id] = session
        self.remember({"tkassa": asdict(session)})

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "tkassa" in line:
            self.by_id[line["tkassa"]["id"]] = TkassaSession(**line["tkassa"])


def _sum(value: object) -> Kopecks:
    """Kopecks as T-Kassa writes them. Raises: MoneyUnreadable."""
    return read(value, MoneyUnit.KOPECKS_NUMBER)
