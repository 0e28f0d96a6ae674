"""The key that signs checkpoints: one file that only the sealer may read, made at its first start.

<folder>/signing.key     the seed, 0400; whoever has it can sign another log, so it never leaves the sealer
<folder>/kopeyka.vkeys   the verifier keys of both logs, for everybody
"""

from __future__ import annotations

import os
from pathlib import Path

from nacl.signing import SigningKey

from pci.audit_log.checkpoint import BOOKS_ORIGIN, VAULT_ORIGIN, Verifier, read_verifier
from pci.audit_log.errors import SigningKeyRefused

KEY_FILE = "signing.key"
VERIFIERS_FILE = "kopeyka.vkeys"
SEED_BYTES = 32
OTHERS_MAY = 0o377
"""Permission bits that the key's file must not have: anybody's but its owner's reading."""


def open_key(folder: Path) -> SigningKey:
    """The signing key of a folder, made if there is none; the verifier keys are published beside it.

    Raises: SigningKeyRefused if the file may be read by others or is not a key.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        key = _read(path)
    else:
        key = SigningKey.generate()
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(key))
            file.flush()
            os.fsync(file.fileno())
    _publish(folder / VERIFIERS_FILE, key)
    return key


def _read(path: Path) -> SigningKey:
    if path.stat().st_mode & OTHERS_MAY:
        raise SigningKeyRefused("The signing key's file must have the mode 0400", file=path.name)
    seed = path.read_bytes()
    if len(seed) != SEED_BYTES:
        raise SigningKeyRefused("The signing key's file does not hold a key", file=path.name)
    return SigningKey(seed)


def _publish(path: Path, key: SigningKey) -> None:
    shown = "".join(Verifier(origin, key.verify_key).show() + "\n" for origin in (BOOKS_ORIGIN, VAULT_ORIGIN))
    if not path.exists() or path.read_text("utf-8") != shown:
        part = path.with_suffix(".part")
        part.write_text(shown, "utf-8")
        part.chmod(0o444)
        part.replace(path)


def find_verifier(folder: Path, origin: str) -> Verifier | None:
    """The published verifier key of a log; nothing before the sealer's first start. Raises: CheckpointMalformed."""
    try:
        lines = (folder / VERIFIERS_FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    return next((one for one in map(read_verifier, lines) if one.name == origin), None)
