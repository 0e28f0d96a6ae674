#!/usr/bin/env python3
"""Check a log of Kopeyka without Kopeyka. One file: copy it. Needs Python 3.11 and PyNaCl, nothing else.

    kopeyka-verify verify-dump dump.jsonl checkpoint.txt kopeyka-vault.vkey --witness sink.jsonl
    kopeyka-verify inclusion proof.json checkpoint.txt kopeyka-vault.vkey
    kopeyka-verify consistency proof.json old-checkpoint.txt checkpoint.txt kopeyka-vault.vkey
    kopeyka-verify diff an-older-dump.jsonl dump.jsonl

A checkpoint is a signed note (C2SP tlog-checkpoint and signed-note), or a file of a sink, whose last note is taken. A
witness is a file of a sink: it holds every leaf hash that was ever exported, so a flaw is named to the line, and a dump
of an older copy is noticed: a sink may hold up to 1,000 leaves more (sealed since), with --strict none. Ends with
code 0 when everything holds, 1 when something does not, 2 when the question makes no sense.

A line of a dump is the very bytes that were hashed, or {"leaf":"<hash>"} after retention took them (then say
--retained-from LINE). The first line is leaf 0. Beside dump.jsonl lies dump.leaves, the hashes that the database holds:
it names a line whose bytes were edited and nothing else; a witness names it also when they were edited alike.

Source: RFC 6962 2.1, RFC 9162 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

sha256 = hashlib.sha256
BLOCK_BYTES = 1 << 19
"""Small enough to stay near the processor: larger blocks are hashed more slowly."""
FLAWS_MAX = 20
NEWER_MAX = 1_000
"""Leaves that a sink may hold beyond a dump: the log goes on while it is dumped."""
HASH_ONLY = re.compile(rb'\{"leaf":"([0-9a-f]{64})"\}')
HASH_ONLY_BYTES = 75


class Refused(Exception):
    """Something that was given is not what it should be."""


@dataclass(frozen=True)
class Checkpoint:
    """Whose log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes


# --- the tree ---------------------------------------------------------------------------------------------------------


class Tree:
    """Grows by leaf hashes; keeps one hash for each 1 in its size."""

    def __init__(self) -> None:
        self.size = 0
        self.hashes: list[bytes] = []

    def grow(self, leaves: Sequence[bytes]) -> None:
        """Add leaves, level by level."""
        nodes, place, kept = list(leaves), self.size, list[bytes]()
        while nodes or place:
            if place & 1:
                nodes.insert(0, self.hashes.pop())
            if len(nodes) & 1:
                kept.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            place >>= 1
        self.size += len(leaves)
        self.hashes = kept[::-1]

    def root(self) -> bytes:
        """The root over all leaves."""
        if not self.hashes:
            return sha256(b"").digest()
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = sha256(b"\x01" + left + root).digest()
        return root


def climb(leaf: bytes, idx: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to; nothing if it is too short or too long."""
    place, last, found = idx, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = sha256(b"\x01" + step + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + step).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def grew(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> bool:
    """Whether the older tree is the beginning of the newer one."""
    if not 0 < old.size <= new.size:
        return False
    if old.size == new.size:
        return not path and old.root == new.root
    steps = list(path) if old.size & (old.size - 1) else [old.root, *path]
    place, last = old.size - 1, new.size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    if not steps:
        return False
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            older, newer = sha256(b"\x01" + step + older).digest(), sha256(b"\x01" + step + newer).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            newer = sha256(b"\x01" + newer + step).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and older == old.root and newer == new.root


# --- notes and keys ---------------------------------------------------------------------------------------------------


def read_keys(given: str) -> dict[str, tuple[bytes, VerifyKey]]:
    """Verifier keys by name, from a file of lines or one given as it is: ``name+keyid+base64``."""
    lines = Path(given).read_text("utf-8").splitlines() if Path(given).is_file() else [given]
    keys = {}
    for line in filter(str.strip, lines):
        try:
            name, key_id, encoded = line.strip().split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise Refused(f"not a verifier key: {line[:80]}") from error
        expected = sha256(name.encode() + b"\n" + raw).digest()[:4]
        if len(raw) != 33 or raw[0] != 1 or expected.hex() != key_id:
            raise Refused(f"not an Ed25519 verifier key: {line[:80]}")
        keys[name] = expected, VerifyKey(raw[1:])
    return keys


def read_note(note: str, keys: dict[str, tuple[bytes, VerifyKey]]) -> Checkpoint:
    """The checkpoint of a note that one of the keys signed, under its origin's name."""
    text, blank, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise Refused("not a checkpoint: an origin, a size, a root, a blank line and signatures are expected")
    if lines[0] not in keys:
        raise Refused(f"no key of {lines[0]!r} was given")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:
        raise Refused("the root of the checkpoint is not base64") from error
    if len(root) != 32:
        raise Refused("the root of the checkpoint is not a SHA-256")
    key_id, key = keys[lines[0]]
    for line in signatures.rstrip("\n").split("\n"):
        signed = re.fullmatch(r"— (\S+) ([A-Za-z0-9+/]+=*)", line)
        if signed is None:
            raise Refused("a signature line of the checkpoint cannot be read")
        raw = base64.b64decode(signed[2] + "=" * (-len(signed[2]) % 4))
        if signed[1] == lines[0] and raw[:4] == key_id:
            try:
                key.verify((text + "\n").encode(), raw[4:])
            except (BadSignatureError, ValueError) as error:
                raise Refused("the signature of the checkpoint is false") from error
            return Checkpoint(lines[0], int(lines[1]), root)
    raise Refused(f"the checkpoint is not signed by the key of {lines[0]!r}")


def read_checkpoint(path: str, keys: dict[str, tuple[bytes, VerifyKey]]) -> Checkpoint:
    """The checkpoint of a file: a note, or the last of a sink."""
    text = Path(path).read_text("utf-8")
    if text.startswith("{"):
        notes = [exported["note"] for exported in exports_of(path)]
        if not notes:
            raise Refused(f"{path} holds no checkpoint")
        text = str(notes[-1])
    return read_note(text, keys)


def exports_of(path: str) -> Iterator[dict[str, object]]:
    """What was exported to a sink, in order; a line that was cut off by a crash is passed over."""
    with Path(path).open("rb") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def witnessed(path: str, keys: dict[str, tuple[bytes, VerifyKey]]) -> list[bytes]:
    """All leaf hashes that a sink holds. A sink whose own hashes and notes disagree is no witness."""
    leaves: list[bytes] = []
    for exported in exports_of(path):
        first, note = exported["first"], exported["note"]
        assert isinstance(first, int)
        assert isinstance(note, str)
        joined = base64.b64decode(str(exported["leaves"]))
        if first > len(leaves):
            raise Refused(f"the witness begins at leaf {first} and what comes before is unknown")
        checkpoint = read_note(note, keys)
        leaves[first:] = split(joined)
        if checkpoint.size != len(leaves):
            raise Refused("the witness does not hold as many hashes as its checkpoint says")
    tree = Tree()
    tree.grow(leaves)
    if leaves and tree.root() != checkpoint.root:
        raise Refused("the hashes of the witness do not give the root that was signed: it is no witness")
    return leaves


# --- dumps ------------------------------------------------------------------------------------------------------------


def pieces(path: str) -> Iterator[list[bytes]]:
    """The lines of a file, many at once, without their ends."""
    rest = b""
    with Path(path).open("rb") as dump:
        while block := dump.read(BLOCK_BYTES):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield lines
    if rest:
        yield [rest]


def hashed(path: str) -> Iterator[tuple[list[bytes], list[int]]]:
    """The leaf hashes of a dump, many at once, and which of them stand for lines with a hash only.

    Nothing is parsed: a line is what was hashed.
    """
    for lines in pieces(path):
        hashes = [sha256(b"\x00" + line).digest() for line in lines]
        bare = [at for at, line in enumerate(lines) if len(line) == HASH_ONLY_BYTES and HASH_ONLY.fullmatch(line)]
        for at in bare:
            hashes[at] = bytes.fromhex(lines[at][9:73].decode())
        yield hashes, bare


def split(joined: bytes) -> list[bytes]:
    """Hashes that were joined in one piece."""
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


def leaves_of(path: str) -> list[bytes]:
    """All leaf hashes of a dump."""
    return [leaf for leaves, _ in hashed(path) for leaf in leaves]


def hashes_beside(path: str) -> list[bytes]:
    """The leaf hashes that were dumped beside the lines; none if the file is not there."""
    beside = Path(path).with_suffix(".leaves")
    return split(beside.read_bytes()) if beside.is_file() else []


def flaws_between(expected: Sequence[bytes], found: Sequence[bytes]) -> Iterator[str]:
    """What happened to the lines: changed, missing, inserted, or out of their order."""
    wanted, seen = {leaf: idx for idx, leaf in enumerate(expected)}, set(found)
    i = j = 0
    while i < len(expected) and j < len(found):
        if expected[i] == found[j]:
            i, j = i + 1, j + 1
        elif found[j] not in wanted and expected[i] not in seen:
            yield f"line {j + 1} was changed (leaf {i})"
            i, j = i + 1, j + 1
        elif found[j] not in wanted:
            yield f"line {j + 1} was inserted"
            j += 1
        elif expected[i] not in seen:
            yield f"leaf {i} is missing before line {j + 1}"
            i += 1
        else:
            yield f"line {j + 1} is out of order: it was line {wanted[found[j]] + 1}"
            i, j = i + 1, j + 1
    if i < len(expected):
        yield f"the end is cut off: leaves {i} to {len(expected) - 1} are missing"
    if j < len(found):
        yield f"lines {j + 1} to {len(found)} were added at the end"


def recompute(path: str, size: int) -> tuple[Tree, int, list[int]]:
    """The tree over the first ``size`` lines, how many lines there are, and which have only their hash."""
    tree, lines, bare = Tree(), 0, list[int]()
    for leaves, only_hashes in hashed(path):
        bare += [lines + number + 1 for number in only_hashes if lines + number < size]
        tree.grow(leaves[: max(0, size - lines)])
        lines += len(leaves)
    return tree, lines, bare


# --- commands ---------------------------------------------------------------------------------------------------------


def verify_dump(asked: argparse.Namespace) -> Iterator[str]:
    """Recompute the whole dump; name the lines that are not what they were."""
    keys = read_keys(asked.pubkey)
    checkpoint = read_checkpoint(asked.checkpoint, keys)
    tree, lines, bare = recompute(asked.dump, checkpoint.size)
    gone = [number for number in bare if number >= asked.retained_from]
    yield from (f"line {number} has lost its event: retention takes none so young" for number in gone[:FLAWS_MAX])
    if len(bare) > len(gone):
        say(f"{len(bare) - len(gone)} lines before line {asked.retained_from} have only their hash")
    is_root = tree.size == checkpoint.size and tree.root() == checkpoint.root
    told = list(by_witnesses(asked, keys, checkpoint, inserted_max=0 if is_root else max(0, lines - checkpoint.size)))
    yield from told
    if is_root:
        if not told:
            say(f"{checkpoint.origin}: {checkpoint.size} leaves give the root that was signed")
        if lines > checkpoint.size:
            say(f"{lines - checkpoint.size} more lines are not under this checkpoint")
        return
    yield f"{tree.size} of {checkpoint.size} leaves do not give the root that was signed"
    if tree.size < checkpoint.size:
        yield f"{checkpoint.size - lines} lines are missing: {lines} are there of {checkpoint.size} leaves"
    if beside := hashes_beside(asked.dump):
        flaws = flaws_between(beside, leaves_of(asked.dump))
        yield from (f"by the database: {flaw}" for flaw in islice(flaws, FLAWS_MAX))
    if not asked.witness:
        say("give a sink's file as --witness: it names the line also when the hashes in the database were edited alike")


def by_witnesses(
    asked: argparse.Namespace, keys: dict[str, tuple[bytes, VerifyKey]], checkpoint: Checkpoint, *, inserted_max: int
) -> Iterator[str]:
    """What the sinks know better, also of a dump whose root fits: it may be of an older copy, or signed anew."""
    found = leaves_of(asked.dump) if asked.witness else []
    for path in asked.witness:
        expected = witnessed(path, keys)
        newer = len(expected) - checkpoint.size
        known = expected[: checkpoint.size]
        flaws = flaws_between(known, found[: len(known) + inserted_max])
        yield from (f"by {path}: {flaw}" for flaw in islice(flaws, FLAWS_MAX))
        gone = f"by {path}: leaves {checkpoint.size} to {len(expected) - 1} left the house and are not in this dump"
        if newer > (0 if asked.strict else asked.newer_max):
            yield gone
        elif newer > 0:
            say(f"{gone}; they may have been sealed after it (--strict)")


def verify_inclusion(asked: argparse.Namespace) -> Iterator[str]:
    """Check that a line is a leaf under a checkpoint."""
    checkpoint = read_checkpoint(asked.checkpoint, read_keys(asked.pubkey))
    proof = json.loads(Path(asked.proof).read_text("utf-8"))
    leaf = bytes.fromhex(proof["leaf"])
    if not isinstance(proof.get("line", ""), str):
        raise Refused("the line of the proof is not a text")
    if "line" in proof and sha256(b"\x00" + proof["line"].encode()).digest() != leaf:
        yield "the line of the proof is not what its leaf is the hash of"
    idx, path = int(proof["idx"]), [bytes.fromhex(step) for step in proof["path"]]
    if not 0 <= idx < checkpoint.size or climb(leaf, idx, checkpoint.size, path) != checkpoint.root:
        yield f"leaf {idx} is not in the log of {checkpoint.size} leaves that was signed"
    else:
        say(f"{checkpoint.origin}: leaf {idx} is in the log of {checkpoint.size} leaves")


def verify_consistency(asked: argparse.Namespace) -> Iterator[str]:
    """Check that the log of one checkpoint is the beginning of the log of another."""
    keys = read_keys(asked.pubkey)
    old, new = read_checkpoint(asked.old, keys), read_checkpoint(asked.checkpoint, keys)
    proof = json.loads(Path(asked.proof).read_text("utf-8"))
    if old.origin != new.origin:
        yield f"{old.origin} and {new.origin} are two logs"
    elif not grew(old, new, [bytes.fromhex(step) for step in proof["path"]]):
        yield f"the log of {old.size} leaves is not the beginning of the log of {new.size}"
    else:
        say(f"{new.origin}: {old.size} leaves became {new.size} and nothing before them changed")


def diff(asked: argparse.Namespace) -> Iterator[str]:
    """Compare two dumps line by line."""
    expected, found = leaves_of(asked.expected), leaves_of(asked.dump)
    yield from islice(flaws_between(expected, found), FLAWS_MAX)


def say(text: str) -> None:
    """One line for the reader."""
    sys.stdout.write(text + "\n")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="kopeyka-verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    forms = {
        "verify-dump": (verify_dump, ("dump", "checkpoint", "pubkey")),
        "inclusion": (verify_inclusion, ("proof", "checkpoint", "pubkey")),
        "consistency": (verify_consistency, ("proof", "old", "checkpoint", "pubkey")),
        "diff": (diff, ("expected", "dump")),
    }
    for name, (command, words) in forms.items():
        form = commands.add_parser(name, help=(command.__doc__ or "").strip())
        form.set_defaults(command=command)
        for word in words:
            form.add_argument(word)
        if name == "verify-dump":
            form.add_argument("--witness", action="append", default=[], help="a sink's file, once or more")
            form.add_argument("--newer-max", type=int, default=NEWER_MAX, help="leaves a sink may hold beyond the dump")
            form.add_argument("--strict", action="store_true", help="a sink may hold no leaf beyond the dump")
            form.add_argument("--retained-from", type=int, default=1, help="lines before this one may lack their event")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Answer one question; 0 when everything holds."""
    asked = arguments(given)
    try:
        flaws = list(asked.command(asked))
    except (Refused, OSError, ValueError, KeyError, TypeError, AssertionError) as refusal:
        sys.stderr.write(f"kopeyka-verify: {refusal}\n")
        return 2
    for flaw in flaws:
        say(f"FLAW: {flaw}")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main())
