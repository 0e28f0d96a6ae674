"""The vault's applications called without a socket: as the api would behind mutual TLS, or as a browser would."""

from __future__ import annotations

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from tokenization.app import public_app, service_app
from tokenization.vault import Vault
from tokenization.wire import PEER


def service_client(vault: Vault, role: str = "api", *, acting_for: str = "key_test") -> httpx.AsyncClient:
    """A caller whose certificate names this role. Ports and handshakes are tested with real processes elsewhere."""
    app = service_app(vault)

    async def as_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, PEER: role}, receive, send)

    return _client(as_peer, {"acting-for": acting_for})


def public_client(vault: Vault) -> httpx.AsyncClient:
    """A browser on the vault's own origin."""
    return _client(public_app(vault), {"origin": "https://vault.test"})


def _client(app: ASGIApp, headers: dict[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="https://vault.test", headers=headers)
