"""The vault's two applications: what our own processes ask, and what buyers' browsers and people see.

``service_app``: JSON over mutual TLS, for the api and the worker. ``public_app``: the vault's own origin.
Each area has a module in ``routes`` and one line here.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from tokenization.address_buckets import AddressBuckets
from tokenization.outermost import PUBLIC_HEADERS, SERVICE_HEADERS, VaultDoor
from tokenization.routes import (
    card_entry,
    card_exports,
    card_files,
    card_form,
    cards,
    charges,
    device_tokens,
    health,
    keys,
    page_checks,
    people,
    reveals,
    rollbacks,
)
from tokenization.vault import Vault


def service_routes(vault: Vault) -> list[BaseRoute]:
    """What the api and the worker may ask, area by area."""
    return [
        *health.routes(vault),
        *card_entry.routes(vault),
        *cards.routes(vault),
        *page_checks.routes(vault),
        *charges.routes(vault),
        *device_tokens.routes(vault),
        *keys.routes(vault),
        *card_files.routes(vault),
        *people.service_routes(vault),
    ]


def public_routes(vault: Vault) -> list[BaseRoute]:
    """What is open to browsers, area by area."""
    return [
        *health.public_routes(vault),
        *card_form.routes(vault),
        *people.routes(vault),
        *reveals.routes(vault),
        *card_exports.routes(vault),
        *rollbacks.routes(vault),
    ]


def service_app(vault: Vault) -> ASGIApp:
    """The application behind mutual TLS: whoever has no role in its certificate gets nothing."""

    async def tell_of_stranger(request_id: str) -> None:
        event = AuditEvent(
            "peer.refused", "peer:unknown", request_id, "listener:service", vault.now(), AuditOutcome.REFUSED
        )
        async with vault.transactions() as session:
            await stage(session, [event])

    return VaultDoor(
        _router(service_routes(vault)), SERVICE_HEADERS, needs_peer=True, refuse_writes=vault.refuse_writes,
        tell_of_stranger=tell_of_stranger,
    )  # fmt: skip


def public_app(vault: Vault) -> ASGIApp:
    """The application of the vault's origin."""
    return VaultDoor(
        _router(public_routes(vault)), PUBLIC_HEADERS, needs_peer=False, refuse_writes=vault.refuse_writes,
        buckets=AddressBuckets(),
    )  # fmt: skip


def _router(routes: Sequence[BaseRoute]) -> Router:
    return Router(routes, redirect_slashes=False)
