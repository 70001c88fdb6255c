"""This file exists to do long work in short steps, so that a loop serves others in between.

Work is a generator that yields where it may be interrupted, and returns what it made.

Owns   how long a loop may be held, and when it is better to be done than to be polite.
Fails  as the work does.
"""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

from chassis import clock

T = TypeVar("T")

Steps = Generator[None, None, T]

HOLD_S = 0.001
HURRY_S = 0.25  # a revoked key is dead within a second, however busy the loop is
_SLICE = 100


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """So many that a step over them is short."""
    return (items[at : at + _SLICE] for at in range(0, len(items), _SLICE))


def finished(steps: Steps[T]) -> T:
    """All at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: T = done.value
            return made


async def finished_between(steps: Steps[T]) -> T:
    """In turns with what else the loop has to do; all that is left at once when it takes long."""
    held_from_s = began_s = clock.monotonic()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: T = done.value
            return made
        now_s = clock.monotonic()
        if now_s - held_from_s > HOLD_S and now_s - began_s < HURRY_S:
            await asyncio.sleep(0)
            held_from_s = clock.monotonic()
