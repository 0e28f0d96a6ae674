"""The port filled by a bank's public API: T-Kassa v2 registers SBP links for shops of T-Bank.

Its words are not NSPK's: a payment has a status where NSPK's link has operations, statuses are asked for one by one,
sums are whole numbers of kopecks. All of that ends here. DECISIONS.md, 10.
Source: T-Kassa API v2: ``Init``, ``GetQr``, ``GetState``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sbp_gateway import payload
from sbp_gateway.errors import InvalidPayload, NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.money_units import MoneyUnit, write
from sbp_gateway.nspk import PROCESSED, STATUS_BATCH_MAX, LinkStatus, OperationStatus, RegisteredLink, Registration
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.tkassa_links import link_id, payment_id_of
from sbp_gateway.tkassa_token import TkassaTerminal, is_signed, token_of

CALLS_AT_ONCE = 8
"""Statuses are asked for one payment at a time, so many at once."""
DESCRIPTION_CHARACTERS_MAX = 140
NO_ANSWER = "unknown"
"""The code of a link whose own status call was lost, while others were answered."""
_TECHNICAL = frozenset({"9999"})
"""Codes of an inner error of T-Kassa's: it may or may not have done what it was asked."""

STATUSES: Mapping[str, OperationStatus] = {
    "NEW": OperationStatus.NOT_STARTED,
    "FORM_SHOWED": OperationStatus.NOT_STARTED,
    "DEADLINE_EXPIRED": OperationStatus.NOT_STARTED,  # the code ends by its own time and grace, as at NSPK
    "AUTHORIZING": OperationStatus.RECEIVED,
    "AUTHORIZED": OperationStatus.RECEIVED,  # SBP holds no money: only CONFIRMED says that it moved
    "CONFIRMING": OperationStatus.RECEIVED,
    "CONFIRMED": OperationStatus.ACCEPTED,
    "REFUNDING": OperationStatus.ACCEPTED,  # what is given back had come
    "ASYNC_REFUNDING": OperationStatus.ACCEPTED,
    "PARTIAL_REFUNDED": OperationStatus.ACCEPTED,
    "REFUNDED": OperationStatus.ACCEPTED,
    "CANCELED": OperationStatus.REJECTED,
    "ATTEMPTS_EXPIRED": OperationStatus.REJECTED,
    "REJECTED": OperationStatus.REJECTED,
    "AUTH_FAIL": OperationStatus.REJECTED,
}
"""T-Kassa's words in the port's. A word that is not here yet is not final."""


def status_of(word: object) -> OperationStatus:
    """The port's word for T-Kassa's; for one we do not know: still in processing."""
    return STATUSES.get(str(word), OperationStatus.RECEIVED)


def read_answer(status: int, answer: Any) -> Any:
    """T-Kassa's answer when it says success. Raises: NspkRefused; NspkUnknown."""
    code = str(answer["ErrorCode"])
    if status >= 500 or code in _TECHNICAL:
        raise NspkUnknown(reason=code)
    if status != 200 or answer["Success"] is not True or code != "0":
        raise NspkRefused(nspk_code=code, nspk_message=str(answer.get("Message", "")))
    return answer


class TkassaHttp:
    """The port over T-Kassa's API."""

    def __init__(
        self,
        transport: NspkTransport,
        terminal: TkassaTerminal,
        notification_url: str = "",
        read_link: Callable[[str], payload.Link] = payload.parse,
    ) -> None:
        self.transport = transport
        self._terminal = terminal
        self._notification_url = notification_url
        self._read_link = read_link

    async def close(self) -> None:
        """Hang up."""
        await self.transport.close()

    async def register(self, registration: Registration) -> RegisteredLink:
        """Begin a payment and take its QR. Raises: NspkRefused; NspkUnknown; NspkUnavailable.

        A payment whose QR was lost is never shown to anybody, so nobody can pay it.
        """
        begun = await self.ask("Init", self._init(registration), is_safe=False)
        try:
            payment_id = str(begun["PaymentId"])
            link = RegisteredLink(link_id(payment_id), await self._payload(payment_id))
            parsed = self._read_link(link.payload)
        except (InvalidPayload, NspkUnavailable, KeyError, TypeError, ValueError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None
        if parsed.amount not in (None, registration.amount) or begun.get("OrderId") != registration.reference:
            raise NspkUnknown(reason="the link is not the one asked for")
        return link

    def _init(self, registration: Registration) -> dict[str, Any]:
        assert registration.reference
        assert registration.expires_at is not None
        wanted = {
            "Amount": write(registration.amount, MoneyUnit.KOPECKS_NUMBER),
            "OrderId": registration.reference,
            "Description": registration.purpose[:DESCRIPTION_CHARACTERS_MAX],
            "PayType": "O",
            "RedirectDueDate": registration.expires_at.isoformat(timespec="seconds"),
            "NotificationURL": self._notification_url,
        }
        return {name: value for name, value in wanted.items() if value}

    async def _payload(self, payment_id: str) -> str:
        shown = await self.ask("GetQr", {"PaymentId": payment_id, "DataType": "PAYLOAD"}, is_safe=True)
        return str(shown["Data"])

    async def statuses(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        """What became of payments, a few asked about at once. Raises: NspkUnknown if none was answered."""
        assert 1 <= len(qrc_ids) <= STATUS_BATCH_MAX
        places = asyncio.Semaphore(CALLS_AT_ONCE)

        async def ask_one(qrc_id: str) -> LinkStatus:
            async with places:
                return await self._status(qrc_id)

        answers = await asyncio.gather(*map(ask_one, qrc_ids))
        if all(answer.code == NO_ANSWER for answer in answers):
            raise NspkUnknown(reason=NO_ANSWER)
        return answers

    async def _status(self, qrc_id: str) -> LinkStatus:
        try:
            said = await self.ask("GetState", {"PaymentId": payment_id_of(qrc_id)}, is_safe=True)
        except NspkRefused as refused:
            return LinkStatus(qrc_id, str(refused.facts["nspk_code"]), None, None, None)
        except (NspkUnknown, NspkUnavailable):
            return LinkStatus(qrc_id, NO_ANSWER, None, None, None)
        status = status_of(said.get("Status"))
        if status is not OperationStatus.ACCEPTED:
            return LinkStatus(qrc_id, PROCESSED, status, None, None)
        return LinkStatus(qrc_id, PROCESSED, status, qrc_id, payment_id_of(qrc_id))

    def has_signed(self, notification: Mapping[str, Any]) -> bool:
        """Whether a notification is T-Kassa's, about our terminal."""
        is_ours = notification.get("TerminalKey") == self._terminal.key
        return is_ours and is_signed(notification, self._terminal.password)

    async def ask(self, name: str, fields: Mapping[str, Any], *, is_safe: bool) -> Any:
        """Call one method of T-Kassa's, signed. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""
        signed = {**fields, "TerminalKey": self._terminal.key}
        signed["Token"] = token_of(signed, self._terminal.password)
        return await self.transport.call("POST", f"/v2/{name}", signed, is_safe=is_safe)
