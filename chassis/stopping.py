"""This file exists to tell long answers (polls, streams) that the process is about to stop.

Owns   whether stopping has begun, and who wants to be told. One process, one direction.
Fails  never.
"""

from collections.abc import Callable

Heard = Callable[[], None]

_begun = False
_told: list[Heard] = []


def begun() -> bool:
    """True once the process has been asked to end: answer now with what there is."""
    return _begun


def begin() -> None:
    """Said once, by the server, before it waits for open requests."""
    global _begun
    _begun = True
    for heard in list(_told):
        heard()


def tell(heard: Heard) -> Callable[[], None]:
    """Call `heard`, on the loop, when stopping begins. Returns how to take that back."""
    _told.append(heard)
    return lambda: _told.remove(heard)
