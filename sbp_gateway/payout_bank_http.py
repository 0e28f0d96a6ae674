"""A bank's payouts through SBP over HTTP. Nothing is repeated here: a lost answer is the caller's to resolve.

Source: Raiffeisenbank, payout API (ecom-API, ``payout.yaml``): ``POST /payout/v1/payouts`` with ``payoutMethod`` SBP,
the sum as a JSON number of roubles; ``GET /payout/v1/payouts/{id}``.
"""

from __future__ import annotations

from typing import Any

import aiohttp

from ledger.database import is_in_transaction
from pci.secret import Secret
from sbp_gateway.buyer_payouts import AT_ONCE, BuyerPayout
from sbp_gateway.errors import PayoutBankUnknown
from sbp_gateway.money_units import MoneyUnit, from_json, to_json, write
from sbp_gateway.payout_bank import PayoutAnswer, PayoutWord

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
CONNECTIONS_MAX = 8
REASON_CHARACTERS_MAX = 200
PATH = "/payout/v1/payouts"
ID_KNOWN = "ERROR.PAYOUT_ALREADY_EXISTS"
"""The bank has a payout under this id. What became of it must be asked."""


class PayoutBankHttp:
    """The port over HTTP, with our limits on waiting. Connects when it is first asked."""

    limits = AT_ONCE

    def __init__(self, base_url: str, key: Secret | None = None) -> None:
        self._base_url = base_url
        self._key = key
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            own = {"Authorization": f"Bearer {self._key.expose()}"} if self._key is not None else {}
            self._client = aiohttp.ClientSession(
                base_url=self._base_url,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_SECONDS, total=READ_TIMEOUT_SECONDS),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                headers={"Accept": "application/json", "Content-Type": "application/json", **own},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    async def pay(self, payout: BuyerPayout) -> PayoutAnswer:
        """Ask for a payout. Raises: PayoutBankUnknown, also when the bank has one under this id already."""
        assert payout.phone is not None
        status, body = await self._call(
            "POST",
            PATH,
            {
                "id": payout.id,
                "amount": write(payout.amount, MoneyUnit.ROUBLES_NUMBER),
                "currency": "RUB",
                "payoutMethod": "SBP",
                "payoutParams": {"phone": payout.phone, "bankAlias": payout.bank_member_id},
                "paymentDetails": payout.purpose,
            },
        )
        if body.get("code") == ID_KNOWN:
            raise PayoutBankUnknown(reason="the id is known")
        if status in (400, 422):
            return PayoutAnswer(PayoutWord.DECLINED, _reason(body))
        return _answer(status, body)

    async def find(self, payout_id: str) -> PayoutAnswer | None:
        """What became of a payout. Raises: PayoutBankUnknown."""
        status, body = await self._call("GET", f"{PATH}/{payout_id}", None)
        return None if status == 404 else _answer(status, body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        assert not is_in_transaction(), "the payout bank is called while a transaction is open"
        sent = None if body is None else to_json(body).encode()
        try:
            async with self._connected().request(method, path, data=sent, allow_redirects=False) as response:
                answer = from_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PayoutBankUnknown(reason=type(error).__name__) from None
        if not isinstance(answer, dict):
            raise PayoutBankUnknown(reason="not an object")
        return response.status, answer


def _answer(status: int, body: dict[str, Any]) -> PayoutAnswer:
    if status not in (200, 201):
        raise PayoutBankUnknown(reason=f"answer {status}")
    try:
        word = PayoutWord(str(body["status"]["value"]).lower())
    except (KeyError, TypeError, ValueError):
        raise PayoutBankUnknown(reason="not understood") from None
    return PayoutAnswer(word, _reason(body) if word is PayoutWord.DECLINED else None)


def _reason(body: dict[str, Any]) -> str:
    """The bank's code, never its sentence: that may hold the phone number."""
    return str(body.get("code") or "declined")[:REASON_CHARACTERS_MAX]
