"""This file exists to be the only place that reads a clock.

Owns   the process-wide clock: UTC instants, monotonic seconds, today's date in a named zone.
Fails  ZoneInfoNotFoundError on an unknown zone. Nothing else.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        ...


class System:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)


class Fixed:
    """A clock that stands still until moved. at: an aware instant."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware instant")
        self._at = at.astimezone(UTC)
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._elapsed_s

    def move(self, seconds: float) -> None:
        """Forward by so many seconds; both the instant and the monotonic reading."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._at += timedelta(seconds=seconds)
        self._elapsed_s += seconds


_clock: Clock = System()


def now() -> datetime:
    """The instant, aware, in UTC."""
    return _clock.now()


def monotonic() -> float:
    """Seconds since some start, for durations and deadlines."""
    return _clock.monotonic()


def today(zone: str) -> date:
    """The calendar day it is now in an IANA zone, e.g. `Europe/Berlin`."""
    return _clock.now().astimezone(ZoneInfo(zone)).date()


@contextmanager
def using(clock: Clock) -> Iterator[Clock]:
    """Put another clock in place for the whole process, e.g. `with using(Fixed(at)) as clock`."""
    global _clock
    before = _clock
    _clock = clock
    try:
        yield clock
    finally:
        _clock = before
