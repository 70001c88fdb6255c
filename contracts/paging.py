"""Pages of a list: at most `limit` items and an opaque cursor to go on from."""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

LIMIT_MAX = 1000
"""Of a list that goes on by `cursor`; more, or less than one, is refused where ports are served."""

FEED_LIMIT_MAX = 5000
"""Of a list that goes on by a position, as the event log."""


class Page(Struct, Generic[T], frozen=True):
    """next_cursor: pass it back to read on; None when this was the last page.

    For a change feed next_cursor is never None: it is where the next poll starts, and
    `more` says whether another page is waiting now.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    more: bool = False
