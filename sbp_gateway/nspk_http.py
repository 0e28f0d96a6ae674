"""NSPK's agent API over HTTP. Nothing is repeated here: a lost answer is the caller's to resolve.

Source: NSPK agent API: ``POST /payment/v1/qrc-data``, ``PUT /payment/v2/qrc-status``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp

from sbp_gateway import payload
from sbp_gateway.errors import InvalidPayload, NspkRefused, NspkUnknown
from sbp_gateway.nspk import (
    PROCESSED,
    STATUS_BATCH_MAX,
    LinkStatus,
    OperationStatus,
    RegisteredLink,
    Registration,
)

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
CONNECTIONS_MAX = 32
TEMPLATE_VERSION = "01"
_TECHNICAL = "RQ07"
"""How codes of technical errors begin: the request may or may not have been carried out."""
_ACCEPTED_TECHNICALLY = "ACTC"
"""A word of banks' own channels for what the agent API calls RCVD."""


class NspkHttp:
    """The port over HTTP, with our limits on waiting. Connects when it is first asked."""

    def __init__(self, base_url: str, agent_id: str) -> None:
        self._base_url = base_url
        self._agent_id = agent_id
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                base_url=self._base_url,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_SECONDS, total=READ_TIMEOUT_SECONDS),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                headers={"Accept": "application/json", "Accept-Charset": "UTF-8"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    async def register(self, registration: Registration) -> RegisteredLink:
        """Register a dynamic link. Raises: NspkRefused; NspkUnknown also for a link that is not what we asked for."""
        data = await self._call(
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
        )
        return _registered(data, registration)

    async def statuses(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        """What became of the links. Raises: NspkUnknown."""
        assert 1 <= len(qrc_ids) <= STATUS_BATCH_MAX
        try:
            data = await self._call("PUT", "/payment/v2/qrc-status", {"qrcIds": list(qrc_ids)})
            return [_link_status(item) for item in data]
        except (NspkRefused, KeyError, TypeError, ValueError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """The ``data`` of NSPK's envelope."""
        try:
            async with self._connected().request(method, path, json=body, allow_redirects=False) as response:
                envelope = await response.json(content_type=None)
                code, message = str(envelope["code"]), str(envelope.get("message", ""))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None
        if response.status >= 500 or code.startswith(_TECHNICAL):
            raise NspkUnknown(reason=code)
        if response.status != 200 or code != PROCESSED:
            raise NspkRefused(nspk_code=code, nspk_message=message)
        return envelope.get("data")


def _registered(data: Any, registration: Registration) -> RegisteredLink:
    try:
        link = RegisteredLink(str(data["qrcId"]), str(data["payload"]))
        parsed = payload.parse(link.payload)
    except (InvalidPayload, KeyError, TypeError) as error:
        raise NspkUnknown(reason=type(error).__name__) from None
    if parsed.qrc_id != link.qrc_id or parsed.amount not in (None, registration.amount):
        raise NspkUnknown(reason="the link is not the one asked for")
    return link


def _link_status(item: dict[str, Any]) -> LinkStatus:
    status = item.get("status")
    if status == _ACCEPTED_TECHNICALLY:
        status = OperationStatus.RECEIVED
    return LinkStatus(
        qrc_id=str(item["qrcId"]),
        code=str(item["code"]),
        status=None if status is None else OperationStatus(status),
        trx_id=item.get("trxId"),
        kzo=item.get("kzo"),
    )
