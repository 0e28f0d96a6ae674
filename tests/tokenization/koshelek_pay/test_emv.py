"""Card cryptography agrees with an older implementation on anything, and with vectors checked on hardware."""

from __future__ import annotations

import warnings

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.koshelek_pay.emv import (
    EmvFamily,
    EmvKeyBroken,
    EmvPadding,
    answer_1,
    answer_2,
    common_session_key,
    cryptogram,
    is_same,
    master_key,
    session_key,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyemv import ac, kd

old_des = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
"""The oracle uses forms of triple DES that are to be removed; ours does not."""

TDES, AES_FAMILY = EmvFamily.TDES, EmvFamily.AES
ISSUER_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
DATA = bytes.fromhex("0123456789ABCDEF0123456789ABCDEF")

keys = st.binary(min_size=16, max_size=16).filter(lambda key: len({key[:8], key[8:]}) == 2)
numbers = st.text("0123456789", min_size=13, max_size=16)
sequences = st.text("0123456789", min_size=2, max_size=2)
counters = st.integers(1, 0xFFFF)
data = st.binary(min_size=1, max_size=255)


@old_des
@settings(max_examples=200, deadline=None)
@given(keys, numbers, sequences, counters, data, st.sampled_from(list(EmvPadding)))
def test_everything_agrees_with_the_oracle(
    issuer_key: bytes, number: str, sequence: str, atc: int, payment: bytes, padding: EmvPadding
) -> None:
    ours = master_key(issuer_key, number, sequence, TDES)
    assert ours == kd.derive_icc_mk_a(issuer_key, number, sequence)

    key = session_key(ours, atc, TDES)
    assert key == kd.derive_common_sk(ours, atc.to_bytes(2, "big") + bytes(6))

    arqc = cryptogram(key, payment, TDES, padding)
    theirs = ac.PaddingType.EMV if padding is EmvPadding.EMV else ac.PaddingType.VISA
    assert arqc == ac.generate_ac(key, payment, theirs)


@old_des
@settings(max_examples=100, deadline=None)
@given(keys, st.binary(min_size=8, max_size=8), st.binary(min_size=6, max_size=6), st.binary(max_size=8))
def test_answers_agree_with_the_oracle(key: bytes, arqc: bytes, decision: bytes, own_data: bytes) -> None:
    assert answer_1(key, arqc, decision[:2], TDES) == ac.generate_arpc_1(key, arqc, decision[:2])
    assert answer_2(key, arqc, decision[2:], own_data, TDES) == ac.generate_arpc_2(key, arqc, decision[2:], own_data)


def check_digits(key: bytes) -> str:
    return session_cipher(key, bytes(8))[:2].hex().upper()


def session_cipher(key: bytes, block: bytes) -> bytes:
    return answer_1(key, block, b"\0\0", TDES)


@pytest.mark.parametrize(
    ("number", "sequence", "of_master", "of_session", "arqc", "arpc_of_master", "arpc_of_session"),
    [
        ("9901234567890123", "45", "1DA5", "0995", "4B46013359B7A58B", "F8C9CECAABD55AD1", None),
        ("2345678901234567", "45", "FF08", "DF82", "19C1FBC83EBDC0D5", "78A372523FA35A03", "C3620580668E5B65"),
        ("2345678901234567", "00", None, "3F4F", "8698A7319324FD93", "BEA11C8F4A47EF6F", None),
    ],
)
def test_vectors_checked_on_hardware(
    number: str,
    sequence: str,
    of_master: str | None,
    of_session: str,
    arqc: str,
    arpc_of_master: str,
    arpc_of_session: str | None,
) -> None:
    """Source: pyemv 1.5.0, test_ac_hsm.py and test_kd_hsm.py (a number of 17 digits counts from its second)."""
    assert check_digits(ISSUER_KEY) == "08D7"

    token_key = master_key(ISSUER_KEY, number, sequence, TDES)
    key = common_session_key(token_key, bytes.fromhex("1234567890123456"), TDES)
    ours = cryptogram(key, DATA, TDES)

    assert of_master in (None, check_digits(token_key))
    assert (check_digits(key), ours.hex().upper()) == (of_session, arqc)
    assert answer_1(token_key, ours, b"\0\0", TDES).hex().upper() == arpc_of_master
    assert arpc_of_session in (None, answer_1(key, ours, b"\0\0", TDES).hex().upper())


def test_vectors_of_zero_padding_and_of_method_2_checked_on_hardware() -> None:
    """Source: pyemv 1.5.0, tests/test_ac_hsm.py."""
    token_key = master_key(ISSUER_KEY, "9901234567890123", "45", TDES)
    key = common_session_key(token_key, bytes.fromhex("1234567890123456"), TDES)
    arqc = cryptogram(key, DATA, TDES)

    assert cryptogram(key, DATA + b"\x01", TDES, EmvPadding.ZEROS).hex() == "2e141c6bc4a20da8"
    assert cryptogram(key, DATA, TDES, EmvPadding.ZEROS).hex() == "922f3e83125eb46b"
    assert answer_2(key, arqc, bytes(4), bytes.fromhex("1234567890ABCDEF"), TDES).hex() == "4962b76c"
    assert answer_2(key, arqc, bytes(4), b"", TDES).hex() == "7dfb1188"


@settings(max_examples=50, deadline=None)
@given(keys, numbers, sequences, counters, data)
def test_the_aes_family_is_its_formula(issuer_key: bytes, number: str, sequence: str, atc: int, payment: bytes) -> None:
    """No vectors are public: the formulas of Book 2 are written out a second time, from the other end."""

    def block(key: bytes, text: str) -> bytes:
        return Cipher(AES(key), modes.CBC(bytes(16))).encryptor().update(bytes.fromhex(text))

    token_key = block(issuer_key, f"{number}{sequence}".rjust(32, "0"))
    key = block(token_key, f"{atc:04x}".ljust(32, "0"))
    mac = CMAC(AES(key))
    mac.update(payment)
    arqc = mac.finalize()[:8]

    assert master_key(issuer_key, number, sequence, AES_FAMILY) == token_key
    assert session_key(token_key, atc, AES_FAMILY) == key
    assert cryptogram(key, payment, AES_FAMILY) == arqc
    assert (
        answer_1(key, arqc, b"00", AES_FAMILY)
        == block(key, (int.from_bytes(arqc) ^ 0x3030 << 48).to_bytes(8).hex() + "0" * 16)[:8]
    )


def test_cmac_is_the_public_one() -> None:
    """Source: NIST SP 800-38B, D.1, example 2 (first half of the tag)."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")

    assert cryptogram(key, bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"), AES_FAMILY).hex() == "070a16b46b4d4144"


@settings(max_examples=60, deadline=None)
@given(keys, counters, counters, data, st.integers(0, 254), st.sampled_from(list(EmvFamily)))
def test_another_counter_or_another_bit_is_another_cryptogram(
    key: bytes, atc: int, other: int, payment: bytes, place: int, family: EmvFamily
) -> None:
    arqc = cryptogram(session_key(key, atc, family), payment, family)
    changed = bytearray(payment)
    changed[place % len(payment)] ^= 1

    assert not is_same(arqc, cryptogram(session_key(key, atc, family), bytes(changed), family))
    if other != atc:
        assert not is_same(arqc, cryptogram(session_key(key, other, family), payment, family))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda: master_key(b"short", "2200111753579001", "01", TDES), id="a short key"),
        pytest.param(lambda: master_key(bytes(16), "220011175357900x", "01", TDES), id="not digits"),
        pytest.param(lambda: master_key(bytes(16), "2200111753579001", "1", TDES), id="a short sequence number"),
        pytest.param(lambda: master_key(bytes(16), "22001117535790011", "01", TDES), id="too long for option A"),
        pytest.param(lambda: session_key(bytes(16), 0, TDES), id="no counter"),
        pytest.param(lambda: session_key(bytes(16), 0x10000, AES_FAMILY), id="a counter of three bytes"),
        pytest.param(lambda: common_session_key(bytes(16), bytes(8), AES_FAMILY), id="a short diversifier"),
        pytest.param(lambda: cryptogram(bytes(16), b"", TDES), id="nothing to sign"),
        pytest.param(lambda: cryptogram(bytes(16), bytes(1025), AES_FAMILY), id="too much to sign"),
        pytest.param(lambda: answer_1(bytes(16), bytes(7), b"00", TDES), id="a short cryptogram"),
        pytest.param(lambda: answer_2(bytes(16), bytes(8), bytes(4), bytes(9), AES_FAMILY), id="too much own data"),
    ],
)
def test_what_is_no_key_counter_or_data_is_refused(broken) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EmvKeyBroken):
        broken()
