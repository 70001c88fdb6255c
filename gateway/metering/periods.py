"""This file exists to know when a calendar minute, hour, day, month or year ends, in UTC.

Owns   one Calendar a kind of period and worker; gauges of it share it.
Fails  never.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NS = 1_000_000_000
_LOOK_AGAIN_NS = 60 * NS


def bounds(period: str, unix_s: float) -> tuple[int, int]:
    """Unix seconds of the beginning and of the end of the period this instant lies in."""
    at = datetime.fromtimestamp(unix_s, UTC).replace(second=0, microsecond=0)
    if period == "minute":
        begins, ends = at, at + timedelta(minutes=1)
    elif period == "hour":
        begins = at.replace(minute=0)
        ends = begins + timedelta(hours=1)
    elif period == "day":
        begins = at.replace(minute=0, hour=0)
        ends = begins + timedelta(days=1)
    elif period == "month":
        begins = at.replace(minute=0, hour=0, day=1)
        ends = (begins + timedelta(days=32)).replace(day=1)
    elif period == "year":
        begins = at.replace(minute=0, hour=0, day=1, month=1)
        ends = begins.replace(year=begins.year + 1)
    else:
        raise ValueError(f"there is no period {period}")
    return int(begins.timestamp()), int(ends.timestamp())


class Calendar:
    """begins_s: names the period. ends_ns: on the monotonic clock; looked at again every minute,
    because the wall clock may have been set."""

    __slots__ = ("_look_ns", "_period", "_unix", "begins_s", "ends_ns", "ends_s")

    def __init__(self, period: str, unix: Callable[[], float]) -> None:
        self._period = period
        self._unix = unix
        self._look_ns = -1
        self.begins_s = self.ends_s = self.ends_ns = 0

    def turn(self, now_ns: int) -> int:
        """Which period it is now, by its beginning."""
        if now_ns >= self._look_ns:
            unix_s = self._unix()
            self.begins_s, self.ends_s = bounds(self._period, unix_s)
            self.ends_ns = now_ns + int((self.ends_s - unix_s) * NS)
            self._look_ns = min(self.ends_ns, now_ns + _LOOK_AGAIN_NS)
        return self.begins_s
