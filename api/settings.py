"""Settings: every knob of a process, read from ``KOPEYKA_…`` variables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Mode(StrEnum):
    """What this installation is for."""

    SANDBOX = "sandbox"
    """Simulators, test keys, a movable business clock."""
    PRODUCTION = "production"
    """Real money. The clock cannot be moved and simulators are refused."""


class Settings(BaseSettings):
    """One process's settings. Durations in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="KOPEYKA_", extra="ignore", frozen=True)

    mode: Mode = Mode.SANDBOX
    database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_app`` on the database ``kopeyka`` (libpq URL)."""
    migrator_database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_migrator`` on the same database; only ``kopeyka migrate`` uses it."""
    sequencer_database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_sequencer`` on the database ``kopeyka``; only the sealer has it."""
    vault_database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_vault`` on the database ``kopeyka_vault``; never given to the api role."""
    vault_migrator_database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_migrator`` on the database ``kopeyka_vault``."""
    vault_sequencer_database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_vault_sequencer`` on the database ``kopeyka_vault``; only the sealer has it."""
    data_dir: Path | None = None
    """Where an embedded PostgreSQL keeps its data; chosen by user when empty."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    workers: int = Field(default=2, ge=1, le=64)
    public_url: str = ""
    """What merchants see as our address; the listening address when empty."""
    tls_certificate: Path | None = None
    """The api's own certificate chain (PEM), where no balancer ends TLS for it; goes with ``tls_key``."""
    tls_key: Path | None = None

    nspk_url: str = ""
    """Base URL of NSPK's agent API, or of its simulator."""
    nspk_agent_id: str = "A00000000001"
    nspk_ca_file: Path | None = None
    """Who vouches for NSPK's server. With the two below: mutual TLS, without which production does not start."""
    nspk_cert_file: Path | None = None
    nspk_key_file: Path | None = None
    nspk_notifications_port: int | None = Field(default=None, ge=0, le=65_535)
    """A port of its own for NSPK's notifications, over mutual TLS; the open door then takes none."""
    nspk_notifications_cert_file: Path | None = None
    """What we show to NSPK on that port; the open door's TLS is another matter."""
    nspk_notifications_key_file: Path | None = None
    dolyame_port: int | None = Field(default=None, ge=0, le=65_535)
    """The port of Долями's door for shops, over mutual TLS. Without it production has none, a sandbox a free port."""
    dolyame_cert_file: Path | None = None
    """What that door shows to shops."""
    dolyame_key_file: Path | None = None
    dolyame_ca_file: Path | None = None
    """Who vouches for shops' certificates."""
    dolyame_requests_per_second: int = Field(default=10, ge=1)
    """For each shop. Source: the official PHP client, which expects 429 above about ten."""
    sbp_qr_ttl_minutes: int = Field(default=10, ge=1, le=129_600)
    """How long a buyer may pay a dynamic QR, when the till says nothing else."""
    sbp_qr_ttl_minutes_min: int = Field(default=5, ge=1, le=129_600)
    """The shortest time a till may ask for. NSPK takes 1 minute and advises 5."""
    sbp_activation_minutes: int = Field(default=5, ge=1, le=20)
    """How long a buyer may pay what a till armed its cash link with, when the till says nothing else.

    Source: PayKeeper's default; YooKassa's is 20.
    """
    tkassa_members: frozenset[str] = frozenset()
    """Banks (NSPK's member ids, as a JSON list) whose merchants' links T-Kassa registers; all others go to NSPK."""
    tkassa_url: str = ""
    """T-Kassa's base URL, or its simulator's; without ``/v2``."""
    tkassa_terminal_key: str = ""
    tkassa_password: SecretStr = SecretStr("")
    sandbox_mutual_tls: bool = False
    """Reach NSPK's simulator over mutual TLS, with certificates made in the data directory."""
    sbp_refund_returns_fee: bool = False
    """Our fee pays for its share of a refund. By default it does not: the merchant bears it."""
    bank_url: str = ""
    """Base URL of the bank that carries out payouts, or of its simulator. Over TLS, unless it is near."""
    payout_bank_url: str = ""
    """Base URL of the bank that pays buyers through SBP; ``bank_url`` when empty."""
    payout_bank_key: SecretStr = SecretStr("")
    """What that bank knows us by."""
    bureau_url: str = ""
    """Base URL of the credit bureau's intake, or of its simulator; empty: its events wait, and a plan that is to be
    told of does not begin. Over TLS, unless it is near."""
    bureau_key: SecretStr = SecretStr("")
    """What the bureau knows us by."""
    bureau_told_of_all: bool = False
    """Tell the bureau of every plan, not only of those the law wants told."""
    events_url: str = ""
    """Where the worker delivers events; empty delivers nowhere (they stay listable)."""

    messages_url: str = ""
    """Base URL of the gateway that brings messages to buyers' phones, or of its sink. Over TLS, unless it is near."""
    messages_key: SecretStr = SecretStr("")
    """What that gateway knows us by."""
    buyers_key: SecretStr = SecretStr("")
    """What one-time codes, and phones and documents of stop lists, are digested with: at least 32 characters, the
    same in every process. A sandbox makes its own; production without it sends no codes and lists nobody."""

    terminals_key: SecretStr = SecretStr("")
    """What the secrets of tills' one-time codes are derived from: at least 32 characters, the same in every process.
    With another one every till needs a new key. A sandbox makes its own; production without it knows no till."""

    webhooks_key: SecretStr = SecretStr("")
    """What the secrets of webhooks are made of: at least 32 characters, the same in every process. Another key makes
    other secrets: their events wait. A sandbox makes its own; production without it sends no webhooks."""

    vault_url: str = ""
    """Where the vault's service listener is, https only; without it cards are not taken."""
    vault_ca_file: Path | None = None
    """Who vouches for the vault. With the two below: what this process shows to it."""
    vault_cert_file: Path | None = None
    vault_key_file: Path | None = None

    pool_size: int = Field(default=8, ge=1, le=100)
    group_commit_queue_max: int = Field(default=4096, ge=1)
    group_commit_writers: int = Field(default=2, ge=1, le=4)
    rate_limit_per_second: int = Field(default=2000, ge=1)
    """Requests a second for each API key; bursts of two seconds."""
    allowed_pans_file: Path | None = None
    """Numbers that look like card numbers and are none, for instance a merchant's order numbers: one a line, or the
    beginning of many with a star. Any other in a request's body is refused."""
    log_level: str = "info"
