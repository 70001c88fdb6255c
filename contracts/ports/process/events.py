"""The event log as a feed: cursor and long poll (SSE on /process/v1/events/stream)."""

from typing import Protocol

from msgspec import Struct

from contracts.events import CloudEvent
from contracts.operation import operation


class EventPage(Struct, frozen=True, kw_only=True):
    """after: pass it as `after` to read on."""

    events: tuple[CloudEvent, ...]
    after: int


class Events(Protocol):
    """At least once, in order of position."""

    @operation("GET", "/events", scope="process:events:read", deadline_s=40.0)
    async def feed(
        self, after: int = 0, limit: int = 500, wait_s: float = 0.0, types: str | None = None
    ) -> EventPage:
        """Events with position > after. wait_s (0 to 30): wait so long for the first one.

        types: comma-separated prefixes, e.g. `firmwire.invoice.`.
        """
        ...
