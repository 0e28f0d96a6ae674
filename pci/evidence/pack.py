"""A pack of evidence: one zip that an assessor takes away and checks without us.

    index.html                     every requirement with its status
    requirements/3.2.1.json        query, result, test, version; beside it the same as a page
    sbom.json                      every component
    manifest.json                  period, version, SHA-256 of every other file
    manifest.sig                   Ed25519 over manifest.json: public key and signature

The hash of the whole zip is an event of the log, so that a pack cannot be made anew later.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from pci.audit_log.event import AuditEvent
from pci.evidence.errors import PackRefused
from pci.evidence.page import index_page, requirement_page
from pci.evidence.results import ControlResult, ControlStatus

HONEST = (
    "Программа даёт подтверждения о том, что делает она сама. Люди, помещения, сети и документы остаются "
    "за эксплуатацией, а соответствие стандарту подтверждает QSA."
)
"""What a pack does not say stands on it."""
FILES_MAX = 1_000
FILE_BYTES_MAX = 64 * 1024 * 1024
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"


@dataclass(frozen=True, slots=True)
class PackTerms:
    """What a pack is of."""

    since: datetime
    until: datetime
    made_at: datetime
    version: str


@dataclass(frozen=True, slots=True)
class EvidencePack:
    """A pack that is made."""

    raw: bytes
    sha256: str
    public_key: str
    counts: Mapping[str, int]


def make_pack(results: Sequence[ControlResult], sbom: str, terms: PackTerms, key: SigningKey) -> EvidencePack:
    """Put a pack together and sign it."""
    files = {"index.html": index_page(results, terms.since, terms.until, terms.made_at, terms.version, HONEST).encode()}
    for result in results:
        name = f"requirements/{file_name(result)}"
        told = result.as_json(terms.version, terms.made_at)
        files[f"{name}.json"] = _json(told)
        files[f"{name}.html"] = requirement_page(result, terms.version, terms.made_at).encode()
    files["sbom.json"] = sbom.encode()
    counts = Counter(result.status.value for result in results)
    files[MANIFEST] = _json(_manifest(files, terms, counts))
    public = bytes(key.verify_key).hex()
    signature = base64.b64encode(key.sign(files[MANIFEST]).signature).decode()
    files[SIGNATURE] = _json({"algorithm": "Ed25519", "public_key": public, "signature": signature})
    raw = _zip(files, terms.made_at)
    return EvidencePack(raw, hashlib.sha256(raw).hexdigest(), public, dict(counts))


def event_of(pack: EvidencePack, terms: PackTerms, *, actor: str, origin: str) -> AuditEvent:
    """What the log says of a pack: its hash, so that it is this one and no other."""
    facts: dict[str, str | int | bool] = {
        "since": terms.since.isoformat(), "until": terms.until.isoformat(), "public_key": pack.public_key,
        "failing": pack.counts.get(ControlStatus.FAILING, 0), "met": pack.counts.get(ControlStatus.MET, 0),
    }  # fmt: skip
    return AuditEvent("evidence.made", actor, origin, f"evidence:{pack.sha256}", terms.made_at, facts=facts)


def check_pack(raw: bytes, public_key: str = "") -> dict[str, Any]:
    """The manifest of a pack that is whole and signed, by this key when one is given.

    Raises: PackRefused, saying what was changed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = _read(archive)
        signed = json.loads(files.pop(SIGNATURE))
        manifest: dict[str, Any] = json.loads(files[MANIFEST])
        key = VerifyKey(bytes.fromhex(signed["public_key"]))
        key.verify(files.pop(MANIFEST), base64.b64decode(signed["signature"]))
        listed: dict[str, str] = manifest["files"]
    except BadSignatureError:
        raise PackRefused("The manifest is not what was signed") from None
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise PackRefused("This is not a pack of evidence") from None
    if public_key and public_key.strip() != signed["public_key"]:
        raise PackRefused("The pack is signed by another key", key=signed["public_key"])
    for name in sorted(files.keys() | listed.keys()):
        if name not in files or hashlib.sha256(files[name]).hexdigest() != listed.get(name):
            raise PackRefused("A file of the pack is not the one that was signed", file=name)
    return manifest | {"sha256": hashlib.sha256(raw).hexdigest(), "public_key": signed["public_key"]}


def file_name(result: ControlResult) -> str:
    """A requirement's number as a file's name."""
    return result.control.requirement.replace("–", "-")


def _manifest(files: Mapping[str, bytes], terms: PackTerms, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "standard": "PCI DSS v4.0.1",
        "since": terms.since.isoformat(), "until": terms.until.isoformat(), "made_at": terms.made_at.isoformat(),
        "version": terms.version, "statuses": dict(sorted(counts.items())), "note": HONEST,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }  # fmt: skip


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > FILES_MAX or len(set(names)) != len(names) or any(m.file_size > FILE_BYTES_MAX for m in members):
        raise PackRefused("This is not a pack of evidence")
    return {member.filename: archive.read(member) for member in members}


def _zip(files: Mapping[str, bytes], made_at: datetime) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, made_at.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
