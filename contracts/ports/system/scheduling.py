"""What Firmwire asks of any scheduler: who is booked on what.

Streams: allocation, alias (resource and project ids of the scheduler).
"""

from datetime import date
from typing import Literal, Protocol

from msgspec import Struct

from contracts.operation import operation
from contracts.ports.system.system import Placed, System


class BookingDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """resource, project: the scheduler's own ids. end: first day after the booking."""

    resource: str
    project: str
    kind: Literal["HARD", "SOFT"] = "SOFT"
    start: date
    end: date
    minutes_per_day: int


class ScheduledProjectDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project for the scheduler to book people on. code: canonical."""

    code: str
    name: str


class Scheduling(System, Protocol):
    """Float, ..."""

    @operation("PUT", "/projects/by-reference/{reference}", scope="system:write")
    async def put_scheduled_project(self, reference: str, body: ScheduledProjectDraft) -> Placed:
        """Create or match by code."""
        ...

    @operation("GET", "/bookings/by-reference/{reference}", scope="system:read")
    async def booking_by_reference(self, reference: str) -> Placed | None:
        """The booking that carries our reference."""
        ...

    @operation("PUT", "/bookings/by-reference/{reference}", scope="system:write")
    async def put_booking(self, reference: str, body: BookingDraft) -> Placed:
        """Create or match by our reference."""
        ...

    @operation("POST", "/bookings/{id}/release", scope="system:write", status=204)
    async def release_booking(self, id: str) -> None:
        """Remove a booking. Twice is as once."""
        ...
