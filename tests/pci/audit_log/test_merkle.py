"""The tree: RFC 6962's reference roots and proofs, and every proof of every tree up to forty leaves."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pci.audit_log.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
    split,
)

INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
"""Source: the eight leaves of the reference tree of Certificate Transparency."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Source: transparency-dev/merkle, the roots of its first 1 … 8 leaves."""
LEAVES = [leaf_hash(bytes.fromhex(line)) for line in INPUTS]
SIZES = range(1, 41)


def leaves_of_size(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_the_reference_tree(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of([]) == EMPTY_ROOT


INCLUSIONS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCIES = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
"""Source: transparency-dev/merkle, the proofs of its reference tree."""


@pytest.mark.parametrize(("idx", "size"), INCLUSIONS)
def test_inclusion_proofs_are_those_of_the_reference_tree(idx: int, size: int) -> None:
    path = inclusion_path(LEAVES[:size], idx)

    assert [step.hex() for step in path] == INCLUSIONS[idx, size]
    assert is_included(LEAVES[idx], idx, size, path, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "size"), CONSISTENCIES)
def test_consistency_proofs_are_those_of_the_reference_tree(old: int, size: int) -> None:
    path = consistency_path(LEAVES[:size], old)

    assert [step.hex() for step in path] == CONSISTENCIES[old, size]
    assert is_consistent(old, size, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[size - 1]), path)


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_of_every_tree_is_proved_and_at_no_other_place(size: int) -> None:
    leaves = leaves_of_size(size)
    root = root_of(leaves)
    for idx, leaf in enumerate(leaves):
        path = inclusion_path(leaves, idx)
        assert is_included(leaf, idx, size, path, root)
        assert not is_included(leaf, (idx + 1) % size if size > 1 else 1, size, path, root)
        assert not is_included(leaf, idx, size, [*path, root], root)
        assert not is_included(leaf, idx, size, path[:-1], root) or size == 1
        assert not is_included(leaf_hash(b"other"), idx, size, path, root)


@pytest.mark.parametrize("size", SIZES)
def test_every_tree_is_the_beginning_of_every_larger_one_and_of_no_other(size: int) -> None:
    leaves = leaves_of_size(size)
    root = root_of(leaves)
    for old in range(1, size + 1):
        path, old_root = consistency_path(leaves, old), root_of(leaves[:old])
        assert is_consistent(old, size, old_root, root, path)
        assert not is_consistent(old, size, leaf_hash(b"other"), root, path)
        assert not is_consistent(old, size, old_root, leaf_hash(b"other"), path)
        assert not is_consistent(old, size, old_root, root, [*path, root])
        assert not path or not is_consistent(old, size, old_root, root, path[:-1])


def test_what_is_no_tree_is_consistent_with_none() -> None:
    root = bytes.fromhex(ROOTS[0])

    assert not is_consistent(0, 1, EMPTY_ROOT, root, [])
    assert not is_consistent(2, 1, root, root, [])
    assert not is_consistent(1, 2, root, root, [])
    assert not is_included(root[:-1], 0, 1, [], root[:-1])


@given(st.lists(st.integers(min_value=0, max_value=70), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_tree_grown_in_pieces_is_the_tree_grown_at_once(pieces: list[int]) -> None:
    leaves = [sha256(number.to_bytes(4, "big")).digest() for number in range(sum(pieces))]
    tree, start = Frontier(), 0
    for piece in pieces:
        tree, start = tree.grown(leaves[start : start + piece]), start + piece

    assert tree == Frontier().grown(leaves)
    assert tree == Frontier.from_bytes(tree.size, tree.to_bytes())
    assert tree.hashes == split(tree.to_bytes())
