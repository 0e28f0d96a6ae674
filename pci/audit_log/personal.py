"""Personal data in the log: as a keyed digest, so that the same value can be found and nobody can read it.

When the key is destroyed nothing in the log says any more whose data it was, and every proof still holds.
"""

from __future__ import annotations

from datetime import datetime

from pci.keys.envelope import mac
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing

LOG_SCOPE = "log"
"""One key for the whole log; a scope of its own for whoever must be forgotten alone."""
_DOMAIN = b"kopeyka/audit/personal/v1|"


async def personal(ring: KeyRing, value: str, *, now: datetime, scope: str = LOG_SCOPE) -> str:
    """A value as the log may hold it: the key's number and a digest.

    Raises: Sealed while the keys are closed. Call it before the transaction: the key may come from far away.
    """
    dek = await ring.ensure(KeyPurpose.AUDIT_PERSONAL, scope, now)
    return f"hmac:{dek.number}:{mac(dek, _DOMAIN + scope.encode() + b'|' + value.encode()).hex()}"
