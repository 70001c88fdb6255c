"""This file exists to say a limit in words, the same on pages, in trees and on the terminal.

Owns   words only.
Fails  never.
"""

from gateway.metering.limit import Limit

_SPANS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def said(limit: Limit) -> str:
    """`50 a second, 100 at once, for each consumer`."""
    if limit.kind == "concurrency":
        told = f"{limit.amount:,} at the same time"
    elif limit.kind == "quota":
        told = f"{limit.amount:,} a calendar {limit.period}"
    else:
        told = f"{limit.amount:,} {_every(limit.window_s)}"
        if limit.burst and limit.burst != limit.amount:
            told += f", {limit.burst:,} at once"
    told += f", for each {' and '.join(limit.per)}"
    return f"{told} (only watched)" if limit.shadow else told


def _every(window_s: int) -> str:
    for size, name in _SPANS:
        if window_s % size == 0:
            number = window_s // size
            return f"a {name}" if number == 1 else f"in {number} {name}s"
    return f"in {window_s} seconds"
