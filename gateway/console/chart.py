"""This file exists to draw usage by hour as SVG on the server: no script, no style in the page.

Owns   geometry only; colours are classes of the style sheet. Bars too many are joined.
Fails  never; nothing to draw is an empty frame.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from gateway.control.shapes import UsageHour

WIDTH, HEIGHT = 960, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 24
_BARS_MOST = 96
_STEPS = (1, 2, 3, 4, 6, 12, 24, 48)
KINDS = ("passed", "refused", "throttled", "failed")


class Part(Struct, frozen=True):
    """A rectangle. kind: passed, refused, throttled or failed."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Bar(Struct, frozen=True):
    """One span of time. says: for whoever points at it."""

    x: float
    width: float
    says: str
    parts: tuple[Part, ...]


class Mark(Struct, frozen=True):
    """A line and its label on an axis."""

    at: float
    says: str


class Chart(Struct, frozen=True):
    """What the template draws. top: the highest value of the axis. hours: a bar's width in time."""

    bars: tuple[Bar, ...]
    across: tuple[Mark, ...]
    along: tuple[Mark, ...]
    hours: int
    total: int


def chart(used: Sequence[UsageHour], since: datetime, until: datetime) -> Chart:
    """Every hour of the span has its place, also those in which nothing was asked."""
    begin = since.replace(minute=0, second=0, microsecond=0)
    count = max(1, -int(-(until - begin) // timedelta(hours=1)))
    hours = next((step for step in _STEPS if count / step <= _BARS_MOST), _STEPS[-1])
    slots = -(-count // hours)
    sums = [[0, 0, 0, 0] for _ in range(slots)]
    for hour in used:
        slot = int((hour.at - begin) // timedelta(hours=hours))
        if 0 <= slot < slots:
            passed = hour.requests - hour.refused - hour.throttled - hour.failed
            values = (passed, hour.refused, hour.throttled, hour.failed)
            sums[slot] = [a + b for a, b in zip(sums[slot], values, strict=True)]
    top = _round_up(max(sum(values) for values in sums))
    step = (WIDTH - _LEFT - _RIGHT) / slots
    bars = tuple(
        _bar(values, begin + timedelta(hours=hours * index), hours, _LEFT + step * index, step, top)
        for index, values in enumerate(sums)
    )
    return Chart(
        bars=bars,
        across=tuple(
            Mark(round(_y(top * part / 4, top), 1), _short(top * part / 4)) for part in range(5)
        ),
        along=_along(begin, hours, slots, step),
        hours=hours,
        total=sum(sum(values) for values in sums),
    )


def _bar(values: list[int], at: datetime, hours: int, x: float, step: float, top: int) -> Bar:
    gap = min(2.0, step * 0.2)
    parts, below = [], 0
    for kind, value in zip(KINDS, values, strict=True):
        if value:
            y, foot = _y(below + value, top), _y(below, top)
            parts.append(
                Part(kind, round(x + gap / 2, 2), round(y, 2), round(step - gap, 2),
                     round(max(foot - y, 0.75), 2))
            )  # fmt: skip
        below += value
    named = ", ".join(f"{v:,} {k}" for k, v in zip(KINDS, values, strict=True) if v) or "nothing"
    span = "" if hours == 1 else f" (+{hours} h)"
    return Bar(round(x, 2), round(step, 2), f"{at:%Y-%m-%d %H:%M}{span}: {named}", tuple(parts))


def _along(begin: datetime, hours: int, slots: int, step: float) -> tuple[Mark, ...]:
    """Labels where a day begins, or every few hours of a single day."""
    marks = []
    days = slots * hours > 72
    every = max(1, slots * hours // 24 // 8) if days else 4
    for index in range(slots):
        at = begin + timedelta(hours=hours * index)
        x = round(_LEFT + step * index, 1)
        if x > WIDTH - 36:
            break  # its label would not fit
        if days and at.hour < hours and (at.date() - begin.date()).days % every == 0:
            marks.append(Mark(x, f"{at:%d %b}"))
        elif not days and at.hour % every == 0:
            marks.append(Mark(x, f"{at:%H:%M}"))
    return tuple(marks)


def _y(value: float, top: int) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _round_up(value: int) -> int:
    """1, 2, 4, 8 or a power of ten times one of them: quarters stay round."""
    size = 4
    while size < value:
        for factor in (4, 8, 12, 20, 40):
            if size // 4 * factor >= value:
                return size // 4 * factor
        size *= 10
    return size


def _short(value: float) -> str:
    for size, sign in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"
