"""Custodians' shares: one secret cut so that any m of n people can put it together, and m minus one know nothing.

Source: SLIP-0039 (33 words for 256 bits, with a checksum that finds every typing error of up to three words).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import shamir_mnemonic
from shamir_mnemonic.share import Share as Slip39Share

from pci.keys.errors import ShareRefused
from pci.secret import Secret

SECRET_BYTES = 32
CUSTODIANS_MAX = 16
"""Source: SLIP-0039: at most 16 shares of a group."""
THRESHOLD_MIN = 2
"""Source: PCI DSS 3.7.6: split knowledge and dual control."""


@dataclass(frozen=True, slots=True)
class KeyShare:
    """What can be said of a share without its secret part."""

    index: int
    """Its place among the shares, from 0."""
    threshold: int


@dataclass(frozen=True, slots=True)
class SplitSecret:
    """A new secret and its shares, for the moment of the ceremony."""

    secret: bytes = field(repr=False)
    shares: tuple[Secret, ...]


def split(threshold: int, count: int) -> SplitSecret:
    """Make a secret and cut it.

    Raises: ShareRefused if fewer than two people could open it, or more are needed than there are.
    """
    if not THRESHOLD_MIN <= threshold <= count <= CUSTODIANS_MAX:
        raise ShareRefused(f"{threshold} of {count}: at least {THRESHOLD_MIN} of at most {CUSTODIANS_MAX}")
    secret = secrets.token_bytes(SECRET_BYTES)
    (words,) = shamir_mnemonic.generate_mnemonics(1, [(threshold, count)], secret)
    return SplitSecret(secret, tuple(map(Secret, words)))


def read_share(share: Secret) -> KeyShare:
    """Read a share's place.

    Raises: ShareRefused if a word is wrong, missing or unknown; it does not say which.
    """
    try:
        read = Slip39Share.from_mnemonic(" ".join(share.expose().lower().split()))
    except (shamir_mnemonic.MnemonicError, ValueError):
        raise ShareRefused("the share is damaged: a word is wrong, missing or out of order") from None
    return KeyShare(read.index, read.member_threshold)


def combine(given: Sequence[Secret]) -> bytes:
    """Put the secret together.

    Raises: ShareRefused if the shares are not of one secret, or too few.
    """
    try:
        return bytes(shamir_mnemonic.combine_mnemonics([" ".join(share.expose().lower().split()) for share in given]))
    except (shamir_mnemonic.MnemonicError, ValueError):
        raise ShareRefused("the shares do not belong together: all must be given again") from None
