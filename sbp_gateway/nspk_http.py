"""NSPK's agent API over HTTP: its fields and ours. How it is called is ``nspk_transport``'s.

Source: NSPK agent API: ``POST /payment/v1/qrc-data``, ``PUT /payment/v2/qrc-status``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sbp_gateway import payload
from sbp_gateway.errors import InvalidPayload, NspkRefused, NspkUnknown
from sbp_gateway.nspk import (
    STATUS_BATCH_MAX,
    LinkStatus,
    OperationStatus,
    RegisteredLink,
    Registration,
)
from sbp_gateway.nspk_transport import NspkTransport

TEMPLATE_VERSION = "01"
_STATUSES: dict[str | None, OperationStatus | None] = {
    None: None,
    **{status.value: status for status in OperationStatus},
    "ACTC": OperationStatus.RECEIVED,
}
"""``ACTC`` is a word of banks' own channels for what the agent API calls RCVD."""


class NspkHttp:
    """The port over HTTP."""

    def __init__(
        self, transport: NspkTransport, agent_id: str, read_link: Callable[[str], payload.Link] = payload.parse
    ) -> None:
        self.transport = transport
        self._agent_id = agent_id
        self._read_link = read_link
        """Strict with real money; a sandbox also takes links of banks' own sandboxes."""

    async def close(self) -> None:
        """Hang up."""
        await self.transport.close()

    async def register(self, registration: Registration) -> RegisteredLink:
        """Register a dynamic link. Raises: NspkRefused; NspkUnknown also for a link that is not what we asked for."""
        data = await self.transport.call(
            "POST",
            "/payment/v1/qrc-data",
            {
                "agentId": self._agent_id,
                "memberId": registration.member_id,
                "account": registration.bank_account,
                "merchantId": registration.nspk_merchant_id,
                "templateVersion": TEMPLATE_VERSION,
                "qrcType": payload.LinkKind.DYNAMIC.value,
                "amount": str(int(registration.amount)),
                "currency": "RUB",
                "qrTtl": str(registration.ttl_minutes),
                "paymentPurpose": registration.purpose,
            },
            is_safe=False,
        )
        return _registered(data, registration, self._read_link)

    async def statuses(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        """What became of the links. Raises: NspkUnknown."""
        assert 1 <= len(qrc_ids) <= STATUS_BATCH_MAX
        try:
            data = await self.transport.call("PUT", "/payment/v2/qrc-status", {"qrcIds": list(qrc_ids)}, is_safe=True)
            return [_link_status(item) for item in data]
        except (NspkRefused, KeyError, TypeError, ValueError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None


def _registered(data: Any, registration: Registration, read_link: Callable[[str], payload.Link]) -> RegisteredLink:
    try:
        link = RegisteredLink(str(data["qrcId"]), str(data["payload"]))
        parsed = read_link(link.payload)
    except (InvalidPayload, KeyError, TypeError) as error:
        raise NspkUnknown(reason=type(error).__name__) from None
    is_dynamic = parsed.kind in (None, payload.LinkKind.DYNAMIC)
    if parsed.qrc_id != link.qrc_id or not is_dynamic or parsed.amount not in (None, registration.amount):
        raise NspkUnknown(reason="the link is not the one asked for")
    return link


def _link_status(item: dict[str, Any]) -> LinkStatus:
    return LinkStatus(
        str(item["qrcId"]), str(item["code"]), _STATUSES[item.get("status")], item.get("trxId"), item.get("kzo")
    )
