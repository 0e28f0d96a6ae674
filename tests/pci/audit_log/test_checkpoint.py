"""Checkpoints: signed notes that foreign tools read, and nothing else is taken for one."""

from __future__ import annotations

import base64

import pytest
from nacl.signing import SigningKey

from pci.audit_log.checkpoint import VAULT_ORIGIN, Verifier, read_checkpoint, read_verifier, sign
from pci.audit_log.errors import CheckpointMalformed
from pci.audit_log.merkle import EMPTY, leaf_hash
from tests.pci.audit_log.log import KEY, VERIFIER

TREE = EMPTY.grown([leaf_hash(bytes([number])) for number in range(5)])
NOTE = sign(VAULT_ORIGIN, TREE, KEY).note
TEXT, SIGNATURE = NOTE.split("\n\n")

EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""Source: the example of the Go package golang.org/x/mod/sumdb/note, whose form C2SP's signed-note is."""
EXAMPLE_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
EXAMPLE_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def test_a_note_has_the_three_lines_and_a_signature() -> None:
    lines = NOTE.split("\n")

    assert lines[:2] == ["kopeyka/vault", "5"]
    assert base64.b64decode(lines[2]) == TREE.root()
    assert lines[3] == ""
    assert lines[4].startswith("— kopeyka/vault ")
    assert lines[5:] == [""]
    assert read_checkpoint(NOTE, VERIFIER).root == TREE.root()


def test_keys_and_signatures_are_those_of_the_public_example() -> None:
    verifier = read_verifier(EXAMPLE_KEY)
    signature = base64.b64decode(EXAMPLE_SIGNATURE)

    assert verifier.show() == EXAMPLE_KEY
    assert signature[:4] == verifier.key_id
    verifier.key.verify(EXAMPLE_TEXT.encode(), signature[4:])


def test_a_verifier_key_is_read_back() -> None:
    assert read_verifier(VERIFIER.show()) == VERIFIER


@pytest.mark.parametrize("shown", ["", "a+b", VERIFIER.show()[:-4], "other" + VERIFIER.show(), "x+00000000+AAAA"])
def test_what_is_no_verifier_key_is_refused(shown: str) -> None:
    with pytest.raises(CheckpointMalformed):
        read_verifier(shown)


def test_the_signature_of_a_witness_is_passed_over() -> None:
    witness = Verifier("witness.example", SigningKey(b"w" * 32).verify_key)
    line = f"— {witness.name} {base64.b64encode(witness.key_id + b'0' * 64).decode()}\n"

    assert read_checkpoint(NOTE + line, VERIFIER).size == 5
    with pytest.raises(CheckpointMalformed):
        read_checkpoint(f"{TEXT}\n\n{line}", VERIFIER)


@pytest.mark.parametrize(
    "note",
    {
        "nothing": "",
        "no signature": TEXT + "\n",
        "a signature of nothing": SIGNATURE,
        "another size": NOTE.replace("\n5\n", "\n6\n"),
        "a size with a sign": NOTE.replace("\n5\n", "\n+5\n"),
        "a size with a zero before it": NOTE.replace("\n5\n", "\n05\n"),
        "another log": NOTE.replace("kopeyka/vault", "kopeyka/books"),
        "one line more": NOTE.replace("\n\n", "\nextension\n\n"),
        "one line less": NOTE.replace("\n5\n", "\n"),
        "no end": NOTE[:-1],
        "a line end of another system": NOTE.replace("\n", "\r\n"),
        "a short root": NOTE.replace(TEXT.split("\n")[2], "AAAA"),
        "not base64": NOTE.replace(TEXT.split("\n")[2], "#" * 44),
        "a dash instead of the long one": NOTE.replace("— ", "- "),
        "a false signature": NOTE[:-10] + "AAAAAAA==\n",
        "too long": NOTE + "— a AAAA\n" * 500,
    }.items(),
    ids=lambda pair: pair[0],
)
def test_what_is_no_note_of_the_log_is_refused(note: tuple[str, str]) -> None:
    with pytest.raises(CheckpointMalformed):
        read_checkpoint(note[1], VERIFIER)


def test_the_key_of_somebody_else_is_not_believed() -> None:
    forged = sign(VAULT_ORIGIN, TREE, SigningKey(b"f" * 32)).note

    with pytest.raises(CheckpointMalformed):
        read_checkpoint(forged, VERIFIER)
