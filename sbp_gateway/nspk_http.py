"""NSPK's agent API over HTTP: its fields and ours. How it is called is ``nspk_transport``'s.

Source: NSPK agent API: ``POST /payment/v1/qrc-data``, ``PUT /payment/v2/qrc-status``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from sbp_gateway import payload
from sbp_gateway.errors import InvalidPayload, NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import (
    STATUS_BATCH_MAX,
    LinkStatus,
    OperationStatus,
    RegisteredLink,
    Registration,
)
from sbp_gateway.nspk_transport import NspkTransport

log = structlog.get_logger("nspk_http")

TEMPLATE_VERSION = "01"
CALLS_AT_ONCE = 8
"""Links asked about alone, after NSPK refused them together."""
STATUS_CHARACTERS_MAX = 8
"""As much of a word we do not know as is written down."""
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
        """What became of the links; those of which NSPK says nothing that can be read are left out.

        When NSPK refuses several at once, each is asked about alone, once: one bad id does not stop the others.
        Raises: NspkUnknown if nothing is known of any of them; NspkUnavailable.
        """
        assert 1 <= len(qrc_ids) <= STATUS_BATCH_MAX
        try:
            found = await self._ask(qrc_ids)
        except NspkRefused as refused:
            if len(qrc_ids) == 1:
                raise NspkUnknown(reason=str(refused.facts.get("nspk_code", refused))) from None
            found = await self._ask_each(qrc_ids)
        if not found:
            raise NspkUnknown(reason="no status that can be read")
        return found

    async def _ask(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        data = await self.transport.call("PUT", "/payment/v2/qrc-status", {"qrcIds": list(qrc_ids)}, is_safe=True)
        if not isinstance(data, list):
            raise NspkUnknown(reason="no list of statuses")
        return [status for item in data if (status := _link_status(item)) is not None]

    async def _ask_each(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        places = asyncio.Semaphore(CALLS_AT_ONCE)

        async def ask(qrc_id: str) -> list[LinkStatus]:
            async with places:
                try:
                    return await self._ask([qrc_id])
                except (NspkRefused, NspkUnknown, NspkUnavailable) as error:
                    log.warning("nspk_status_not_said", qrc_id=qrc_id, code=error.code)
                    return []

        answers = await asyncio.gather(*map(ask, qrc_ids))
        return [status for found in answers for status in found]


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


def _link_status(item: Any) -> LinkStatus | None:
    """One answer; nothing if it cannot be read. A word we do not know is not final: the money may yet move."""
    said = item if isinstance(item, dict) else {}
    qrc_id, code = said.get("qrcId"), said.get("code")
    optional = {name: said.get(name) for name in ("status", "trxId", "kzo")}
    are_texts = all(text is None or isinstance(text, str) for text in optional.values())
    if not (isinstance(qrc_id, str) and isinstance(code, str) and are_texts):
        log.error("nspk_status_unreadable", qrc_id=qrc_id if isinstance(qrc_id, str) else None)
        return None
    word = optional["status"]
    if word is not None and word not in _STATUSES:
        log.warning("nspk_status_unknown", qrc_id=qrc_id, status=word[:STATUS_CHARACTERS_MAX])
    return LinkStatus(qrc_id, code, _STATUSES.get(word, OperationStatus.RECEIVED), optional["trxId"], optional["kzo"])
