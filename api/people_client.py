"""How the command line speaks for a person to the vault's own origin: as their browser would, and keeping nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from api.errors import VaultRefused, VaultUnavailable
from pci.secret import Secret
from tokenization.sign_in_cookie import COOKIE

CALL_SECONDS_MAX = 30
"""A password is hashed on purpose slowly, and others may stand before it."""
ANSWER_BYTES_MAX = 1_000_000


@dataclass(slots=True)
class PeopleClient:
    """One person's way to the vault, for one command."""

    origin: str
    _cookie: Secret | None = field(default=None, init=False, repr=False)

    async def sign_in(self, login: str, password: Secret, code: Secret) -> dict[str, Any]:
        """Sign in with both factors. Raises: VaultRefused, VaultUnavailable."""
        body = {"login": login, "password": password.expose(), "code": code.expose()}
        found: dict[str, Any] = await self.call("POST", "/sign-ins", body)
        return found

    async def sign_out(self) -> None:
        """End this sign-in. Raises: VaultRefused, VaultUnavailable."""
        await self.call("DELETE", "/sign-ins/current")
        self._cookie = None

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the vault answers, as JSON; nothing for nothing.

        Raises: VaultRefused with the vault's code, VaultUnavailable.
        """
        headers = {"origin": self.origin}
        if self._cookie is not None:
            headers["cookie"] = f"{COOKIE}={self._cookie.expose()}"
        try:
            timeout = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
                http.request(method, f"{self.origin}/vault/v1{path}", json=body, headers=headers) as answer,
            ):
                raw, status = await answer.content.read(ANSWER_BYTES_MAX), answer.status
                said = json.loads(raw) if raw else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise VaultUnavailable() from None
        if COOKIE in answer.cookies:
            self._cookie = Secret(answer.cookies[COOKIE].value)
        if status == 503:
            raise VaultUnavailable(str(said.get("code", "")))
        if status >= 400:
            raise VaultRefused(str(said.get("code", "")), str(said.get("detail", "")), said.get("facts"))
        return said
