"""The vault's process: ``python -m api.serve_vault``. One process, two listeners, no way into the books.

The service listener takes the api and the worker, by mutual TLS; the public one is the vault's own origin, for buyers'
browsers. It has the vault's database and keys, and no other process has them.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
import uvicorn
import uvloop
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from api import logs
from api.audit_settings import AuditSettings
from api.audit_sinks import sinks_of
from api.data_dir import StartRefused
from api.serve import BACKLOG, GRACE_SECONDS_MAX, KEEP_ALIVE_SECONDS, LISTEN_FD, PUBLIC_LISTEN_FD, listening_socket
from api.simulators_tls import inherited, serve_all
from api.vault_certificates import LinkCertificates
from api.vault_guard import VaultGuard
from api.vault_kek import open_keeper
from api.vault_tls import NamedPeer, server_context
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from pci.audit_log.checkpoint import VAULT_ORIGIN
from pci.audit_log.signing_key import VERIFIERS_FILE
from pci.audit_log.sinks import FileSink, FolderSink
from pci.hardening import protect_memory
from pci.keys.ring import KeyRing
from sbp_gateway.tls import is_loopback
from tokenization.app import public_app, service_app
from tokenization.charges.acquirer_link import link_to
from tokenization.charges.resolving import resolved
from tokenization.settings import VaultSettings
from tokenization.sweeping import SWEEPS, repeat
from tokenization.vault import Vault

RING_CONNECTIONS = 2
"""The ring asks for keys while work holds a connection: from an engine apart it never waits for itself."""

log = structlog.get_logger("vault")


def link_of(settings: VaultSettings) -> LinkCertificates:
    """What the service listener shows and believes. Raises: StartRefused."""
    if settings.ca_file is None or settings.cert_file is None or settings.key_file is None:
        raise StartRefused(
            "The vault answers over mutual TLS only: set KOPEYKA_VAULT_CA_FILE, KOPEYKA_VAULT_CERT_FILE and "
            "KOPEYKA_VAULT_KEY_FILE"
        )
    return LinkCertificates(settings.ca_file, settings.cert_file, settings.key_file)


def refuse_unfit(settings: VaultSettings) -> None:
    """Refuse a vault that would not be one. Raises: StartRefused, saying which setting to change."""
    if not settings.database_url.get_secret_value():
        raise StartRefused("The vault needs its database: set KOPEYKA_VAULT_DATABASE_URL")
    if os.environ.get("KOPEYKA_DATABASE_URL"):
        raise StartRefused("The vault must not reach the books: unset KOPEYKA_DATABASE_URL for it")
    link_of(settings)
    if (settings.public_cert_file is None) is not (settings.public_key_file is None):
        raise StartRefused("KOPEYKA_VAULT_PUBLIC_CERT_FILE and KOPEYKA_VAULT_PUBLIC_KEY_FILE belong together")
    if settings.is_production and not settings.public_url.startswith("https://"):
        raise StartRefused("Cards are entered over TLS only: set KOPEYKA_VAULT_PUBLIC_URL to https://…")
    if settings.public_cert_file is None and not is_loopback(settings.host):
        raise StartRefused(
            "The vault's origin is plain HTTP on this machine only: set KOPEYKA_VAULT_PUBLIC_CERT_FILE and "
            "KOPEYKA_VAULT_PUBLIC_KEY_FILE, or KOPEYKA_VAULT_HOST=127.0.0.1"
        )


def refuse_unwatched(audit: AuditSettings) -> None:
    """Refuse a vault in production that could not notice that its log was rolled back. Raises: StartRefused."""
    if audit.folder is None or not (audit.folder / VERIFIERS_FILE).is_file():
        raise StartRefused(
            "Start the sealer first and set KOPEYKA_AUDIT_FOLDER: its kopeyka.vkeys is what the vault checks with"
        )
    if not any(isinstance(sink, FileSink | FolderSink) for sink in sinks_of(audit, VAULT_ORIGIN)):
        raise StartRefused("KOPEYKA_AUDIT_SINKS must name a file or a folder that the vault can read")


@asynccontextmanager
async def opened(settings: VaultSettings) -> AsyncIterator[Vault]:
    """The vault of this process, its sweepers running. Nothing here needs the database to be there yet."""
    keeper = await open_keeper(settings, lambda said: log.warning("key", said=said), apart_from=settings.folders_apart)
    if settings.is_production:
        refuse_unwatched(AuditSettings())
    url = settings.database_url.get_secret_value()
    engine, ring_engine = create_engine(url, size=settings.pool_size), create_engine(url, size=RING_CONNECTIONS)
    env = "live" if settings.is_production else "test"
    ring = KeyRing(functools.partial(transaction, ring_engine), keeper, env=env, origin=f"vault:{os.getpid()}")
    line = link_to(settings.acquirer_url, machine_now)
    guard = VaultGuard(AuditSettings(), engine, ring)
    try:
        await guard.look()
    except (DBAPIError, OSError) as error:  # the database may not be there yet; the guard looks again
        log.error("audit_look_failed", error=type(error).__name__)
    vault = Vault(guard.transactions, machine_now, ring, settings, line, guard)
    stop = asyncio.Event()
    sweepers = [asyncio.create_task(repeat(sweep, vault, stop)) for sweep in SWEEPS]
    sweepers.append(asyncio.create_task(guard.watch(stop)))
    try:
        async with resolved(vault):
            yield vault
    finally:
        stop.set()
        await asyncio.gather(*sweepers)
        await engine.dispose()
        await ring_engine.dispose()


def service_config(vault: Vault) -> uvicorn.Config:
    """The listener for the api and the worker."""
    context = server_context(link_of(vault.settings))
    return _config(service_app(vault), http=NamedPeer, ssl_context_factory=lambda _config, _default: context)


def public_config(vault: Vault) -> uvicorn.Config:
    """The listener for browsers."""
    own = vault.settings
    return _config(
        public_app(vault), http="httptools", ssl_certfile=own.public_cert_file, ssl_keyfile=own.public_key_file
    )


def _config(app: ASGIApp, **options: object) -> uvicorn.Config:
    return uvicorn.Config(
        app, loop="uvloop", ws="none", lifespan="off", access_log=False, log_config=None, server_header=False,
        backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=GRACE_SECONDS_MAX,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


async def serve(settings: VaultSettings) -> None:
    """Serve both listeners until SIGTERM. Raises: StartRefused."""
    refuse_unfit(settings)
    sockets = _listen(settings.port, LISTEN_FD, settings), _listen(settings.public_port, PUBLIC_LISTEN_FD, settings)
    if not settings.public_url:
        scheme = "http" if settings.public_cert_file is None else "https"
        port = sockets[1][0].getsockname()[1]
        settings = settings.model_copy(update={"public_url": f"{scheme}://{settings.host}:{port}"})
    async with opened(settings) as vault:
        configs = service_config(vault), public_config(vault)
        await serve_all([(uvicorn.Server(config), own) for config, own in zip(configs, sockets, strict=True)])


def _listen(port: int, variable: str, settings: VaultSettings) -> list[socket.socket]:
    return inherited(variable) or [listening_socket(settings.host, port)]


def main() -> None:
    """Run the vault, its memory closed to others; a refusal to start is one line."""
    settings = VaultSettings()
    logs.set_up(settings.log_level)
    protect_memory()
    try:
        with suppress(KeyboardInterrupt):
            uvloop.run(serve(settings))
    except StartRefused as refused:
        raise SystemExit(str(refused)) from None


if __name__ == "__main__":
    main()
