"""A checkpoint: how large the log is and what its root is, signed so that anybody can check it.

    kopeyka/vault
    1024
    4wKgjE5+kW0nsLzQyMqUA4yWYGFqIJTsLxMkRJmcZ2c=

    — kopeyka/vault MX3kpA…

Source: C2SP tlog-checkpoint (the three lines), C2SP signed-note (the signature line, the key's hash, the verifier key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from pci.audit_log.errors import CheckpointMalformed
from pci.audit_log.merkle import HASH_BYTES, Frontier

BOOKS_ORIGIN = "kopeyka/books"
VAULT_ORIGIN = "kopeyka/vault"
NOTE_CHARACTERS_MAX = 4_096
SIGNATURES_MAX = 16
_ED25519 = b"\x01"
"""Source: C2SP signed-note: the kind of an Ed25519 key."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]{1,128}) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a note says: whose log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes
    note: str
    """The signed text itself."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Whose signature under which name is believed."""

    name: str
    key: VerifyKey

    @property
    def key_id(self) -> bytes:
        """Four bytes that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + bytes(self.key)).digest()[:4]

    def show(self) -> str:
        """The verifier key in C2SP's form: name, key id, key."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + bytes(self.key)).decode()}"


def read_verifier(shown: str) -> Verifier:
    """A verifier key from its one-line form.

    Raises: CheckpointMalformed.
    """
    name, _, rest = shown.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise CheckpointMalformed(flaw="not an Ed25519 verifier key")
    verifier = Verifier(name, VerifyKey(raw[1:]))
    if verifier.key_id.hex() != key_id:
        raise CheckpointMalformed(flaw="the verifier key's id is of another key or name")
    return verifier


def sign(origin: str, tree: Frontier, key: SigningKey) -> Checkpoint:
    """A checkpoint of the tree, signed under the name of its origin."""
    root = tree.root()
    text = f"{origin}\n{tree.size}\n{base64.b64encode(root).decode()}\n"
    signature = Verifier(origin, key.verify_key).key_id + key.sign(text.encode()).signature
    note = f"{text}\n— {origin} {base64.b64encode(signature).decode()}\n"
    return Checkpoint(origin, tree.size, root, note)


def read_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """The checkpoint in a note that the verifier's key signed. Signatures of others are passed over.

    Raises: CheckpointMalformed if it is not exactly such a note, or nobody we believe signed it.
    """
    if len(note) > NOTE_CHARACTERS_MAX or any(ord(sign) < 0x20 and sign != "\n" for sign in note):
        raise CheckpointMalformed(flaw="not a note")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise CheckpointMalformed(flaw="no signature lines")
    checkpoint = _read_text(text + "\n", note)
    _verify(text + "\n", signatures[:-1].split("\n"), verifier)
    if checkpoint.origin != verifier.name:
        raise CheckpointMalformed(flaw="of another log", origin=checkpoint.origin, expected=verifier.name)
    return checkpoint


def _read_text(text: str, note: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 3 or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise CheckpointMalformed(flaw="not an origin, a size and a root")
    root = _decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise CheckpointMalformed(flaw="the root is not a SHA-256")
    return Checkpoint(lines[0], int(lines[1]), root, note)


def _verify(text: str, lines: list[str], verifier: Verifier) -> None:
    if len(lines) > SIGNATURES_MAX:
        raise CheckpointMalformed(flaw="too many signatures")
    is_signed = False
    for line in lines:
        found = _SIGNATURE_LINE.fullmatch(line)
        if found is None:
            raise CheckpointMalformed(flaw="not a signature line")
        signature = _decoded(found[2])
        if found[1] != verifier.name or signature[:4] != verifier.key_id:
            continue
        try:
            verifier.key.verify(text.encode(), signature[4:])
        except (BadSignatureError, ValueError) as error:
            raise CheckpointMalformed(flaw="the signature is false") from error
        is_signed = True
    if not is_signed:
        raise CheckpointMalformed(flaw="not signed by the key expected", name=verifier.name)


def _decoded(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointMalformed(flaw="not base64") from error
    if base64.b64encode(raw).decode() != encoded:
        raise CheckpointMalformed(flaw="not base64 in its only form")
    return raw
