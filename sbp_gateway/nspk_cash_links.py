"""Cash links and stickers at NSPK: what we ask, and how it is said over HTTP.

Source: NSPK agent API: ``POST /payment/v1/qrc-id-reservation``, ``/payment/v1/cash-register-qrc`` and below,
``POST /payment/v1/qrc-data`` with ``qrcType`` 01. No field for an activation's time is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from ledger.money import Kopecks
from sbp_gateway import payload
from sbp_gateway.cash_links import PARAMS_ID, LinkState, SaleState
from sbp_gateway.errors import InvalidPayload, NspkUnknown
from sbp_gateway.nspk import OperationStatus, RegisteredLink
from sbp_gateway.nspk_http import TEMPLATE_VERSION
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.phones import masked

Read = TypeVar("Read")
PATH = "/payment/v1/cash-register-qrc"


@dataclass(frozen=True, slots=True)
class CashLinkRegistration:
    """A cash link to be registered under an id that NSPK reserved."""

    nspk_merchant_id: str
    member_id: str
    bank_account: str
    qrc_id: str


@dataclass(frozen=True, slots=True)
class StickerRegistration:
    """A static link to be registered: of a fixed sum, or of one that the buyer types."""

    nspk_merchant_id: str
    member_id: str
    bank_account: str
    amount: Kopecks | None
    purpose: str


@dataclass(frozen=True, slots=True)
class Armed:
    """What NSPK says of a cash link as a whole."""

    link_state: LinkState
    params_id: str | None


class NspkCashLinks(Protocol):
    """NSPK's calls for links used many times. No session may be open while they are made."""

    async def reserve(self, quantity: int) -> list[str]:
        """Set ids aside. Raises: NspkRefused; NspkUnknown, and then the ids are nobody's."""

    async def register(self, registration: CashLinkRegistration) -> RegisteredLink:
        """Register a cash link. Raises: NspkRefused; NspkUnknown."""

    async def register_sticker(self, registration: StickerRegistration) -> RegisteredLink:
        """Register a static link. Raises: NspkRefused; NspkUnknown."""

    async def payload_of(self, qrc_id: str) -> RegisteredLink:
        """A registered link once more. Raises: NspkRefused if there is none; NspkUnknown."""

    async def activate(self, qrc_id: str, amount: Kopecks, purpose: str) -> str:
        """Arm a link with a sum, and give the activation's id. Raises: NspkRefused; NspkUnknown."""

    async def deactivate(self, qrc_id: str) -> None:
        """Disarm a link. Raises: NspkRefused, as while a buyer pays or nothing is armed; NspkUnknown."""

    async def link_state(self, qrc_id: str) -> Armed:
        """Whether a link is armed, and with what. Raises: NspkRefused; NspkUnknown."""

    async def sale_state(self, qrc_id: str, params_id: str) -> SaleState:
        """What became of one activation. Raises: NspkRefused if it knows none such; NspkUnknown."""

    async def move(self, qrc_id: str, bank_account: str) -> None:
        """Let a link's payments arrive at another account. Raises: NspkRefused; NspkUnknown."""


class NspkCashLinksHttp:
    """The same over HTTP."""

    def __init__(
        self, transport: NspkTransport, agent_id: str, read_link: Callable[[str], payload.Link] = payload.parse
    ) -> None:
        self._transport = transport
        self._agent_id = agent_id
        self._read_link = read_link

    async def reserve(self, quantity: int) -> list[str]:
        """Set ids aside."""
        data = await self._transport.call(
            "POST", "/payment/v1/qrc-id-reservation", is_safe=False, params={"quantity": str(quantity)}
        )
        return read_answer(lambda: [_qrc_id(found) for found in data["qrcIds"]])

    async def register(self, registration: CashLinkRegistration) -> RegisteredLink:
        """Register a cash link."""
        body = {
            "agentId": self._agent_id, "memberId": registration.member_id, "account": registration.bank_account,
            "merchantId": registration.nspk_merchant_id, "qrcId": registration.qrc_id,
        }  # fmt: skip
        data = await self._transport.call("POST", PATH, body, is_safe=False)
        return self._link_of(data, registration.qrc_id)

    async def register_sticker(self, registration: StickerRegistration) -> RegisteredLink:
        """Register a static link."""
        body = {
            "agentId": self._agent_id, "memberId": registration.member_id, "account": registration.bank_account,
            "merchantId": registration.nspk_merchant_id, "templateVersion": TEMPLATE_VERSION,
            "qrcType": payload.LinkKind.STATIC.value, "paymentPurpose": registration.purpose,
        }  # fmt: skip
        if registration.amount is not None:
            body |= {"amount": str(int(registration.amount)), "currency": "RUB"}
        return self._link_of(await self._transport.call("POST", "/payment/v1/qrc-data", body, is_safe=False))

    async def payload_of(self, qrc_id: str) -> RegisteredLink:
        """A registered link once more."""
        path = f"/payment/v1/qrc-data/{qrc_id}/payload"
        return self._link_of(await self._transport.call("GET", path, is_safe=True), qrc_id)

    async def activate(self, qrc_id: str, amount: Kopecks, purpose: str) -> str:
        """Arm a link with a sum."""
        body = {"amount": str(int(amount)), "currency": "RUB", "paymentPurpose": purpose}
        data = await self._transport.call("POST", f"{PATH}/{qrc_id}/params", body, is_safe=False)
        return read_answer(lambda: _armed_with(data, qrc_id, amount))

    async def deactivate(self, qrc_id: str) -> None:
        """Disarm a link."""
        await self._transport.call("DELETE", f"{PATH}/{qrc_id}/params", is_safe=False)

    async def link_state(self, qrc_id: str) -> Armed:
        """Whether a link is armed, and with what."""
        data = await self._transport.call("GET", f"{PATH}/{qrc_id}", is_safe=True)
        return read_answer(lambda: _armed(data))

    async def sale_state(self, qrc_id: str, params_id: str) -> SaleState:
        """What became of one activation."""
        data = await self._transport.call("GET", f"{PATH}/{qrc_id}/{params_id}", is_safe=True)
        return read_answer(lambda: _sale_state(data))

    async def move(self, qrc_id: str, bank_account: str) -> None:
        """Let a link's payments arrive at another account."""
        data = await self._transport.call("PUT", f"{PATH}/{qrc_id}", {"account": bank_account}, is_safe=True)
        if read_answer(lambda: str(data["account"])) != bank_account:
            raise NspkUnknown(reason="the account is not the one asked for")

    def _link_of(self, data: Any, qrc_id: str | None = None) -> RegisteredLink:
        link = read_answer(lambda: RegisteredLink(_qrc_id(data["qrcId"]), str(data["payload"])))
        parsed = read_answer(lambda: self._read_link(link.payload))
        if parsed.qrc_id != link.qrc_id or qrc_id not in (None, link.qrc_id):
            raise NspkUnknown(reason="the link is not the one asked for")
        return link


def read_answer(read: Callable[[], Read]) -> Read:
    """What an answer says. Raises: NspkUnknown for one that we cannot read."""
    try:
        return read()
    except (InvalidPayload, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NspkUnknown(reason=type(error).__name__) from None


def _qrc_id(found: Any) -> str:
    if payload.parse(f"https://qr.nspk.ru/{found}").qrc_id != found:
        raise ValueError(found)
    return str(found)


def _armed_with(data: Any, qrc_id: str, amount: Kopecks) -> str:
    if data["qrcId"] != qrc_id or int(data["amount"]) != amount:
        raise ValueError("the activation is not the one asked for")
    return _params_id(data["paramsId"])


def _params_id(found: Any) -> str:
    if PARAMS_ID.fullmatch(found) is None:
        raise ValueError("not the name of an activation")
    return str(found)


def _armed(data: Any) -> Armed:
    params_id = data.get("paramsId")
    return Armed(LinkState(data["status"]), None if params_id is None else _params_id(params_id))


def _sale_state(data: Any) -> SaleState:
    said_at = data.get("timestamp")
    return SaleState(
        link_state=LinkState(data["cashRegisterQrcStatus"]),
        status=OperationStatus(data["trxStatus"]),
        trx_id=data.get("trxId"),
        amount=Kopecks(int(data["amount"])),
        said_at=None if said_at is None else datetime.fromisoformat(said_at),
        kzo=data.get("kzo"),
        payer_mask=masked(data.get("payerId")),
    )
