"""Settings of the vault's process: every knob, read from ``KOPEYKA_VAULT_…`` variables."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KeyKeeper(StrEnum):
    """Who keeps the key that wraps all others."""

    FILE = "file"
    """A sealed file beside the data, opened by custodians' shares or, in a sandbox, by a passphrase."""
    PKCS11 = "pkcs11"
    OPENBAO = "openbao"


class VaultSettings(BaseSettings):
    """The vault's settings. The process that has them has no other database, and no other process has them."""

    model_config = SettingsConfigDict(env_prefix="KOPEYKA_VAULT_", extra="ignore", frozen=True, populate_by_name=True)

    mode: str = Field(default="sandbox", validation_alias=AliasChoices("KOPEYKA_MODE", "mode"))
    """``sandbox`` or ``production``, as of the whole installation."""
    log_level: str = Field(default="info", validation_alias=AliasChoices("KOPEYKA_LOG_LEVEL", "log_level"))
    database_url: SecretStr = SecretStr("")
    """Role ``kopeyka_vault`` on the database ``kopeyka_vault`` (libpq URL)."""
    pool_size: int = Field(default=8, ge=1, le=100)
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    """Of the service listener, where the api and the worker ask; 0 takes any free one."""
    ca_file: Path | None = None
    """Who vouches for the api and the worker. With the two below: mutual TLS, without which nothing is answered."""
    cert_file: Path | None = None
    key_file: Path | None = None
    public_port: int = Field(default=0, ge=0, le=65_535)
    """Of the vault's own origin, for buyers' browsers."""
    public_url: str = ""
    """How browsers see that origin: a page of it is shown in the merchant's."""
    public_cert_file: Path | None = None
    """The origin's own certificate chain; without it only a balancer on this machine may stand before it."""
    public_key_file: Path | None = None

    kek_provider: KeyKeeper = KeyKeeper.FILE
    kek_file: Path | None = None
    """The sealed key, outside the database's volume, mode 0400."""
    kek_apart_from: str = ""
    """Folders that the sealed key must not lie in, with ``:`` between: the database's volume, its dumps and copies."""
    kek_passphrase: SecretStr = SecretStr("")
    """Opens the file at the start. Refused in production: there custodians open it."""
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_pin: SecretStr = SecretStr("")
    pkcs11_key: str = "kopeyka-kek"
    openbao_url: str = ""
    openbao_token: SecretStr = SecretStr("")
    openbao_key: str = "kopeyka-kek"

    files_dir: Path | None = None
    """Where files of cards are laid to be taken in, and where those given out are written: an encrypted disk."""

    acquirer_url: str = ""
    """``tcp://host:port`` of the acquirer that carries out charges, or of its simulator."""

    sms_url: str = ""
    """The gateway that takes codes for buyers. A sandbox without one keeps them in a box."""

    card_session_minutes: int = Field(default=15, ge=1, le=60)
    """How long a card form stays open."""
    card_session_attempts: int = Field(default=10, ge=1, le=50)
    """Numbers that may be tried in one form: people mistype, thieves try lists."""
    cvc_minutes: int = Field(default=60, ge=1, le=60)
    """How long a CVC waits for its authorisation at most.

    Source: PCI DSS 3.3.2: sensitive authentication data before authorisation is kept as short as can be.
    """

    reveals_per_day: int = Field(default=10, ge=0, le=1_000)
    """Card numbers a person may be shown in 24 hours; each further one needs a second person."""
    password_passes: int = Field(default=3, ge=2, le=10)
    """Source: OWASP password storage: Argon2id with no less than 19 MiB and two passes."""
    password_memory_mib: int = Field(default=64, ge=19, le=1_024)

    @property
    def folders_apart(self) -> list[Path]:
        """Where the sealed key must not lie: whoever copies these must not have it with them."""
        named = [Path(folder) for folder in self.kek_apart_from.split(os.pathsep) if folder]
        return named if self.files_dir is None else [*named, self.files_dir]

    @property
    def is_production(self) -> bool:
        """Whether real cards are entered here."""
        return self.mode == "production"
