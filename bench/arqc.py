"""The row of ``bench vault`` about cryptograms: from the issuer's key to the proof of one payment, against ``pyemv``.

Both derive the key of the token, the key of the counter and the cryptogram each time, from the same data, in turns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from statistics import median

from bench.rows import Row, faster
from ledger.clock import monotonic
from tokenization.koshelek_pay.emv import EmvFamily, cryptogram, master_key, session_key

ROUNDS = 7
CRYPTOGRAMS = 4_000
TARGET = 1.2
ISSUER_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
NUMBER = "9643000112345674"
SEQUENCE = "01"
DATA = bytes.fromhex("000000149990000000000000064300000000000643261122 00DEADBEEF0080000706011203A00000")

Proof = Callable[[int], bytes]


def ours(atc: int) -> bytes:
    """A cryptogram by the vault's own cryptography."""
    key = master_key(ISSUER_KEY, NUMBER, SEQUENCE, EmvFamily.TDES)
    return cryptogram(session_key(key, atc, EmvFamily.TDES), DATA, EmvFamily.TDES)


def theirs() -> Proof:
    """A cryptogram by ``pyemv``, a development dependency; it uses forms that its own library warns of."""
    warnings.filterwarnings("ignore", module="pyemv")
    from pyemv import ac, kd

    def proof(atc: int) -> bytes:
        key = kd.derive_icc_mk_a(ISSUER_KEY, NUMBER, SEQUENCE)
        return bytes(ac.generate_ac(kd.derive_common_sk(key, atc.to_bytes(2, "big") + bytes(6)), DATA))

    return proof


def rows() -> list[Row]:
    """The one row. Both must agree before anybody is timed."""
    baseline = theirs()
    assert all(ours(atc) == baseline(atc) for atc in range(1, 100)), "the two do not agree"
    rounds = [(_per_second(ours), _per_second(baseline)) for _ in range(ROUNDS)]
    figure, base = median(one for one, _ in rounds), median(other for _, other in rounds)
    return [faster("arqc", figure, base, TARGET, "cryptograms/s", "pyemv, the same derivation and cryptogram")]


def _per_second(proof: Proof) -> float:
    began = monotonic()
    for atc in range(1, CRYPTOGRAMS + 1):
        proof(atc)
    return CRYPTOGRAMS / (monotonic() - began)
