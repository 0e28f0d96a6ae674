"""The bank over HTTP. Nothing is repeated here: a lost answer is the caller's to resolve.

Source: no public interface is followed; the shape is our own and the bank's simulator keeps to it.
"""

from __future__ import annotations

from typing import Any

import aiohttp

from ledger.database import is_in_transaction
from reconciliation.bank import BankAnswer, BankStatus
from reconciliation.errors import BankUnknown
from reconciliation.payouts import Payout

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
CONNECTIONS_MAX = 8


class BankHttp:
    """The port over HTTP, with our limits on waiting. Connects when it is first asked."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
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
                headers={"Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    async def pay(self, payout: Payout) -> BankAnswer:
        """Ask for a payout. Raises: BankUnknown."""
        status, body = await self._call(
            "POST",
            "/bank/v1/payouts",
            {
                "id": payout.id,
                "amount_kopecks": int(payout.amount),
                "bik": payout.bik,
                "account_number": payout.account_number,
            },
        )
        if status == 422:
            return BankAnswer(BankStatus.REJECTED, str(body.get("reason", "refused")))
        return _answer(status, body)

    async def find(self, payout_id: str) -> BankAnswer | None:
        """What became of a payout. Raises: BankUnknown."""
        status, body = await self._call("GET", f"/bank/v1/payouts/{payout_id}", None)
        return None if status == 404 else _answer(status, body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        assert not is_in_transaction(), "the bank is called while a transaction is open"
        try:
            async with self._connected().request(method, path, json=body, allow_redirects=False) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BankUnknown(reason=type(error).__name__) from None
        if not isinstance(answer, dict):
            raise BankUnknown(reason="not an object")
        return response.status, answer


def _answer(status: int, body: dict[str, Any]) -> BankAnswer:
    if status not in (200, 201):
        raise BankUnknown(reason=f"answer {status}")
    try:
        return BankAnswer(BankStatus(body["status"]), body.get("reason"))
    except (KeyError, ValueError):
        raise BankUnknown(reason="not understood") from None
