"""How NSPK's agent API is called: one envelope for every answer, limits on waiting, words for every failure.

Source: NSPK agent API, envelope ``{code, message, data}``; success is ``RQ00000``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk import PROCESSED

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
CONNECTIONS_MAX = 32
_TECHNICAL = "RQ07"
"""How codes of technical errors begin: the request may or may not have been carried out."""


class NspkTransport:
    """The way to NSPK. Connects when it is first used."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        is_safe: bool,  # noqa: ARG002  # repeating comes next
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """The ``data`` of NSPK's envelope. ``is_safe``: asking twice changes nothing, so it may be asked again.

        Raises: NspkRefused; NspkUnknown when the answer was lost or says nothing.
        """
        try:
            async with self._connected().request(
                method, path, json=body, params=params, allow_redirects=False
            ) as response:
                envelope = await response.json(content_type=None)
                code, message = str(envelope["code"]), str(envelope.get("message", ""))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None
        if response.status >= 500 or code.startswith(_TECHNICAL):
            raise NspkUnknown(reason=code)
        if response.status != 200 or code != PROCESSED:
            raise NspkRefused(nspk_code=code, nspk_message=message)
        return envelope.get("data")

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
