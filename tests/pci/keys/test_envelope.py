"""The envelope: known answers, another implementation's opinion, and nothing that was changed opens."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as some
from nacl import bindings

from pci.keys import envelope
from pci.keys.envelope import Dek, KeyMaterial, KeyUses, number_in, open_closed, seal, unseal
from pci.keys.errors import KeyRetired, KeyUsesSpent, SealBroken
from pci.keys.key import Algorithm
from tests.architecture.sources import sources

WYCHEPROOF = {
    116: (
        "0f112e59cdccd851c3b8e76c9f05a3b7c2e4feca5846afeb351c1cbcace82f04",
        "7147973339d86789a2c9a958",
        (
            "37128be45f0a7f329546e1492c3c9c2d2534d5b1f5147e49ab91221e7c3edea2"
            "1bbe47bfe3619437ce3c61e6e946c504f348296918219e51bf2c5598589cff"
        ),
        "102e5804dda1fb5d656077edb15cadb5d0bdee8c",
        "618ac626ae0e8d06c2fd2fb66be253dc26ed6e38",
        "d8d93ff975cb988f09174dcd439cb6a4",
    ),
    117: (
        "2ce6b4c15f85fb2da5cc6c269491eef281980309181249ebf2832bd6d0732d0b",
        "c064fae9173b173fd6f11f34",
        (
            "498d3075b09fed998280583d61bb36b6ce41f130063b80824d1586e143d349b1"
            "26b16aa10fe57343ed223d6364ee602257fe313a7fc9bf9088f027795b8dc1d3"
        ),
        "f8a27a4baf00dc0555d222f2fa4fb42dc666ea3c",
        "aed58d8a252f740dba4bf6d36773bd5b41234bba",
        "01f93d7456aa184ebb49bea472b6d65d",
    ),
    118: (
        "52350da5a572911ee0e0fcedb115af6f4570fbf9c74a11bc184444d6a621d60f",
        "d68ad045c1b9c2923cf5404c",
        (
            "03a94b3841292d9bbf72f413c09167c54ee10537c049afe2bbcec43b18f3890b2f"
            "cdd3bb31e6d709274e199c0c4648eb3d8b38e0c1bf7f309443bef6937cde4123"
        ),
        "4e6e6dad2c16cfc6e7cac03636a4a6d88bd6a13e",
        "c7764411be13cfeaaece761bd3bb13552f088048",
        "bcc2544e79f34ea1076a12b76441d6fa",
    ),
}
"""Key, nonce, aad, plaintext, ciphertext, tag. Source: Wycheproof, aes_gcm_test.json, by tcId."""
NIST_GCM = {
    "a tag over nothing": ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    "a block of zeros": (
        "00" * 32, "00" * 12, "", "00" * 16,
        "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919",
    ),
}  # fmt: skip
"""Source: McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, test cases 13 and 14."""
VECTORS = {**{f"tcId {number}": vector for number, vector in WYCHEPROOF.items()}, **NIST_GCM}

KEY = KeyMaterial(bytes(range(32)))
bodies = some.binary(max_size=200)


def dek(number: int = 7, left: int = 1_000, key: KeyMaterial = KEY) -> Dek:
    return Dek(number, key, Algorithm.AES_256_GCM, KeyUses(left))


@pytest.mark.parametrize("name", VECTORS)
def test_known_answers(name: str) -> None:
    key, nonce, aad, plain, ciphertext, tag = map(bytes.fromhex, VECTORS[name])
    blob = envelope.head(7) + nonce + ciphertext + tag

    assert unseal(dek(key=KeyMaterial(key)), blob, aad) == plain
    assert AESGCM(key).encrypt(nonce, plain, aad) == ciphertext + tag


@pytest.mark.parametrize("bit", range(128))
def test_every_bit_of_a_tag_counts(bit: int) -> None:
    key, nonce, aad, _, ciphertext, tag = map(bytes.fromhex, WYCHEPROOF[116])
    wrong = bytearray(tag)
    wrong[bit // 8] ^= 1 << bit % 8

    with pytest.raises(SealBroken):
        open_closed(AESGCM(key), nonce + ciphertext + bytes(wrong), aad)


@settings(max_examples=50)
@given(bodies, bodies)
def test_libsodium_opens_what_we_close_and_we_what_it_closes(plain: bytes, aad: bytes) -> None:
    blob = seal(dek(), plain, aad)
    nonce, closed = blob[envelope.HEAD_BYTES :][:12], blob[envelope.HEAD_BYTES + 12 :]

    assert bindings.crypto_aead_aes256gcm_decrypt(closed, aad, nonce, KEY.expose()) == plain
    theirs = bindings.crypto_aead_aes256gcm_encrypt(plain, aad, nonce, KEY.expose())
    assert unseal(dek(), envelope.head(7) + nonce + theirs, aad) == plain


@settings(max_examples=50)
@given(bodies, bodies)
def test_what_is_closed_opens_and_says_by_which_key(plain: bytes, aad: bytes) -> None:
    blob = seal(dek(2**32 - 1), plain, aad)

    assert unseal(dek(2**32 - 1), blob, aad) == plain
    assert number_in(blob) == 2**32 - 1
    assert len(blob) == len(plain) + envelope.OVERHEAD_BYTES == len(plain) + 34


@settings(max_examples=100)
@given(some.binary(min_size=1, max_size=40), some.data())
def test_no_byte_may_be_changed_cut_or_added(plain: bytes, data: some.DataObject) -> None:
    blob = seal(dek(), plain, b"aad")
    place = data.draw(some.integers(0, len(blob) - 1))
    changed = bytearray(blob)
    changed[place] ^= data.draw(some.integers(1, 255))

    for wrong in (bytes(changed), blob[:place], blob + b"\0"):
        with pytest.raises(SealBroken):
            unseal(dek(), wrong, b"aad")


def test_neither_another_place_nor_another_key_opens_it() -> None:
    blob = seal(dek(), b"4242", b"card|tok_1")

    for wrong, aad in ((dek(), b"card|tok_2"), (dek(8), b"card|tok_1"), (dek(key=KeyMaterial(b"x" * 32)), b"")):
        with pytest.raises(SealBroken) as broken:
            unseal(wrong, blob, aad)
        assert broken.value.facts == {}
        assert broken.value.__cause__ is None


@pytest.mark.parametrize("blob", [b"", b"\1\1", b"\2\1" + b"\0" * 40, b"\1\2" + b"\0" * 40, b"\1\1" + b"\0" * 31])
def test_what_is_no_blob_of_ours_has_no_number(blob: bytes) -> None:
    with pytest.raises(SealBroken):
        number_in(blob)


def test_the_same_is_closed_differently_each_time() -> None:
    assert len({seal(dek(), b"4242", b"") for _ in range(100)}) == 100


def test_uses_end() -> None:
    few = dek(left=2)

    seal(few, b"1", b"")
    seal(few, b"1", b"")
    with pytest.raises(KeyUsesSpent):
        seal(few, b"2", b"")


def test_a_retired_key_opens_and_does_not_close() -> None:
    blob = seal(dek(), b"x", b"")
    retired = Dek(7, KEY, uses=KeyUses(100, is_retired=True))

    assert unseal(retired, blob, b"") == b"x"
    with pytest.raises(KeyRetired):
        seal(retired, b"x", b"")


def test_keys_of_one_kind_do_not_do_the_work_of_another() -> None:
    digest = Dek(7, KEY, Algorithm.HMAC_SHA_256, KeyUses(9))

    with pytest.raises(AssertionError):
        seal(digest, b"x", b"")
    with pytest.raises(SealBroken):
        unseal(digest, seal(dek(), b"x", b""), b"")
    with pytest.raises(AssertionError):
        envelope.mac(dek(), b"x")


def test_digests_are_rfc_4231s() -> None:
    """Source: RFC 4231, test case 2, whose key is ``Jefe``."""
    digest = Dek(7, KeyMaterial(b"Jefe"), Algorithm.HMAC_SHA_256)

    assert envelope.mac(digest, b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_a_key_is_never_shown_or_pickled() -> None:
    shown = f"{KEY} {KEY!r} {dek()!r} {dek()}"

    assert KEY.expose().hex() not in shown
    assert repr(KEY.expose()) not in shown
    for thing in (KEY, dek()):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert KeyMaterial(b"a") == KeyMaterial(b"a") != KeyMaterial(b"b")


def test_only_the_envelope_touches_aes_gcm() -> None:
    wanted = "cryptography.hazmat.primitives.ciphers.aead"
    touching = {source.path for source in sources() for _, module in source.imported() if module == wanted}

    assert touching == {"pci/keys/envelope.py"}
