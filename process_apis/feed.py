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
from contracts.problem import Fault, FieldError, Problem
from process_apis import events

WAIT_MAX_S = 30.0
POSITION_MAX = 2**63 - 1
_DIGITS_MAX = len(str(POSITION_MAX))
LOOK_AGAIN_S = 0.5
QUIET_S = 15.0


class EventsPort:
    """The event log as its readers see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(
        self, after: int = 0, limit: int = 500, wait_s: float = 0.0, types: str | None = None
    ) -> EventPage:
        _checked(after, wait_s)
        prefixes = tuple(part for part in (types or "").split(",") if part)
        size = max(1, min(limit, FEED_LIMIT_MAX))
        until = clock.monotonic() + wait_s
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
        if last and not (last.isascii() and last.isdecimal() and len(last) <= _DIGITS_MAX):
            raise Problem(Fault.INVALID, "Last-Event-ID is not a position of ours.")
        position = int(last) if last else after
        _checked(position, 0.0)  # before the stream begins: then there is still a status to give
        return ServerSentEvent(port.stream(position, types))

    return stream


def _checked(after: int, wait_s: float) -> None:
    """A position the database can hold; a wait of a length we said."""
    wrong = []
    if not 0 <= after <= POSITION_MAX:
        wrong.append(FieldError("?after", "is no position", "Use after as it was given, or 0."))
    if not 0 <= wait_s <= WAIT_MAX_S:
        said = f"is not from 0 to {WAIT_MAX_S:.0f}"
        wrong.append(FieldError("?wait_s", said, "Ask again when nothing came."))
    if wrong:
        raise Problem(Fault.INVALID, "The feed cannot be read like this.", errors=tuple(wrong))


def head(connection: Connection) -> int:
    """The position of the last event."""
    return events.head(connection)


def _message(event: CloudEvent) -> ServerSentEventMessage:
    return ServerSentEventMessage(
        data=msgspec.json.encode(event).decode(), event=event.type, id=str(event.position)
    )
