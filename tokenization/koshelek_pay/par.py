"""Payment account reference: one name for a card number and all tokens of it, that nobody can pay with.

Source: EMV payment account reference (tag 9F24): 29 capital letters and digits, the first four of who assigns it.
"""

from __future__ import annotations

from pci.keys.envelope import Dek, mac
from pci.pan import Pan

CONTROLLER = "QKOP"
"""Ours, of an emulator: identifiers of real controllers are registered, and this one is not."""
BODY_CHARACTERS = 25
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def par_of(dek: Dek, pan: Pan) -> str:
    """The reference of a card number, under the key that is made for it."""
    value = int.from_bytes(mac(dek, b"par/v1|" + pan.expose().encode()), "big")
    characters = []
    for _ in range(BODY_CHARACTERS):
        value, place = divmod(value, len(_ALPHABET))
        characters.append(_ALPHABET[place])
    return CONTROLLER + "".join(characters)
