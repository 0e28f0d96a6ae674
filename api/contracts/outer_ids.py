"""Our ids as contracts of others show them: without the letters in front, which are ours alone."""

from __future__ import annotations

from uuid import UUID

from ledger import ids


def outer_id(our_id: str) -> str:
    """Our id in a contract's form: the UUID itself, 36 characters. Nothing is lost."""
    prefix, _, _ = our_id.partition("_")
    return str(ids.read(prefix, our_id))


def inner_id(prefix: str, outer: str) -> str | None:
    """The other way; nothing if it is not the text of a UUID."""
    try:
        uuid = UUID(outer)
    except ValueError:
        return None
    return ids.show(prefix, uuid) if str(uuid) == outer.lower() else None
