"""T-Kassa's API v2 for SBP, as routes of the simulator: sessions, their QR, refunds, signed both ways.

Source: T-Kassa API v2: ``Init``, ``GetQr``, ``GetState``, ``Cancel``, ``GetQrState``, ``SbpPayTest``, and its codes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ledger.money import Kopecks
from pci.secret import Secret
from sbp_gateway.errors import MoneyUnreadable
from sbp_gateway.money_units import MoneyUnit, from_json, read
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.simulator.faults import CutConnection, Faults
from sbp_gateway.simulator.links import PayRefused, Remember
from sbp_gateway.simulator.payers import BuyerPhones, BuyerWish
from sbp_gateway.tkassa_token import TkassaTerminal, is_signed, token_of

TERMINAL = TkassaTerminal("KopeykaDEMO", Secret("kopeyka-sandbox"))
"""The sandbox's shop; nothing of value is behind its password."""
MEMBER_ID = "100000000004"
AMOUNT_KOPECKS_MIN, AMOUNT_KOPECKS_MAX = 1_000, 100_000_000
"""What SBP takes at T-Bank: 10 to 1,000,000 roubles."""
REFUSED_REFUND, SLOW_REFUND, REFUSED_LATER = 99, 97, 96
"""The kopecks of a refund that the payer's bank refuses, of one that takes two questions, and of one that the payer's
bank refuses after two questions: then the payment stands as it stood before."""
QUESTIONS_OF_SLOW = 2
FIRST_PAYMENT_ID = 7_000_000_001
WRONG_TOKEN, NOT_POSSIBLE, NO_PAYMENT, INVALID = "204", "4", "7", "9"
OUT_OF_RANGE, PAYERS_BANK_REFUSED = "3016", "3028"
OPEN = frozenset({"NEW", "FORM_SHOWED"})
PAID = frozenset({"CONFIRMED", "PARTIAL_REFUNDED"})
WORDS = {
    OperationStatus.RECEIVED: "AUTHORIZING",
    OperationStatus.ACCEPTED: "CONFIRMED",
    OperationStatus.REJECTED: "REJECTED",
}
"""T-Kassa's words for NSPK's."""
TTL_MINUTES_USUAL = 1_440
_ORDER = re.compile(r"[0-9A-Za-z_.:-]{1,36}")


class TkassaRefused(Exception):
    """T-Kassa says no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class TkassaSession:
    """One payment of T-Kassa's. Its money is the link's, which NSPK keeps."""

    id: str
    order_id: str
    amount: int
    ends_at: str | None
    notified_at_path: str
    status: str = "NEW"
    """As far as the link does not say more."""
    qrc_id: str | None = None
    refunded: int = 0
    last_refund: int = 0
    questions_left: int = 0
    """Before a slow refund is done."""
    cancel_code: str = "0"
    """Why the last refund was refused after it was taken."""


@dataclass(slots=True)
class TkassaSimulator:
    """T-Kassa and what was begun there."""

    remember: Remember
    faults: Faults
    phones: BuyerPhones
    by_id: dict[str, TkassaSession] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """T-Kassa's paths. Its links are paid as all others are: by buyers' phones."""
        methods = {
            "Init": self.begin, "GetQr": self.show, "GetState": self.state, "Cancel": self.cancel,
            "GetQrState": self.refund_state, "SbpPayTest": self.pay_test,
        }  # fmt: skip
        return [Route(f"/v2/{name}", self._signed(work), methods=["POST"]) for name, work in methods.items()]

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
        ends_at = body.get("RedirectDueDate")
        is_local = ends_at is not None and datetime.fromisoformat(ends_at).tzinfo is None
        if amount < 1 or is_local or not _ORDER.fullmatch(order_id):
            raise TkassaRefused(INVALID, "Неверные параметры: Amount, OrderId или RedirectDueDate.")
        path = urlsplit(str(body.get("NotificationURL", ""))).path
        session = TkassaSession(str(FIRST_PAYMENT_ID + len(self.by_id)), order_id, amount, ends_at, path)
        self._keep(session)
        return self._told(session) | {"PaymentURL": f"https://pay.tkassa.test/{session.id}"}

    def show(self, body: dict[str, Any]) -> dict[str, Any]:
        """``GetQr``: the SBP link of a session, registered with NSPK at the first call."""
        session = self._session(body)
        if not AMOUNT_KOPECKS_MIN <= session.amount <= AMOUNT_KOPECKS_MAX:
            raise TkassaRefused(OUT_OF_RANGE, "Сумма операции по СБП вне допустимых пределов.")
        if self._status(session) not in OPEN:
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.")
        if session.qrc_id is None:
            now = self.phones.clock.now()
            link = self.phones.links.register(MEMBER_ID, session.amount, _minutes(session, now), now)
            session.status, session.qrc_id = "FORM_SHOWED", link.qrc_id
            self._keep(session)
        link = self.phones.links.by_id[session.qrc_id]
        return {"PaymentId": session.id, "OrderId": session.order_id, "Data": link.payload}

    def state(self, body: dict[str, Any]) -> dict[str, Any]:
        """``GetState``."""
        return self._told(self._session(body))

    def cancel(self, body: dict[str, Any]) -> dict[str, Any]:
        """``Cancel``: before the payment it ends the session, afterwards it gives money back."""
        session = self._session(body)
        status, before = self._status(session), session.amount - session.refunded
        amount = int(_sum(body["Amount"])) if body.get("Amount") is not None else before
        if status in OPEN:
            session.status, session.ends_at, amount = "CANCELED", self.phones.clock.now().isoformat(), before
        elif status not in PAID or not 0 < amount <= before:
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
        return self._told(session) | {"Amount": session.last_refund, "QrCancelCode": session.cancel_code}

    def pay_test(self, body: dict[str, Any]) -> dict[str, Any]:
        """``SbpPayTest``: the payer pays, or as the flags say."""
        session = self._session(body)
        if session.qrc_id is None:
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.")
        if body.get("IsDeadlineExpired"):
            session.ends_at = self.phones.clock.now().isoformat()
            self._keep(session)
            return {}
        try:
            self.phones.confirm(session.qrc_id, BuyerWish.REFUSE if body.get("IsRejected") else BuyerWish.PAY)
        except PayRefused:
            raise TkassaRefused(NOT_POSSIBLE, "Изменение статуса невозможно.") from None
        return {}

    def _status(self, session: TkassaSession) -> str:
        """T-Kassa's word for where the payment stands, by the link while the session itself knows no better."""
        if session.status != "FORM_SHOWED":
            return session.status
        assert session.qrc_id is not None
        link = self.phones.links.by_id[session.qrc_id]
        if link.status is not OperationStatus.NOT_STARTED:
            return WORDS[link.status]
        if link.late_at is not None:
            return "AUTHORIZING"
        return "DEADLINE_EXPIRED" if self.phones.clock.now() >= link.expires_at else session.status

    def _tell(self, session: TkassaSession) -> tuple[str, dict[str, Any]]:
        """Where and how the shop is told of a payment."""
        said = self._told(session) | {"TerminalKey": TERMINAL.key, "Success": True, "ErrorCode": "0"}
        said["PaymentId"] = int(session.id)  # a number here and text in answers, as at T-Kassa
        return session.notified_at_path, said | {"Token": token_of(said, TERMINAL.password)}

    def _refund(self, session: TkassaSession, amount: int) -> None:
        session.last_refund, session.cancel_code = amount, "0"
        session.refunded += amount
        if amount % 100 in (SLOW_REFUND, REFUSED_LATER):
            session.status, session.questions_left = "ASYNC_REFUNDING", QUESTIONS_OF_SLOW
        else:
            session.status = _refunded(session)

    def _session(self, body: Mapping[str, Any]) -> TkassaSession:
        session = self.by_id.get(str(body["PaymentId"]))
        if session is None:
            raise TkassaRefused(NO_PAYMENT, "Платёж не найден.")
        self.phones.accept_late()
        if session.status == "ASYNC_REFUNDING":
            session.questions_left -= 1
            if session.questions_left <= 0:
                self._end_slow(session)
            self._keep(session)
        return session

    def _end_slow(self, session: TkassaSession) -> None:
        if session.last_refund % 100 == REFUSED_LATER:
            session.refunded -= session.last_refund
            session.cancel_code = PAYERS_BANK_REFUSED
        session.status = _refunded(session)

    def _told(self, session: TkassaSession) -> dict[str, Any]:
        return {
            "PaymentId": session.id, "OrderId": session.order_id, "Amount": session.amount,
            "Status": self._status(session),
        }  # fmt: skip

    def _keep(self, session: TkassaSession) -> None:
        self._take(session)
        self.remember({"tkassa": asdict(session)})

    def _take(self, session: TkassaSession) -> None:
        self.by_id[session.id] = session
        if session.qrc_id is None:
            return
        self.phones.tell[session.qrc_id] = lambda _link: self._tell(session)
        link = self.phones.links.by_id[session.qrc_id]
        if session.ends_at is not None:
            link.expires_at = min(link.expires_at, datetime.fromisoformat(session.ends_at))

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "tkassa" in line:
            self._take(TkassaSession(**line["tkassa"]))


def _refunded(session: TkassaSession) -> str:
    if session.refunded == 0:
        return "CONFIRMED"
    return "REFUNDED" if session.refunded == session.amount else "PARTIAL_REFUNDED"


def _minutes(session: TkassaSession, now: datetime) -> int:
    """How long the link may be paid: the whole minutes that reach the session's end, which cuts the last one."""
    if session.ends_at is None:
        return TTL_MINUTES_USUAL
    return max(1, -((now - datetime.fromisoformat(session.ends_at)) // timedelta(minutes=1)))


def _sum(value: object) -> Kopecks:
    """Kopecks as T-Kassa writes them. Raises: MoneyUnreadable."""
    return read(value, MoneyUnit.KOPECKS_NUMBER)
