"""The paper on cryptography that an auditor asks for, written from the register and not from memory.

Source: PCI DSS 3.6.1.1 (algorithms, protocols, keys, strength, expiry, use), 12.3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pci.keys.custodians import Custodian
from pci.keys.kek import KekDescription, SealState
from pci.keys.key import ENCRYPTIONS_MARK, POLICIES, Algorithm, Key, KeyPurpose, KeyState
from pci.keys.rotation import Rotation

STRENGTH = {
    Algorithm.AES_256_GCM: "256 bits",
    Algorithm.HMAC_SHA_256: "256 bits",
    Algorithm.MASTER_256: "256 bits",
    Algorithm.EC_P_256: "128 bits",
}
"""Source: NIST SP 800-57 part 1, table 2."""
USES = {
    KeyPurpose.CARD: "closes card numbers and holders' names, one scope a merchant",
    KeyPurpose.SAD: "closes CVC until the outcome of the authorisation",
    KeyPurpose.FINGERPRINT: "keyed digest of the whole card number, to know it again",
    KeyPurpose.PAR: "keyed digest behind payment account references",
    KeyPurpose.DEVICE_MASTER: "master key of a range of device tokens",
    KeyPurpose.JWE: "private key that merchants' servers seal cards to",
    KeyPurpose.AUDIT_PERSONAL: "keyed digests of personal data in the log",
    KeyPurpose.TOTP: "closes people's one-time-password secrets",
    KeyPurpose.PROOF: "keyed digests that prove sign-ins, invitations and acceptances to be the vault's own",
}
PROTOCOLS = """\
- Fields are closed with AES-256-GCM (NIST SP 800-38D), a random 96-bit nonce each time, and bound by additional data to
  their row: token, merchant, key number, field. A blob moved to another row does not open.
- Data keys are wrapped under the KEK, bound to number, purpose, scope, version and environment.
- Services speak TLS 1.3 with certificates of both sides; cards from merchants' servers are sealed besides (JWE).
- The key file's box is XSalsa20-Poly1305 under Argon2id of the custodians' secret, cut by SLIP-39.
- Random bytes come from the operating system."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Everything the paper and ``kopeyka vault keys list`` are written from."""

    at: datetime
    env: str
    seal: SealState
    kek: KekDescription | None
    """None while it cannot be asked."""
    keys: Sequence[Key]
    rotations: Sequence[Rotation]
    custodians: Sequence[Custodian]
    must_be_split_again: Sequence[str]
    """Custodians who left and whose shares still open the key file."""

    @property
    def due(self) -> list[Key]:
        """Active keys past their period or count, which somebody must see to."""
        return [key for key in self.keys if key.state is KeyState.ACTIVE and key.is_due(self.at)]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def crypto_architecture(report: KeyReport) -> str:
    """The paper, in Markdown."""
    parts = [
        "# Cryptographic architecture",
        f"Written from the key register on {report.at:%Y-%m-%d %H:%M} UTC, environment `{report.env}`.",
        "## Algorithms and protocols",
        PROTOCOLS,
        "## Keys by purpose",
        purposes(report),
        "## Key-encrypting key",
        kek_text(report),
        "## Custodians",
        custodians_text(report),
        "## Register",
        register_table(report.keys),
        "## To be done",
        to_do(report),
    ]
    return "\n\n".join(parts) + "\n"


def purposes(report: KeyReport) -> str:
    rows = []
    for purpose, policy in POLICIES.items():
        active = sum(key.purpose is purpose and key.state is KeyState.ACTIVE for key in report.keys)
        renewal = "by itself" if policy.renews_itself else "by people"
        rows.append(
            (purpose, USES[purpose], policy.algorithm, STRENGTH[policy.algorithm], policy.cryptoperiod_days, renewal,
             active)
        )  # fmt: skip
    head = ("purpose", "use", "algorithm", "strength", "cryptoperiod, days", "renewed", "active")
    return table(head, rows) + f"\n\nA key that closed {ENCRYPTIONS_MARK:,} times is renewed before its period is over."


def kek_text(report: KeyReport) -> str:
    kek = report.kek
    if kek is None:
        return f"The vault is {report.seal}: the KEK cannot be described now."
    warning = "" if kek.is_for_production else "\n\n**Not for production**: a passphrase opens it."
    versions = ", ".join(kek.versions)
    return (
        f"Kept by `{kek.provider}` as {kek.storage_form}; {kek.algorithm}, 256 bits, as strong as what it wraps. "
        f"Wraps with version {kek.version}; opens with {versions}.{warning}"
    )


def custodians_text(report: KeyReport) -> str:
    if not report.custodians:
        return "None are enrolled."
    rows = [
        (custodian.name, custodian.acknowledged_version or "no", "left" if custodian.deactivated_at else "active")
        for custodian in report.custodians
    ]
    return table(("custodian", "acknowledged text", "is"), rows)


def register_table(keys: Sequence[Key]) -> str:
    """The register without a byte of any key."""
    head = ("number", "purpose", "scope", "version", "state", "algorithm", "kept", "KEK", "uses", "active since",
            "period ends", "destroyed")  # fmt: skip
    return table(head, [register_row(key) for key in keys]) if keys else "No key has been made yet."


def register_row(key: Key) -> tuple[object, ...]:
    return (
        key.number, key.purpose, key.scope, key.version, key.state, key.algorithm, key.storage_form,
        f"{key.kek_provider}/{key.kek_version}", key.encryptions, day(key.activated_at), day(key.expires_at),
        day(key.destroyed_at),
    )  # fmt: skip


def day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else ""


def to_do(report: KeyReport) -> str:
    """What somebody must see to; the auditor looks here first."""
    lines = [f"- Key {key.number} ({key.purpose} of {key.scope}) is due: renew it." for key in report.due]
    lines += [f"- {name} is no custodian any more: make new shares." for name in report.must_be_split_again]
    lines += [
        f"- Rotation {one.id} ({one.kind} of {one.scope}) is {one.status}: {one.percent} %."
        for one in report.rotations
        if one.finished_at is None
    ]
    lines += [
        f"- {custodian.name} has not acknowledged the duties."
        for custodian in report.custodians
        if not custodian.acknowledged_version and not custodian.deactivated_at
    ]
    return "\n".join(lines) or "Nothing."
