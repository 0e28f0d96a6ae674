"""The sinks of each log, as the settings name them, and the two kinds that need more than a file system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from api.audit_settings import AuditSettings
from api.data_dir import StartRefused
from ledger.clock import Clock
from ledger.database import Engine, is_in_transaction, transaction
from pci.audit_log.event import AuditEvent
from pci.audit_log.rollback import LogGuard
from pci.audit_log.signing_key import find_verifier
from pci.audit_log.sinks import CheckpointSink, Exported, FileSink, FolderSink
from pci.audit_log.staging import stage

WEBHOOK_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """An address that takes checkpoints by POST: an auditor's mailbox, a store with a lock, a witness."""

    url: str
    token: str

    @property
    def name(self) -> str:
        """Without what an address may carry after its path."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()

    async def write(self, exported: Exported) -> None:
        """Post one checkpoint. Raises: OSError if it was not taken."""
        assert not is_in_transaction(), "never talk to the world inside a transaction"
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_SECONDS_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.post(self.url, data=exported.line(), headers=headers, allow_redirects=False) as answer,
            ):
                if not 200 <= answer.status < 300:
                    raise OSError(f"{self.name} answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"{self.name}: {type(error).__name__}") from error

    async def latest(self) -> str | None:
        """It cannot be asked."""
        return None


@dataclass(frozen=True, slots=True)
class LogSink:
    """The other database's log: each checkpoint becomes a leaf there, so both would have to be rewritten."""

    engine: Engine
    clock: Clock
    origin: str

    @property
    def name(self) -> str:
        """Which log it is."""
        return f"log:{self.origin}"

    async def write(self, exported: Exported) -> None:
        """Stage an event that holds the checkpoint's size and root."""
        checkpoint = exported.checkpoint
        event = AuditEvent(
            action="audit_log.checkpoint_anchored",
            actor="system:sealer",
            origin="sealer",
            subject=f"log:{checkpoint.origin}",
            happened_at=self.clock.now(),
            facts={"size": checkpoint.size, "root": checkpoint.root.hex()},
        )
        async with transaction(self.engine) as session:
            await stage(session, [event])

    async def latest(self) -> str | None:
        """The leaves of the other log are checked by the other log's guard."""
        return None


def sinks_of(settings: AuditSettings, origin: str) -> list[CheckpointSink]:
    """The sinks of one log.

    Raises: StartRefused if one cannot be understood, or there is only one.
    """
    named = settings.sinks or (
        f"file:{audit_folder(settings) / 'sink-file'}",
        f"folder:{audit_folder(settings) / 'sink-folder'}",
    )
    if len(set(named)) < 2:
        raise StartRefused("KOPEYKA_AUDIT_SINKS must name two sinks at least")
    return [_sink(one, settings, origin.replace("/", "-")) for one in named]


def _sink(named: str, settings: AuditSettings, log_name: str) -> CheckpointSink:
    kind, _, place = named.partition(":")
    if kind == "file" and place.startswith("/"):
        return FileSink(Path(place) / f"{log_name}.jsonl")
    if kind == "folder" and place.startswith("/"):
        return FolderSink(Path(place) / log_name)
    if kind == "https" or named.startswith("http://127.0.0.1"):
        return WebhookSink(f"{named.rstrip('/')}/{log_name}", settings.webhook_token.get_secret_value())
    raise StartRefused("KOPEYKA_AUDIT_SINKS takes file:/path, folder:/path and https://… addresses")


def audit_folder(settings: AuditSettings) -> Path:
    """Where the signing key and the verifier keys are. Raises: StartRefused if none is named."""
    if settings.folder is None:
        raise StartRefused("set KOPEYKA_AUDIT_FOLDER: where the key that signs checkpoints is kept")
    return settings.folder


def guard_of(settings: AuditSettings, origin: str) -> LogGuard | None:
    """What watches a log for rollbacks in a process that does not seal it; nothing before the sealer's first start."""
    verifier = find_verifier(audit_folder(settings), origin)
    return None if verifier is None else LogGuard(sinks_of(settings, origin), verifier)
