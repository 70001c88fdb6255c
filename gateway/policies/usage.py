"""This file exists to count who used what, for the usage pages and for when a key was last used.

Reads   route, client
Writes  nothing
Fails   never: one number more in memory; the feed pushes the numbers on every few seconds.
"""

from typing import Any

from msgspec import Struct

from gateway.policy import Exchange, Policy, Stage, Tools


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class _Usage:
    """What this counts in is emptied by gateway.usage.Tally, which knows what it means."""

    def __init__(self, config: Config, tools: Tools) -> None:
        route = tools.route.name if tools.route else ""
        self._counts: dict[Any, int] = tools.memory("usage").setdefault(route, {})

    def on_end(self, x: Exchange) -> None:
        counts = self._counts
        at = x.caller, x.version, x.status
        counts[at] = counts.get(at, 0) + 1


POLICY = Policy(
    stage=Stage.TRACE,
    config=Config,
    bind=_Usage,
    reads=frozenset({"route", "client"}),
    always=True,
)
