"""The sandbox's own certificate authority, so that mutual TLS works here as it does with NSPK.

<folder>/authority.pem      vouches for the two below
<folder>/nspk.pem, nspk.key   the simulator's
<folder>/agent.pem, agent.key   ours
<folder>/authority.key      to vouch for others; keys are 0600
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.data_dir import write_private
from sbp_gateway.tls import Certificates

LIFE = timedelta(days=825)
"""Longer is refused by some clients."""
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(days=1)
"""Clocks of two machines differ."""
HOSTS = ("localhost", "127.0.0.1", "::1")
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class SandboxCertificates:
    """Where the files are."""

    folder: Path

    @property
    def agent(self) -> Certificates:
        """What we show to NSPK's simulator."""
        return self.of("agent")

    @property
    def nspk(self) -> Certificates:
        """What the simulator shows to us."""
        return self.of("nspk")

    def of(self, name: str) -> Certificates:
        """The files of one party."""
        return Certificates(self.folder / "authority.pem", self.folder / f"{name}.pem", self.folder / f"{name}.key")


def make_certificates(folder: Path, *, now: datetime) -> SandboxCertificates:
    """The certificates in ``folder``: those of the last start while they are good, else new ones."""
    made = SandboxCertificates(folder)
    if _are_good(made, now):
        return made
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authority.pem").unlink(missing_ok=True)  # written last: a start cut off begins anew
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = signed("Kopeyka sandbox authority", authority_key, None, authority_key, now)
    for name in ("nspk", "agent"):
        key = ec.generate_private_key(ec.SECP256R1())
        write_pair(folder, name, signed(f"Kopeyka sandbox {name}", key, authority, authority_key, now), key)
    write_pair(folder, "authority", authority, authority_key)
    return made


def _are_good(made: SandboxCertificates, now: datetime) -> bool:
    return are_good(made.folder, ("authority", "nspk", "agent"), now)


def are_good(folder: Path, names: Sequence[str], now: datetime) -> bool:
    """Whether all these pairs are in the folder and stay good for a while."""
    files = [folder / f"{name}.{kind}" for name in names for kind in ("pem", "key")]
    return all(path.is_file() for path in files) and min(map(ends_at, files[::2])) > now + RENEW_BEFORE


def ends_at(certificate: Path) -> datetime:
    """When a certificate (PEM; the first of a chain) is good no longer."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    *,
    names: Sequence[x509.GeneralName] = (),
    uses: Sequence[x509.ObjectIdentifier] = (_SERVER, _CLIENT),
) -> x509.Certificate:
    """A certificate that the authority vouches for; the authority's own when it is not given.

    ``names`` stand in it as alternative names; those of this machine when none are given.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(authority.subject if authority is not None else subject, subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(_usage(is_authority=authority is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )  # fmt: skip
    if authority is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False).add_extension(
            x509.SubjectAlternativeName(names or hosts()), critical=False
        )
    return builder.sign(authority_key, hashes.SHA256())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def hosts() -> list[x509.GeneralName]:
    """The names of this machine."""
    return [_host(host) for host in HOSTS]


def _host(host: str) -> x509.GeneralName:
    return x509.DNSName(host) if host[0].isalpha() else x509.IPAddress(ip_address(host))


def write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a certificate and its key, readable by us alone."""
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(folder / f"{name}.key", private.decode())
    write_private(folder / f"{name}.pem", certificate.public_bytes(pem).decode())
