"""From the master key of a range to the key of one payment. Nothing on the way is kept: it is derived when needed.

master key of the range (sealed, in the register of keys)
  → issuer key of its cipher → key of one token → key of one counter
"""

from __future__ import annotations

import hmac

from pci.keys.envelope import Dek
from pci.keys.key import Algorithm
from tokenization.koshelek_pay.device_token import DeviceToken
from tokenization.koshelek_pay.emv import KEY_BYTES, EmvFamily, master_key, session_key


def issuer_key(master: Dek, range_id: str, family: EmvFamily) -> bytes:
    """The issuer master key of a range, one for each cipher."""
    assert master.algorithm is Algorithm.MASTER_256, "only a master key has keys derived from it"
    return hmac.digest(master.key.expose(), f"emv-issuer/v1|{range_id}|{family}".encode(), "sha256")[:KEY_BYTES]


def payment_keys(master: Dek, token: DeviceToken, atcs: tuple[int, ...]) -> dict[int, bytes]:
    """The keys of some counters of a token."""
    assert token.number is not None, "a declined token has no number and no keys"
    issuer = issuer_key(master, token.range_id, token.family)
    of_token = master_key(issuer, token.number, token.sequence_number, token.family)
    return {atc: session_key(of_token, atc, token.family) for atc in atcs}


def payment_key(master: Dek, token: DeviceToken, atc: int) -> bytes:
    """The key of one payment."""
    return payment_keys(master, token, (atc,))[atc]
