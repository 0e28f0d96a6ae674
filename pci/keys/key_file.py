"""The key file: KEKs closed in a box that opens with a passphrase, or with enough custodians' shares.

    {version, context, kdf {name, operations, memory_bytes, salt}, threshold, shares: [{custodian, index}], box}

The box is an XSalsa20-Poly1305 secret box whose key is Argon2id of what opens it. Its content repeats the context, so
a box pasted into another installation's file is noticed. The file is 0400, ours, and not beside the database.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nacl.exceptions
import nacl.pwhash.argon2id
import nacl.secret
import nacl.utils

from pci.keys.envelope import KeyMaterial
from pci.keys.errors import KeyFileRefused, PassphraseWrong

VERSION = 1
KEK_BYTES = 32
MODE = 0o400
POSTGRESQL_MARK = "PG_VERSION"
"""A file that PostgreSQL keeps in every folder of data."""
FILE_BYTES_MAX = 64 * 1024
MEMORY_BYTES_MAX = 4 * 1024**3
OPERATIONS_MAX = 64


@dataclass(frozen=True, slots=True)
class KeyFileCost:
    """How dear one guess of the passphrase is. Source: RFC 9106, section 4, the first recommended option's kin."""

    operations: int = 4
    memory_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShareHolder:
    """Which custodian holds which share: the share itself is nowhere."""

    custodian: str
    index: int


@dataclass(frozen=True, slots=True)
class OpenKeks:
    """The KEKs of an opened file, by version, and which of them wraps."""

    primary: str
    keys: Mapping[str, KeyMaterial]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file as it lies on the disk."""

    context: str
    """Which installation and environment it is for: ``kopeyka|test``."""
    cost: KeyFileCost
    salt: bytes
    threshold: int
    """How many shares open it; 0 when a passphrase does."""
    holders: tuple[ShareHolder, ...]
    box: bytes = field(repr=False)

    def open_box(self, opener: bytes) -> tuple[bytes, OpenKeks]:
        """Open the box; returns the box's own key too, so that a new KEK can be put in.

        Raises: PassphraseWrong if it does not open; KeyFileRefused if it is another installation's.
        """
        box_key = derive(opener, self.salt, self.cost)
        return box_key, self.open_with(box_key)

    def open_with(self, box_key: bytes) -> OpenKeks:
        """Open the box with its own key.

        Raises: PassphraseWrong; KeyFileRefused.
        """
        try:
            plain = nacl.secret.SecretBox(box_key).decrypt(self.box)
        except nacl.exceptions.CryptoError:
            raise PassphraseWrong from None
        content = json.loads(plain)
        if content["context"] != self.context:
            raise KeyFileRefused("the key file's box belongs to another installation")
        keys = {name: KeyMaterial(base64.b64decode(value)) for name, value in content["keys"].items()}
        return OpenKeks(content["primary"], keys)

    def with_keks(self, box_key: bytes, keks: OpenKeks) -> KeyFile:
        """The same file with other KEKs in its box."""
        return KeyFile(
            self.context, self.cost, self.salt, self.threshold, self.holders, closed(box_key, self.context, keks)
        )


def derive(opener: bytes, salt: bytes, cost: KeyFileCost) -> bytes:
    """The box's key: slow on purpose."""
    return nacl.pwhash.argon2id.kdf(
        nacl.secret.SecretBox.KEY_SIZE, opener, salt, opslimit=cost.operations, memlimit=cost.memory_bytes
    )


def closed(box_key: bytes, context: str, keks: OpenKeks) -> bytes:
    keys = {name: base64.b64encode(key.expose()).decode() for name, key in keks.keys.items()}
    content = json.dumps({"context": context, "primary": keks.primary, "keys": keys}, sort_keys=True)
    return bytes(nacl.secret.SecretBox(box_key).encrypt(content.encode()))


def new_file(
    opener: bytes,
    *,
    context: str,
    cost: KeyFileCost | None = None,
    threshold: int = 0,
    holders: Sequence[ShareHolder] = (),
    keks: OpenKeks | None = None,
) -> KeyFile:
    """A key file that opens with ``opener``, with a first KEK in it unless others are given."""
    cost = cost or KeyFileCost()
    salt = nacl.utils.random(nacl.pwhash.argon2id.SALTBYTES)
    keks = keks or OpenKeks("1", {"1": new_kek()})
    box = closed(derive(opener, salt, cost), context, keks)
    return KeyFile(context, cost, salt, threshold, tuple(holders), box)


def new_kek() -> KeyMaterial:
    return KeyMaterial(nacl.utils.random(KEK_BYTES))


def write(path: Path, file: KeyFile) -> None:
    """Put a key file in its place, all of it or nothing, readable by us only.

    Raises: KeyFileRefused if it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(json.dumps(as_json(file), indent=2) + "\n")
            stream.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        raise KeyFileRefused(f"the key file cannot be written: {error.strerror}", path=str(path)) from error


def as_json(file: KeyFile) -> dict[str, Any]:
    return {
        "version": VERSION,
        "context": file.context,
        "kdf": {
            "name": "argon2id",
            "operations": file.cost.operations,
            "memory_bytes": file.cost.memory_bytes,
            "salt": base64.b64encode(file.salt).decode(),
        },
        "threshold": file.threshold,
        "shares": [{"custodian": holder.custodian, "index": holder.index} for holder in file.holders],
        "box": base64.b64encode(file.box).decode(),
    }


def read(path: Path, *, apart_from: Sequence[Path] = ()) -> KeyFile:
    """Read a key file that lies as it must.

    Raises: KeyFileRefused if it is missing, a link, another's, readable by others, beside the database, or damaged.
    """
    refuse_place(path, apart_from)
    try:
        with open(path, "rb", opener=without_links) as stream:
            refuse_owner(os.fstat(stream.fileno()), path)
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileRefused(f"the key file cannot be read: {error.strerror}", path=str(path)) from error
    return parse(content, path)


def without_links(path: str, flags: int) -> int:
    """Opens a file, and not what a link points to."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def refuse_place(path: Path, apart_from: Sequence[Path]) -> None:
    """Whoever copies the database must not have the key with it. Source: PCI DSS 3.6.1.2."""
    real = path.resolve()
    is_named = any(real.is_relative_to(folder.resolve()) for folder in apart_from)
    if is_named or any((folder / POSTGRESQL_MARK).exists() for folder in real.parents):
        raise KeyFileRefused("the key file lies beside the database: keep it elsewhere", path=str(path))


def refuse_owner(status: os.stat_result, path: Path) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise KeyFileRefused("the key file is not a file of ours", path=str(path))
    if mode != MODE:
        raise KeyFileRefused(f"the key file has mode {mode:04o} and must have 0400", path=str(path))


def parse(content: bytes, path: Path) -> KeyFile:
    try:
        if len(content) > FILE_BYTES_MAX:
            raise ValueError("too long")
        found = json.loads(content)
        kdf = found["kdf"]
        if found["version"] != VERSION or kdf["name"] != "argon2id":
            raise ValueError("another version")
        cost = KeyFileCost(int(kdf["operations"]), int(kdf["memory_bytes"]))
        if not (0 < cost.operations <= OPERATIONS_MAX and 8192 <= cost.memory_bytes <= MEMORY_BYTES_MAX):
            raise ValueError("costs nobody would choose")
        holders = tuple(ShareHolder(str(share["custodian"]), int(share["index"])) for share in found["shares"])
        salt = base64.b64decode(kdf["salt"], validate=True)
        box = base64.b64decode(found["box"], validate=True)
        if len(salt) != nacl.pwhash.argon2id.SALTBYTES:
            raise ValueError("a salt of another length")
        return KeyFile(str(found["context"]), cost, salt, int(found["threshold"]), holders, box)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise KeyFileRefused("the key file is damaged", path=str(path)) from None
