"""Pages of lists: by key, stable while rows arrive. A cursor is the place after a page's last row."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Query

from api.wire import View

PAGE_MAX = 200
PAGE_DEFAULT = 50

Item = TypeVar("Item")

After = Annotated[str, Query(max_length=80, pattern=r"^[0-9A-Za-z_.~-]*$", description="The cursor of the last page.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Rows on a page.")]


class Page(View, Generic[Item]):
    """A page of a list, oldest first."""

    data: list[Item]
    has_more: bool
    next_after: str | None
    """What to give as ``after`` for the next page; also at the end, to look for what came later."""


def page_of(items: list[Item], cursors: list[str], *, has_more: bool, after: str) -> Page[Item]:
    """A page; an empty one keeps the cursor it was asked with."""
    return Page(data=items, has_more=has_more, next_after=cursors[-1] if cursors else (after or None))
