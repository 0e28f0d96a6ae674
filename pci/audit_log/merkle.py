"""The tree over the leaves: its root, its frontier, and proofs that a leaf is in it and that it only grew.

Source: RFC 6962 2.1 (hashes, paths and proofs), RFC 9162 2.1.3.2 and 2.1.4.2 (checking them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
PAIR_BYTES = 2 * HASH_BYTES
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(line: bytes) -> bytes:
    """The hash of one leaf. Those of events and entries are made by PostgreSQL."""
    return sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the complete subtrees that a tree of ``size`` leaves consists of, the largest first.

    All that is needed to grow the tree and to say its root: one hash for each 1 in the size's binary form.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes(cls, size: int, joined: bytes) -> Frontier:
        """The frontier as the database keeps it."""
        assert len(joined) == HASH_BYTES * size.bit_count(), "a hash for each 1 in the size"
        return cls(size, split(joined))

    def to_bytes(self) -> bytes:
        """All hashes in one piece."""
        return b"".join(self.hashes)

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, root = self.hashes
        for left in reversed(larger):
            root = node_hash(left, root)
        return root

    def grown(self, leaves: Sequence[bytes]) -> Frontier:
        """The frontier after more leaf hashes."""
        return self.grown_by(b"".join(leaves))

    def grown_by(self, joined: bytes) -> Frontier:
        """The frontier after more leaf hashes in one piece, level by level: one hash for each new node."""
        standing, kept = list(self.hashes), []
        nodes, place = joined, self.size
        while nodes or place:
            if place & 1:
                nodes = standing.pop() + nodes
            if len(nodes) % PAIR_BYTES:
                kept.append(nodes[-HASH_BYTES:])
                nodes = nodes[:-HASH_BYTES]
            pairs = range(0, len(nodes), PAIR_BYTES)
            nodes = b"".join([sha256(b"\x01" + nodes[start : start + PAIR_BYTES]).digest() for start in pairs])
            place >>= 1
        return Frontier(self.size + len(joined) // HASH_BYTES, tuple(reversed(kept)))


EMPTY = Frontier()
"""A tree without a leaf."""


def split(joined: bytes) -> tuple[bytes, ...]:
    """Hashes that were joined in one piece."""
    return tuple(joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Frontier().grown(leaves).root()


def inclusion_path(leaves: Sequence[bytes], idx: int) -> list[bytes]:
    """The hashes that lead from leaf number ``idx`` to the root. Source: RFC 6962 2.1.1."""
    assert 0 <= idx < len(leaves)
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if idx < half:
        return [*inclusion_path(leaves[:half], idx), root_of(leaves[half:])]
    return [*inclusion_path(leaves[half:], idx - half), root_of(leaves[:half])]


def consistency_path(leaves: Sequence[bytes], size: int, *, is_whole: bool = True) -> list[bytes]:
    """The hashes that prove the first ``size`` leaves to be the beginning of all. Source: RFC 6962 2.1.2."""
    assert 0 < size <= len(leaves)
    if size == len(leaves):
        return [] if is_whole else [root_of(leaves)]
    half = _half(len(leaves))
    if size <= half:
        return [*consistency_path(leaves[:half], size, is_whole=is_whole), root_of(leaves[half:])]
    return [*consistency_path(leaves[half:], size - half, is_whole=False), root_of(leaves[:half])]


def _half(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


def is_included(leaf: bytes, idx: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf to the root. Source: RFC 9162 2.1.3.2."""
    if not 0 <= idx < size or len(leaf) != HASH_BYTES:
        return False
    place, last, found = idx, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old_size: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the older tree is the beginning of the newer. Source: RFC 9162 2.1.4.2."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == root
    steps = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not steps:
        return False
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            newer = node_hash(newer, step)
        place, last = place >> 1, last >> 1
    return last == 0 and older == old_root and newer == root
