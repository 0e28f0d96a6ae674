"""Settings of the log: ``KOPEYKA_AUDIT_…``. The sealer has all of them; the vault needs the folder and the sinks."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

RETENTION_MONTHS_MIN = 12
"""Source: PCI DSS 10.5.1."""


class AuditSettings(BaseSettings):
    """Where the key, the verifier keys and the checkpoints are."""

    model_config = SettingsConfigDict(env_prefix="KOPEYKA_AUDIT_", extra="ignore", frozen=True)

    folder: Path | None = None
    """Where the sealer keeps its signing key and publishes the verifier keys; in the data directory when empty."""
    sinks: tuple[str, ...] = ()
    """``file:/path``, ``folder:/path`` or ``https://…``, as a JSON list: at least two, none of them within reach of
    whoever administers the database. When empty, a file and a folder beside the key: good for a sandbox only."""
    webhook_token: SecretStr = SecretStr("")
    """What a sink reached by https knows us by."""
    retention_months: int | None = Field(default=None, ge=RETENTION_MONTHS_MIN)
    """How long events are kept; their hashes stay for ever. Kept for ever when empty."""
