"""The key that signs packs of evidence: one file of its own, apart from the log's."""

from __future__ import annotations

import os
from pathlib import Path

from nacl.signing import SigningKey

from pci.evidence.errors import PackRefused

KEY_FILE = "evidence.key"
PUBLIC_FILE = "evidence.pub"
"""For the assessor: its hexadecimal form also stands in every event of a pack."""
OTHERS_MAY = 0o377


def open_evidence_key(folder: Path) -> SigningKey:
    """The signing key of a folder, made if there is none. Raises: PackRefused if others may read it."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        if path.stat().st_mode & OTHERS_MAY:
            raise PackRefused("The key's file must have the mode 0400", file=path.name) from None
        return SigningKey(path.read_bytes())
    key = SigningKey.generate()
    with os.fdopen(handle, "wb") as file:
        file.write(bytes(key))
    (folder / PUBLIC_FILE).write_text(bytes(key.verify_key).hex() + "\n")
    return key
