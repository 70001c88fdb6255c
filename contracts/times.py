"""Instants in UTC, business dates in the worker's own calendar, half-open periods [start, end)."""

from datetime import date

from msgspec import Struct


class Period(Struct, frozen=True):
    """A half-open range of business dates; end None means open."""

    start: date
    end: date | None = None

    def __contains__(self, day: date) -> bool:
        return within(day, self.start, self.end)


def within(day: date, start: date | None, end: date | None) -> bool:
    """start <= day < end; a missing bound is open."""
    return (start is None or start <= day) and (end is None or day < end)
