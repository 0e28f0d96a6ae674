"""Opaque cursors of lists, for whoever reads lists without the door's pages."""

from __future__ import annotations

import base64
import binascii
import hashlib

from api.errors import CursorUnknown

_CHECK_BYTES = 4


def cursor_of(kind: str, place: str) -> str:
    """An opaque cursor: the place of the last item, and a check that it is ours and of this list."""
    return base64.urlsafe_b64encode(_check(kind, place) + place.encode()).decode().rstrip("=")


def read_cursor(kind: str, cursor: str | None) -> str | None:
    """The place in a cursor of this list; nothing for the first page.

    Raises: CursorUnknown.
    """
    if not cursor:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = raw[_CHECK_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise CursorUnknown() from None
    if not place or raw[:_CHECK_BYTES] != _check(kind, place):
        raise CursorUnknown()
    return place


def _check(kind: str, place: str) -> bytes:
    return hashlib.sha256(f"{kind}\n{place}".encode()).digest()[:_CHECK_BYTES]
