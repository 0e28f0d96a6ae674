"""Certificates of Долями's door: an authority of its own, which vouches for the door and for shops.

<folder>/authority.pem             vouches for the others; shops' clients trust it, and the door trusts it
<folder>/door.pem, door.key        the listener's
<folder>/shop.pem, shop.key        the sandbox shop's; files of other shops are ``shop-<login>``
<folder>/authority.key             to vouch for more shops; keys are 0600

Made at the first start of a sandbox, and anew when they end within 30 days. Production names files of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.contracts.dolyame.errors import CertificateRefused
from api.sandbox_certificates import are_good, signed, write_pair

DOOR, SHOP = "door", "shop"


@dataclass(frozen=True, slots=True)
class DolyameCertificates:
    """Where the files are."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Who vouches for all of them."""
        return self.folder / "authority.pem"

    def certificate(self, name: str) -> Path:
        """The certificate of the door or of a shop."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Its key."""
        return self.folder / f"{name}.key"


def make_dolyame_certificates(folder: Path, *, now: datetime) -> DolyameCertificates:
    """The certificates in ``folder``: those of the last start while they are good, else new ones."""
    made = DolyameCertificates(folder)
    if are_good(folder, ("authority", DOOR, SHOP), now):
        return made
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.ca.unlink(missing_ok=True)  # written last: a start cut off begins anew
    key = ec.generate_private_key(ec.SECP256R1())
    authority = signed("Kopeyka Dolyame authority", key, None, key, now)
    _vouch(folder, DOOR, "Kopeyka Dolyame", authority, key, now, for_server=True)
    _vouch(folder, SHOP, "sandbox shop", authority, key, now)
    write_pair(folder, "authority", authority, key)
    return made


def vouch_for_shop(made: DolyameCertificates, login: str, *, now: datetime) -> x509.Certificate:
    """A new certificate and key for a shop, in files named after its login.

    Raises: CertificateRefused where there is no authority of ours.
    """
    try:
        authority = x509.load_pem_x509_certificate(made.ca.read_bytes())
        key = serialization.load_pem_private_key(made.key("authority").read_bytes(), None)
    except OSError as error:
        raise CertificateRefused("There is no sandbox authority here: name the shop's own certificate.") from error
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _vouch(made.folder, shop_file(login), login, authority, key, now)


def shop_file(login: str) -> str:
    """What a shop's files are called."""
    return f"shop-{login}"


def read_certificate(file: Path) -> x509.Certificate:
    """The certificate in a file (PEM). Raises: CertificateRefused."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateRefused() from error


def check_vouched(certificate: x509.Certificate, authority_file: Path) -> None:
    """Refuse a certificate that the door would not let in. Raises: CertificateRefused."""
    try:
        authorities = x509.load_pem_x509_certificates(authority_file.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateRefused(f"{authority_file} holds no certificates.") from error
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    raise CertificateRefused()


def _vouch(
    folder: Path, name: str, subject: str, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey,
    now: datetime, *, for_server: bool = False,
) -> x509.Certificate:  # fmt: skip
    key = ec.generate_private_key(ec.SECP256R1())
    use = ExtendedKeyUsageOID.SERVER_AUTH if for_server else ExtendedKeyUsageOID.CLIENT_AUTH
    names = None if for_server else [x509.DNSName(f"{subject.replace(' ', '-')}.shop.invalid")]
    certificate = signed(subject, key, authority, authority_key, now, names=names or (), uses=[use])
    write_pair(folder, name, certificate, key)
    return certificate
