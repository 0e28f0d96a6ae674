"""How the api and the worker ask the vault: JSON over mutual TLS, a limit on waiting, problems as errors of ours.

Everything the vault refuses comes out as ``VaultRefused`` with the vault's own code, everything that may be repeated as
``VaultUnavailable``: it is sealed, away, slow, or said nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from api.errors import VaultNotNamed, VaultRefused, VaultUnavailable, VaultUnknown
from api.settings import Settings
from api.vault_certificates import LinkCertificates
from api.vault_tls import client_context
from ledger.database import is_in_transaction

GOODBYE_SECONDS = 0.05
"""TLS says goodbye after a close; a loop that ends before leaves the socket open."""
CONNECT_SECONDS_MAX = 1.0
CALL_SECONDS_MAX = 10.0
"""Longer than an acquirer's answer takes, shorter than a till waits."""
CONNECTIONS_MAX = 32
ANSWER_BYTES_MAX = 1_000_000
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The vault cannot have done what it was never asked."""


@dataclass(slots=True)
class VaultClient:
    """The way to the vault. Connects when it is first used."""

    url: str
    link: LinkCertificates | None
    seconds_max: float = CALL_SECONDS_MAX
    _http: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        acting_for: str = "",
        request_id: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """What the vault answers, as JSON. ``acting_for``: the API key or person whose wish this is.

        Raises: VaultRefused with the vault's code; VaultUnavailable when nothing was done; VaultUnknown when the answer
        was lost and something may have been; VaultNotNamed.
        """
        assert not is_in_transaction(), "the vault is called while a transaction is open"
        headers = {"acting-for": acting_for, "request-id": request_id, "idempotency-key": idempotency_key or ""}
        try:
            async with self._open().request(
                method, self.url + path, json=body, params=query,
                headers={name: value for name, value in headers.items() if value},
            ) as answer:  # fmt: skip
                said = await _read(answer)
        except _NOT_SENT:
            raise VaultUnavailable() from None
        except (TimeoutError, aiohttp.ClientError, ValueError):
            raise (VaultUnavailable if method == "GET" else VaultUnknown)() from None
        if answer.status < 400:
            return said
        raise _refusal(answer.status, said if isinstance(said, dict) else {})

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.close()
            await asyncio.sleep(GOODBYE_SECONDS)

    def _open(self) -> aiohttp.ClientSession:
        if not self.url or self.link is None:
            raise VaultNotNamed()
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=client_context(self.link), limit=CONNECTIONS_MAX),
                timeout=aiohttp.ClientTimeout(total=self.seconds_max, sock_connect=CONNECT_SECONDS_MAX),
                auto_decompress=False,
            )
        return self._http


def vault_client(settings: Settings) -> VaultClient:
    """The way to the vault that the settings name; calls are refused when they name none."""
    ca, certificate, key = settings.vault_ca_file, settings.vault_cert_file, settings.vault_key_file
    link = LinkCertificates(ca, certificate, key) if ca and certificate and key else None
    return VaultClient(settings.vault_url.rstrip("/"), link)


async def _read(answer: aiohttp.ClientResponse) -> Any:
    raw = await answer.content.read(ANSWER_BYTES_MAX)
    if not answer.content.at_eof():
        raise ValueError("too long an answer")
    return json.loads(raw) if raw else None


def _refusal(status: int, problem: Mapping[str, Any]) -> VaultRefused | VaultUnavailable | VaultUnknown:
    code = str(problem.get("code", ""))
    if status == 503:
        return VaultUnavailable(code)
    if status >= 500 or not code:
        return VaultUnknown()
    return VaultRefused(code, str(problem.get("detail", "")), problem.get("facts"), problem.get("errors"))
