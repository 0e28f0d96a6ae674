"""What is sealed opens for its token, merchant, key and field, and for nothing else; masks and digits tokens hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pci.keys.envelope import Dek, KeyMaterial, KeyUses
from pci.keys.errors import SealBroken
from pci.keys.key import Algorithm
from pci.luhn import passes_luhn
from pci.pan import Pan
from tokenization import sealing
from tokenization.digit_tokens import is_digits_token, new_digits_token

DEK = Dek(7, KeyMaterial(b"k" * 32), uses=KeyUses(1_000_000))
FINGERPRINT = Dek(8, KeyMaterial(b"f" * 32), Algorithm.HMAC_SHA_256)
TOKEN, MERCHANT = "tok_" + "a" * 25, "mer_shop"


def numbered(body: int) -> Pan:
    text = f"2200{body:011}"
    return Pan(text + next(check for check in "0123456789" if passes_luhn(text + check)))


pans = st.integers(0, 10**11 - 1).map(numbered)


@settings(max_examples=50)
@given(pan=pans)
def test_a_sealed_number_comes_back_and_its_blob_shows_nothing_of_it(pan: Pan) -> None:
    blob = sealing.seal_pan(DEK, pan, token=TOKEN, merchant_id=MERCHANT)

    assert sealing.unseal_pan(DEK, blob, token=TOKEN, merchant_id=MERCHANT) == pan
    assert pan.expose().encode() not in blob
    assert sealing.seal_pan(DEK, pan, token=TOKEN, merchant_id=MERCHANT) != blob
    assert pan.mask == f"{pan.expose()[:6]}******{pan.expose()[-4:]}"


@settings(max_examples=50)
@given(pan=pans, token=st.sampled_from(["tok_" + "b" * 25, ""]), place=st.integers(0, 40))
def test_nothing_else_opens_it(pan: Pan, token: str, place: int) -> None:
    blob = sealing.seal_pan(DEK, pan, token=TOKEN, merchant_id=MERCHANT)
    bent = bytearray(blob)
    bent[place] ^= 1
    other_key = Dek(9, DEK.key, uses=KeyUses(10))

    for tried in (
        lambda: sealing.unseal_pan(DEK, blob, token=token, merchant_id=MERCHANT),
        lambda: sealing.unseal_pan(DEK, blob, token=TOKEN, merchant_id="mer_other"),
        lambda: sealing.unseal_holder(DEK, blob, token=TOKEN, merchant_id=MERCHANT),
        lambda: sealing.unseal_pan(DEK, bytes(bent), token=TOKEN, merchant_id=MERCHANT),
        lambda: sealing.unseal_pan(other_key, blob, token=TOKEN, merchant_id=MERCHANT),
    ):
        with pytest.raises(SealBroken):
            tried()


@settings(max_examples=50)
@given(one=pans, two=pans)
def test_a_fingerprint_is_of_the_number_its_scope_and_its_key_alone(one: Pan, two: Pan) -> None:
    digest = sealing.fingerprint_of(FINGERPRINT, MERCHANT, one)

    assert (digest == sealing.fingerprint_of(FINGERPRINT, MERCHANT, two)) is (one == two)
    assert digest != sealing.fingerprint_of(FINGERPRINT, "mer_other", one)
    assert digest != sealing.fingerprint_of(replace(FINGERPRINT, key=KeyMaterial(b"g" * 32)), MERCHANT, one)


def test_a_known_number_has_a_known_fingerprint() -> None:
    digest = sealing.fingerprint_of(FINGERPRINT, MERCHANT, Pan("2200111753579001"))

    # printf 'pan/v1|mer_shop|2200111753579001' | openssl dgst -sha256 -hmac ffffffffffffffffffffffffffffffff
    assert digest.hex() == "cfcf16b6cf113da988a90b600b31cd8028c186294fd4ebcea4cb8514c6aaf179"


@settings(max_examples=60)
@given(digits=st.integers(13, 19))
def test_a_digits_token_has_the_length_and_passes_for_no_card(digits: int) -> None:
    token = new_digits_token(digits)

    assert len(token) == digits
    assert is_digits_token(token)
    assert not passes_luhn(token)
    with pytest.raises(Exception, match="card"):
        Pan(token)


@pytest.mark.parametrize("text", ["2200111753579001", "9999", "99990000000000", "9999" + "٠" * 12, "tok_9999"])
def test_other_texts_are_no_digits_tokens(text: str) -> None:
    assert not is_digits_token(text) or not passes_luhn(text)
