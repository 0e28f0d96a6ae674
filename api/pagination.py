"""Pages: keyset cursors that stay right while rows are added, and a named limit."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query

from api.errors import CursorUnknown
from api.wire import View

PAGE_MAX = 200
PAGE_USUAL = 50
_CHECK_BYTES = 4

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.", examples=[PAGE_USUAL])]
After = Annotated[
    str | None,
    Query(max_length=600, description="The `next` of the page before; none for the first page."),
]


class Page(View, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    has_more: bool
    next: str | None = None
    """Where the next page begins; on the last page, where to look later for what has come since."""


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


def read_uuid_cursor(kind: str, cursor: str | None) -> UUID | None:
    """The same for lists in the order of their ids."""
    place = read_cursor(kind, cursor)
    return None if place is None else UUID(place)


def page_of(kind: str, items: list[Item], has_more: bool, place: str | None, after: str | None = None) -> Page[Item]:
    """A page that ends at ``place``; an empty one keeps the cursor it was asked with."""
    return Page(items=items, has_more=has_more, next=after if place is None else cursor_of(kind, place))


def _check(kind: str, place: str) -> bytes:
    return hashlib.sha256(f"{kind}\n{place}".encode()).digest()[:_CHECK_BYTES]
