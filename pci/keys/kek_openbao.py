"""The KEK in OpenBao's Transit engine (or HashiCorp Vault's): it stays there and wraps over HTTPS.

Moving a key to a new version is decrypt and encrypt: Transit's own ``rewrap`` takes no associated data and would refuse
everything of ours. The version is kept beside each wrapped key, so that old ones can be told from new ones and retired.
Source: OpenBao API, secret/transit; DECISIONS.md of this package.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from pci.keys.errors import KekRefused, ProviderUnavailable, SealBroken
from pci.keys.kek import READY, KekDescription, SealState, WrappedKey
from pci.secret import Secret

TIMEOUT_SECONDS = 3
TRIES_MAX = 3
"""When it says that we ask too often."""
WAIT_SECONDS_MAX = 2
ANSWER_BYTES_MAX = 64 * 1024
NEAR = frozenset({"localhost", "127.0.0.1", "::1"})
GOOD = frozenset({200, 204})


@dataclass(frozen=True, slots=True)
class TransitKekTerms:
    """Where the engine is, what we are known by there, and which key."""

    url: str
    """``https://bao.example:8200``; plain HTTP only to this machine."""
    token: Secret
    key: str = "kopeyka-kek"
    mount: str = "transit"
    ca_file: str = ""
    """Who vouches for the server; the system's own list when empty."""
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class KekAnswer:
    """What the engine said."""

    status: int
    data: Mapping[str, Any]
    errors: str
    retry_after: int


@dataclass(slots=True)
class TransitKek:
    """A key of a Transit engine."""

    terms: TransitKekTerms
    http: aiohttp.ClientSession | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        where = urlsplit(self.terms.url)
        if where.scheme != "https" and not (where.scheme == "http" and where.hostname in NEAR):
            raise KekRefused("the KEK's keeper must be reached over HTTPS", url=where.hostname or "")

    @property
    def name(self) -> str:
        return "openbao"

    @property
    def seal_state(self) -> SealState:
        return READY

    async def wrap(self, key: bytes, aad: bytes) -> WrappedKey:
        body = {"plaintext": encoded(key), "associated_data": encoded(aad)}
        data = (await self._ask("POST", f"encrypt/{self._key}", body)).data
        ciphertext = str(data["ciphertext"])
        return WrappedKey(ciphertext.encode(), version_of(ciphertext))

    async def unwrap(self, blob: bytes, aad: bytes, version: str) -> bytes:
        ciphertext = blob.decode("ascii", "replace")
        if version_of(ciphertext) != version:
            raise SealBroken
        body = {"ciphertext": ciphertext, "associated_data": encoded(aad)}
        answer = await self._ask("POST", f"decrypt/{self._key}", body, refusals={400})
        if answer.status == 400:  # changed, moved, or its version is retired
            raise SealBroken
        try:
            return base64.b64decode(answer.data["plaintext"], validate=True)
        except (KeyError, binascii.Error):
            raise ProviderUnavailable("the KEK's keeper answers what nobody asked") from None

    async def rotate(self) -> str:
        await self._ask("POST", f"keys/{self._key}/rotate", {})
        return (await self.describe()).version

    async def describe(self) -> KekDescription:
        data = (await self._ask("GET", f"keys/{self._key}", None)).data
        refuse_exportable(data)
        versions = sorted(int(version) for version in data["keys"])
        usable = [str(version) for version in versions if version >= int(data["min_decryption_version"])]
        return KekDescription(
            self.name, "aes-256-gcm", "service, not exportable", str(data["latest_version"]), tuple(usable),
            is_for_production=True,
        )  # fmt: skip

    async def create(self) -> None:
        """Make the key when it is not there, once, by somebody who may.

        Raises: ProviderUnavailable.
        """
        await self._ask("POST", f"keys/{self._key}", {"type": "aes256-gcm96", "exportable": False})

    async def forget(self, version: str) -> None:
        """Let the engine open nothing older than the version after this one.

        Raises: KekRefused if it is the one that wraps; ProviderUnavailable.
        """
        if int(version) >= int((await self.describe()).version):
            raise KekRefused("the KEK that wraps cannot be destroyed")
        await self._ask("POST", f"keys/{self._key}/config", {"min_decryption_version": int(version) + 1})

    async def close(self) -> None:
        """Close the connections."""
        http, self.http = self.http, None
        if http is not None:
            await http.close()

    @property
    def _key(self) -> str:
        return quote(self.terms.key, safe="")

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, refusals: set[int] | None = None
    ) -> KekAnswer:
        for wait in range(TRIES_MAX):
            answer = await self._ask_once(method, path, body)
            if answer.status in GOOD or answer.status in (refusals or ()):
                return answer
            if answer.status != 429:
                break
            await asyncio.sleep(min(max(answer.retry_after, wait), WAIT_SECONDS_MAX))
        raise ProviderUnavailable("the KEK's keeper refuses", status=answer.status, errors=answer.errors)

    async def _ask_once(self, method: str, path: str, body: Mapping[str, Any] | None) -> KekAnswer:
        url = f"{self.terms.url.rstrip('/')}/v1/{self.terms.mount}/{path}"
        headers = {"X-Vault-Token": self.terms.token.expose(), "X-Vault-Request": "true"}
        try:
            async with self._client().request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as response:
                return await read_answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"the KEK's keeper does not answer: {type(error).__name__}") from None

    def _client(self) -> aiohttp.ClientSession:
        if self.http is None:
            context = ssl.create_default_context(cafile=self.terms.ca_file or None)
            self.http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.terms.timeout_seconds),
                connector=aiohttp.TCPConnector(ssl=context, limit=8),
            )
        return self.http


async def read_answer(response: aiohttp.ClientResponse) -> KekAnswer:
    """Read an answer that is short and JSON, or say that it is not.

    Raises: ProviderUnavailable.
    """
    content = b""
    async for chunk in response.content.iter_chunked(8_192):
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise ProviderUnavailable("the KEK's keeper answers at too great a length", status=response.status)
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        raise ProviderUnavailable("the KEK's keeper answers no JSON", status=response.status) from None
    after = response.headers.get("Retry-After", "")
    errors = "; ".join(map(str, found.get("errors") or ()))[:200]
    return KekAnswer(response.status, found.get("data") or {}, errors, int(after) if after.isdigit() else 0)


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def version_of(ciphertext: str) -> str:
    """The KEK's version in ``vault:v3:…``.

    Raises: SealBroken if it is not a ciphertext of the engine.
    """
    parts = ciphertext.split(":", 2)
    if len(parts) != 3 or parts[0] != "vault" or not parts[1].startswith("v") or not parts[1][1:].isdigit():
        raise SealBroken
    return parts[1][1:]


def refuse_exportable(data: Mapping[str, Any]) -> None:
    """Raises: KekRefused if the key could be read out of the engine, or is of another kind."""
    if data.get("exportable") or data.get("allow_plaintext_backup") or data.get("type") != "aes256-gcm96":
        raise KekRefused("the KEK can be exported, or is not AES-256-GCM", type=str(data.get("type")))
