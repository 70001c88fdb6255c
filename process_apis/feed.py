"""Hand the event log out: a long-polled feed, and the same as server-sent events.

Source  WHATWG HTML, server-sent events; CloudEvents 1.0 (JSON).
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromQuery
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from sqlalchemy import Connection

from chassis import clock, stopping
from chassis.database import Database
from contracts.events import CloudEvent
from contracts.paging import FEED_LIMIT_MAX
from contracts.ports.process.events import EventPage
from contracts.problem import Fault, Problem
from process_apis import events

WAIT_MAX_S = 30.0
LOOK_AGAIN_S = 0.5
QUIET_S = 15.0


class EventsPort:
    """The event log as its readers see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(
        self, after: int = 0, limit: int = 500, wait_s: float = 0.0, types: str | None = None
    ) -> EventPage:
        prefixes = tuple(part for part in (types or "").split(",") if part)
        size = max(1, min(limit, FEED_LIMIT_MAX))
        until = clock.monotonic() + max(0.0, min(wait_s, WAIT_MAX_S))
        while True:
            seen = events.generation()
            found, position = await self._database.read(
                lambda c, behind=after: events.after(c, behind, size, prefixes)  # type: ignore[misc]
            )
            left_s = until - clock.monotonic()
            if found or left_s <= 0 or stopping.begun():
                return EventPage(events=tuple(found), after=position)
            after = position  # what does not match is not looked at twice
            await events.growth(seen, min(LOOK_AGAIN_S, left_s))

    async def stream(self, after: int, types: str | None) -> AsyncIterator[ServerSentEventMessage]:
        """Events for ever; a comment when it has been quiet, so that dead readers are noticed."""
        while not stopping.begun():
            page = await self.feed(after, 500, QUIET_S, types)
            after = page.after
            for event in page.events:
                yield _message(event)
            if not page.events:
                yield ServerSentEventMessage(comment="quiet")


def stream_handler(port: EventsPort) -> Any:
    """GET /process/v1/events/stream; Last-Event-ID is the position to go on from."""

    @get("/process/v1/events/stream", opt={"scope": "process:events:read"}, sync_to_thread=None)
    async def stream(
        request: Request[Any, Any, Any],
        after: FromQuery[int] = 0,
        types: FromQuery[str | None] = None,
    ) -> ServerSentEvent:
        """Events as they happen."""
        last = request.headers.get("last-event-id", "")
        if last and not last.isdecimal():
            raise Problem(Fault.INVALID, "Last-Event-ID is not a position of ours.")
        return ServerSentEvent(port.stream(int(last) if last else after, types))

    return stream


def head(connection: Connection) -> int:
    """The position of the last event."""
    return events.head(connection)


def _message(event: CloudEvent) -> ServerSentEventMessage:
    return ServerSentEventMessage(
        data=msgspec.json.encode(event).decode(), event=event.type, id=str(event.position)
    )
