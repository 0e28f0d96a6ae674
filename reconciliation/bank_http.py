"""The bank over HTTP. Nothing is repeated here: a lost answer is the caller's to resolve.

Source: no public interface is followed; the shape is our own and the bank's simulator keeps to it.
"""

from __future__ import annotations

from typing import Any

import httpx

from reconciliation.bank import BankAnswer, BankStatus
from reconciliation.errors import BankUnknown
from reconciliation.payouts import Payout

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
CONNECTIONS_MAX = 8


def bank_client(base_url: str) -> httpx.AsyncClient:
    """A client for the bank with our limits on waiting."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        headers={"Accept": "application/json"},
        trust_env=False,
    )


class BankHttp:
    """The port over an HTTP client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def pay(self, payout: Payout) -> BankAnswer:
        """Ask for a payout. Raises: BankUnknown."""
        response = await self._call(
            "POST",
            "/bank/v1/payouts",
            {
                "id": payout.id,
                "amount_kopecks": int(payout.amount),
                "bik": payout.bik,
                "account_number": payout.account_number,
            },
        )
        if response.status_code == 422:
            return BankAnswer(BankStatus.REJECTED, str(_body(response).get("reason", "refused")))
        return _answer(response)

    async def find(self, payout_id: str) -> BankAnswer | None:
        """What became of a payout. Raises: BankUnknown."""
        response = await self._call("GET", f"/bank/v1/payouts/{payout_id}", None)
        return None if response.status_code == 404 else _answer(response)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            return await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise BankUnknown(reason=type(error).__name__) from None


def _answer(response: httpx.Response) -> BankAnswer:
    if response.status_code not in (200, 201):
        raise BankUnknown(reason=f"answer {response.status_code}")
    body = _body(response)
    try:
        return BankAnswer(BankStatus(body["status"]), body.get("reason"))
    except (KeyError, ValueError):
        raise BankUnknown(reason="not understood") from None


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        raise BankUnknown(reason="not JSON") from None
    if not isinstance(body, dict):
        raise BankUnknown(reason="not an object")
    return body
