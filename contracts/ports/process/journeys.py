"""The one face of all durable journeys: start, look, cancel."""

from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Raw, Struct

from contracts.operation import operation
from contracts.paging import Page


class Step(Struct, frozen=True, kw_only=True):
    """One durable step as people see it."""

    name: str
    state: Literal["DONE", "RUNNING", "FAILED", "COMPENSATED"]
    result: Any = None
    error: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """id: the journey's own business key, so starting twice is one run."""

    id: str
    journey: str
    state: Literal["RUNNING", "WAITING", "DONE", "FAILED", "CANCELLED"]
    ask: Any
    result: Any = None
    error: str = ""
    started_at: datetime | None = None
    steps: tuple[Step, ...] = ()


class Journeys(Protocol):
    """Journeys found in process_apis/journeys that people or partners may start."""

    @operation("GET", "/journeys", scope="process:journeys:read")
    async def names(self) -> tuple[str, ...]:
        """What can be started."""
        ...

    @operation("POST", "/journeys/{journey}/runs", scope="process:journeys:write", status=202)
    async def start(self, journey: str, body: Raw, idempotency_key: str = "") -> Run:
        """body: the journey's Ask. Unknown journey: NOT_FOUND. Bad ask: INVALID with the field."""
        ...

    @operation("GET", "/runs", scope="process:journeys:read")
    async def runs(
        self,
        journey: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        """Newest first."""
        ...

    @operation("GET", "/runs/{id}", scope="process:journeys:read")
    async def run(self, id: str) -> Run | None:
        """One run with its steps."""
        ...

    @operation("POST", "/runs/{id}/cancel", scope="process:journeys:write")
    async def cancel(self, id: str, idempotency_key: str = "") -> Run:
        """Stop before the next step and compensate what is done. A finished run: CONFLICT."""
        ...
