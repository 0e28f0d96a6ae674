"""Pages: keyset cursors that stay right while rows are added, and a named limit."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query

from api.cursors import cursor_of as cursor_of
from api.cursors import read_cursor as read_cursor
from api.wire import View

PAGE_MAX = 200
PAGE_USUAL = 50

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


def read_uuid_cursor(kind: str, cursor: str | None) -> UUID | None:
    """The same for lists in the order of their ids."""
    place = read_cursor(kind, cursor)
    return None if place is None else UUID(place)


def page_of(kind: str, items: list[Item], has_more: bool, place: str | None, after: str | None = None) -> Page[Item]:
    """A page that ends at ``place``; an empty one keeps the cursor it was asked with."""
    return Page(items=items, has_more=has_more, next=after if place is None else cursor_of(kind, place))
