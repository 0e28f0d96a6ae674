"""Card cryptography of EMV: a token's master key, the key of one payment, its cryptogram, and the issuer's answer.

Two families. ``tdes`` is for terminals of today (derivation option A, MAC algorithm 3), ``aes`` for those that
know it (option C, CMAC). Every key is 16 bytes.
Source: EMV Book 2: A1.2 (MAC), A1.3 (common session key), A1.4.1 and A1.4.3 (options A and C), 8.2 (ARPC).
"""

from __future__ import annotations

import hmac
from enum import StrEnum

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from pci.errors import InvariantBroken

KEY_BYTES = 16
CRYPTOGRAM_BYTES = 8
ATC_MAX = 0xFFFF
"""Source: EMV Book 3, tag 9F36: two bytes."""
MAC_DATA_BYTES_MAX = 1_024
"""No terminal sends more than 255 bytes of DE55."""

_DES_BLOCK = 8
_NO_IV = modes.CBC(bytes(_DES_BLOCK))
_ODD = bytes(byte ^ (1 ^ byte.bit_count() & 1) for byte in range(256))
"""Every byte with its last bit set so that the number of ones is odd."""


class EmvFamily(StrEnum):
    """Which cipher a token's keys are for."""

    TDES = "tdes"
    AES = "aes"


class EmvPadding(StrEnum):
    """How data is filled up to whole blocks before its MAC."""

    EMV = "emv"
    """A bit of one, then zeros. Source: ISO/IEC 9797-1, padding method 2."""
    ZEROS = "zeros"
    """Zeros, none if the blocks are whole. Source: ISO/IEC 9797-1, padding method 1."""


class EmvKeyBroken(InvariantBroken):
    """This is not a key, a counter or data that card cryptography knows."""

    code = "vault.emv_key_broken"


def master_key(issuer_key: bytes, token_number: str, sequence_number: str, family: EmvFamily) -> bytes:
    """The key of one token, from the key of its range.

    Raises: EmvKeyBroken if the number is too long for its option, or a key is not 16 bytes.
    Source: EMV Book 2, A1.4.1 (option A) and A1.4.3 (option C).
    """
    _check_key(issuer_key)
    name = token_number + sequence_number
    if not name.isascii() or not name.isdigit() or len(sequence_number) != 2:
        raise EmvKeyBroken(reason="number")
    if family is EmvFamily.AES:
        return _aes_block(issuer_key, bytes.fromhex(name.zfill(32)))
    if len(token_number) > 16:
        raise EmvKeyBroken(reason="option A ends at 16 digits")
    seed = bytes.fromhex(name.zfill(16)[-16:])
    return _tdes_blocks(issuer_key, seed + bytes(byte ^ 0xFF for byte in seed)).translate(_ODD)


def session_key(token_key: bytes, atc: int, family: EmvFamily) -> bytes:
    """The key of one payment: common session key of the application transaction counter.

    Source: EMV Book 2, A1.3.1, with R the counter and zeros.
    """
    if not 0 < atc <= ATC_MAX:
        raise EmvKeyBroken(reason="counter")
    size = 16 if family is EmvFamily.AES else _DES_BLOCK
    return common_session_key(token_key, atc.to_bytes(2, "big") + bytes(size - 2), family)


def common_session_key(token_key: bytes, diversifier: bytes, family: EmvFamily) -> bytes:
    """The session key of any diversifier R of one block. Source: EMV Book 2, A1.3.1."""
    _check_key(token_key)
    if len(diversifier) != (16 if family is EmvFamily.AES else _DES_BLOCK):
        raise EmvKeyBroken(reason="diversifier")
    if family is EmvFamily.AES:
        return _aes_block(token_key, diversifier)
    head, tail = diversifier[:2], diversifier[3:]
    return _tdes_blocks(token_key, head + b"\xf0" + tail + head + b"\x0f" + tail).translate(_ODD)


def cryptogram(key: bytes, data: bytes, family: EmvFamily, padding: EmvPadding = EmvPadding.EMV) -> bytes:
    """The 8 bytes (ARQC) that prove a payment: a MAC of its data under its key. Source: EMV Book 2, 8.1."""
    _check_key(key)
    if not 0 < len(data) <= MAC_DATA_BYTES_MAX:
        raise EmvKeyBroken(reason="data")
    return _mac(key, data, family, padding)


def answer_1(key: bytes, arqc: bytes, response_code: bytes, family: EmvFamily) -> bytes:
    """The issuer's answer (ARPC) by method 1: 8 bytes over the cryptogram and two characters of the decision.

    Source: EMV Book 2, 8.2.1.
    """
    _check_key(key)
    if len(arqc) != CRYPTOGRAM_BYTES or len(response_code) != 2:
        raise EmvKeyBroken(reason="answer")
    mixed = bytes(left ^ right for left, right in zip(arqc, response_code + bytes(6), strict=True))
    if family is EmvFamily.AES:
        return _aes_block(key, mixed + bytes(8))[:CRYPTOGRAM_BYTES]
    return _tdes_blocks(key, mixed)


def answer_2(key: bytes, arqc: bytes, status_update: bytes, own_data: bytes, family: EmvFamily) -> bytes:
    """The issuer's answer (ARPC) by method 2: 4 bytes over the cryptogram, the card status update and own data.

    Source: EMV Book 2, 8.2.2.
    """
    _check_key(key)
    if len(arqc) != CRYPTOGRAM_BYTES or len(status_update) != 4 or len(own_data) > 8:
        raise EmvKeyBroken(reason="answer")
    return _mac(key, arqc + status_update + own_data, family, EmvPadding.EMV)[:4]


def is_same(claimed: bytes, rebuilt: bytes) -> bool:
    """Whether two cryptograms are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(claimed, rebuilt)


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise EmvKeyBroken(reason="length")


def _mac(key: bytes, data: bytes, family: EmvFamily, padding: EmvPadding) -> bytes:
    if family is EmvFamily.AES:
        mac = CMAC(algorithms.AES(key))
        mac.update(data)
        return mac.finalize()[:CRYPTOGRAM_BYTES]
    return _mac_algorithm_3(key, _padded(data, padding))


def _padded(data: bytes, padding: EmvPadding) -> bytes:
    filled = data + b"\x80" if padding is EmvPadding.EMV else data
    return filled + bytes(-len(filled) % _DES_BLOCK)


def _mac_algorithm_3(key: bytes, data: bytes) -> bytes:
    """Single DES in a chain over all blocks but the last, which goes through all three keys.

    Single DES is the triple one with its key three times. Source: ISO/IEC 9797-1, MAC algorithm 3.
    """
    head, last = data[:-_DES_BLOCK], data[-_DES_BLOCK:]
    if head:
        single = Cipher(TripleDES(key[:8] * 3), _NO_IV).encryptor()
        last = bytes(left ^ right for left, right in zip(last, single.update(head)[-_DES_BLOCK:], strict=True))
    return _tdes_blocks(key, last)


def _tdes_blocks(key: bytes, blocks: bytes) -> bytes:
    return Cipher(TripleDES(key + key[:8]), modes.ECB()).encryptor().update(blocks)  # noqa: S305  # blocks of a derivation


def _aes_block(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305  # one block of a derivation
