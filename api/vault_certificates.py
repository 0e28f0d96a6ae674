"""Certificates of the link between the vault and those who may ask it: an authority of its own, trusted by nobody else.

<folder>/authority.pem            vouches for the three below, and only these are let in
<folder>/vault.pem, vault.key     the vault's, for its service listener
<folder>/api.pem, api.key         the api's: its role stands in it as a name, ``urn:kopeyka:role:api``
<folder>/worker.pem, worker.key   the worker's
<folder>/operator.pem, .key       of whoever runs the vault, for `kopeyka vault keys`
<folder>/authority.key            to vouch for others; every key is 0400

Made at the first start of a sandbox, and anew when they end within 30 days. Production may use an authority of the
operator's own: the names in the certificates are what counts. Source: PCI DSS 4.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.data_dir import StartRefused
from api.sandbox_certificates import are_good, ends_at, hosts, signed, write_pair

ROLE_NAME = "urn:kopeyka:role:"
"""How a role begins in a certificate's alternative names."""
SERVER = "vault"
CLIENTS = ("api", "worker", "operator")
KEY_MODE = 0o400


@dataclass(frozen=True, slots=True)
class LinkCertificates:
    """What one side of the link shows, and whom it believes."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class VaultCertificates:
    """Where the files are."""

    folder: Path

    def of(self, role: str) -> LinkCertificates:
        """The files of the vault, the api or the worker."""
        return LinkCertificates(self.folder / "authority.pem", self.folder / f"{role}.pem", self.folder / f"{role}.key")

    def environment(self, role: str) -> Mapping[str, str]:
        """How a process is told of its own."""
        own = self.of(role)
        return {
            "KOPEYKA_VAULT_CA_FILE": str(own.ca),
            "KOPEYKA_VAULT_CERT_FILE": str(own.certificate),
            "KOPEYKA_VAULT_KEY_FILE": str(own.key),
        }

    def ends(self) -> Mapping[str, datetime]:
        """When each certificate is good no longer."""
        return {name: ends_at(self.folder / f"{name}.pem") for name in ("authority", SERVER, *CLIENTS)}


def make_vault_certificates(folder: Path, *, now: datetime) -> VaultCertificates:
    """The certificates in ``folder``: those of the last start while they are good, else new ones.

    Raises: StartRefused if the folder cannot be written.
    """
    made = VaultCertificates(folder)
    if are_good(folder, ("authority", SERVER, *CLIENTS), now):
        return made
    try:
        _make(folder, now)
    except OSError as error:
        raise StartRefused(f"cannot keep certificates in {folder} ({error.strerror})") from error
    return made


def _make(folder: Path, now: datetime) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authority.pem").unlink(missing_ok=True)  # written last: a start cut off begins anew
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = signed("Kopeyka vault authority", authority_key, None, authority_key, now)
    for role in (SERVER, *CLIENTS):
        is_server = role == SERVER
        key = ec.generate_private_key(ec.SECP256R1())
        named: list[x509.GeneralName] = [x509.UniformResourceIdentifier(ROLE_NAME + role)]
        use = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = signed(
            f"Kopeyka {role}", key, authority, authority_key, now,
            names=[*hosts(), *named] if is_server else named, uses=[use],
        )  # fmt: skip
        write_pair(folder, role, certificate, key)
        (folder / f"{role}.key").chmod(KEY_MODE)
    write_pair(folder, "authority", authority, authority_key)
    (folder / "authority.key").chmod(KEY_MODE)
