"""This file exists to end what lasts: a stream or a tunnel whose caller may no longer come in.

Owns   asking the policies of a running exchange, whose reply has begun, whether all still holds.
Fails  never; an exchange that must end is cut, which is the only honest end of half a reply.
"""

from collections.abc import Iterable

from contracts.problem import Fault, Problem
from gateway.dataplane.compiled import Compiled
from gateway.policy import Exchange

_OVER = Problem(Fault.UNAUTHENTICATED, "What this caller showed is no longer good.")


def end_unwelcome(running: Iterable[Exchange], compiled: Compiled) -> None:
    """After a snapshot was put in force, and once a second because keys and tokens expire."""
    for x in tuple(running):
        if x.head_sent and not x.over and not _holds(x, compiled):
            x.link.end(x, _OVER)


def _holds(x: Exchange, compiled: Compiled) -> bool:
    use = compiled.use_of(x.route.name) if x.route is not None else None
    pipe = x.pipe if use is None else use.pipe
    return all(ask(x) for ask in pipe.still)
