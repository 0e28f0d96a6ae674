#!/usr/bin/env python3
"""Check a log of Kopeyka without Kopeyka. One file: copy it. Needs Python 3.11 and PyNaCl, nothing else.

    kopeyka-verify verify-dump dump.jsonl checkpoint.txt kopeyka-vault.vkey --witness sink.jsonl
    kopeyka-verify inclusion proof.json checkpoint.txt kopeyka-vault.vkey
    kopeyka-verify consistency proof.json old-checkpoint.txt checkpoint.txt kopeyka-vault.vkey
    kopeyka-verify diff an-older-dump.jsonl dump.jsonl

A checkpoint is a signed note (C2SP tlog-checkpoint and signed-note), or a file of a sink, whose last note is taken. A
witness is a file of a sink: it holds every leaf hash that was ever exported, so a flaw is named to the line. Ends with
code 0 when everything holds, 1 when something does not, 2 when the question makes no sense.

A line of a dump is {"leaf":"<its hash>","event":<the bytes that were hashed>}, or {"leaf":"<its hash>"} after retention
took the event (then say --retained-from LINE). The first line is leaf 0.

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
LINES_AT_ONCE = 65_536
FLAWS_MAX = 20
MIDDLE = b'","event":'
HASH_ONLY = re.compile(rb'\{"leaf":"([0-9a-f]{64})"\}\n')
FRAMED = re.compile(rb'\{"leaf":"([0-9a-f]{64})","event":(\{.*\})\}\n', re.DOTALL)
BARE_BYTES = 76
"""A line with a hash only."""
NO_LINE = b""
"""Stands for the hash of a line that is not of a dump."""


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
        nodes, place, kept = list(leaves), self.size, []
        while nodes or place:
            if place & 1:
                nodes.insert(0, self.hashes.pop())
            if len(nodes) & 1:
                kept.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
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
        text = notes[-1]
    return read_note(text, keys)


def exports_of(path: str) -> Iterator[dict[str, object]]:
    """What was exported to a sink, in order; a line that was cut off by a crash is passed over."""
    with Path(path).open("rb") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def witnessed(path: str, keys: dict[str, tuple[bytes, VerifyKey]], size: int) -> list[bytes]:
    """The leaf hashes that a sink holds, up to ``size``. A sink whose own hashes and notes disagree is no witness."""
    leaves: list[bytes] = []
    for exported in exports_of(path):
        first, note = exported["first"], exported["note"]
        assert isinstance(first, int)
        assert isinstance(note, str)
        joined = base64.b64decode(str(exported["leaves"]))
        if first > len(leaves):
            raise Refused(f"the witness begins at leaf {first} and what comes before is unknown")
        checkpoint = read_note(note, keys)
        leaves[first:] = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        if checkpoint.size != len(leaves):
            raise Refused("the witness does not hold as many hashes as its checkpoint says")
        if checkpoint.size >= size:
            break
    tree = Tree()
    tree.grow(leaves)
    if leaves and tree.root() != checkpoint.root:
        raise Refused("the hashes of the witness do not give the root that was signed: it is no witness")
    return leaves[:size]


# --- dumps ------------------------------------------------------------------------------------------------------------


def hash_of(line: bytes) -> bytes:
    """The leaf hash of one line; nothing if it is no line of a dump."""
    framed = FRAMED.fullmatch(line)
    if framed is not None:
        return sha256(b"\x00" + framed[2]).digest()
    bare = HASH_ONLY.fullmatch(line)
    return NO_LINE if bare is None else bytes.fromhex(bare[1].decode())


def hashes_of(lines: Sequence[bytes]) -> list[bytes]:
    """The leaf hashes of lines. What was hashed stands at a fixed place, so nothing is parsed."""
    return [
        sha256(b"\x00" + line[83:-2]).digest() if line[73:83] == MIDDLE and line[-2:] == b"}\n" else hash_of(line)
        for line in lines
    ]


def pieces(path: str) -> Iterator[list[bytes]]:
    """The lines of a dump, many at once."""
    with Path(path).open("rb", buffering=1 << 20) as dump:
        while lines := list(islice(dump, LINES_AT_ONCE)):
            yield lines


def leaves_of(path: str) -> list[bytes]:
    """All leaf hashes of a dump."""
    return [leaf for lines in pieces(path) for leaf in hashes_of(lines)]


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


def self_flaws(path: str) -> Iterator[str]:
    """Lines that are not what the hash written beside them says."""
    number = 0
    for lines in pieces(path):
        for line in lines:
            number += 1
            leaf = hash_of(line)
            if leaf == NO_LINE:
                yield f"line {number} is no line of a dump"
            elif line[9:73] != leaf.hex().encode():
                yield f"line {number} was changed (leaf {number - 1}): its hash is not the one beside it"


def recompute(path: str, size: int) -> tuple[Tree, int, list[int]]:
    """The tree over the first ``size`` lines, how many lines there are, and which have only their hash."""
    tree, lines_in_all, bare = Tree(), 0, list[int]()
    for lines in pieces(path):
        lines_in_all += len(lines)
        lines = lines[: max(0, size - tree.size)]
        bare += [number for number, line in enumerate(lines, tree.size + 1) if len(line) == BARE_BYTES]
        leaves = hashes_of(lines)
        tree.grow([leaf or sha256(b"").digest() for leaf in leaves] if NO_LINE in leaves else leaves)
    return tree, lines_in_all, bare


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
    if tree.size == checkpoint.size and tree.root() == checkpoint.root:
        say(f"{checkpoint.origin}: {checkpoint.size} leaves give the root that was signed")
        if lines > checkpoint.size:
            say(f"{lines - checkpoint.size} more lines are not under this checkpoint")
        return
    yield f"{tree.size} of {checkpoint.size} leaves do not give the root that was signed"
    yield from islice(self_flaws(asked.dump), FLAWS_MAX)
    if tree.size < checkpoint.size:
        yield f"{checkpoint.size - lines} lines are missing: {lines} are there of {checkpoint.size} leaves"
    for path in asked.witness:
        expected = witnessed(path, keys, checkpoint.size)
        found = leaves_of(asked.dump)[: len(expected) + max(0, lines - checkpoint.size)]
        yield from (f"by {path}: {flaw}" for flaw in islice(flaws_between(expected, found), FLAWS_MAX))
    if not asked.witness:
        say("give a sink's file as --witness to learn which lines, whoever also rewrote the hashes beside them")


def verify_inclusion(asked: argparse.Namespace) -> Iterator[str]:
    """Check that a line is a leaf under a checkpoint."""
    checkpoint = read_checkpoint(asked.checkpoint, read_keys(asked.pubkey))
    proof = json.loads(Path(asked.proof).read_text("utf-8"))
    leaf = bytes.fromhex(proof["leaf"])
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
    yield from islice(self_flaws(asked.dump), FLAWS_MAX)
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
