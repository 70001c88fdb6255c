"""This file exists to count what a consumer uses of its plan in a calendar month.

Reads   caller
Writes  quota
Fails   RATE_LIMITED, until the next month begins (UTC). What the gateway itself refuses later
        in the pipe is given back: a rejected call costs nothing.
Source  draft-ietf-httpapi-ratelimit-headers-10 (quota-exceeded).
"""

from collections.abc import MutableMapping
from datetime import UTC, datetime

from msgspec import Struct

from contracts.problem import Fault, Problem
from gateway.policy import Exchange, Policy, Stage, Tools


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The allowance is the plan's; a plan without one is counted and never refused."""


class _Quota:
    """used: requests by consumer; the key "" holds the month they belong to."""

    def __init__(self, config: Config, tools: Tools) -> None:
        self._used: MutableMapping[str, int] = tools.memory("quota")
        self._unix = tools.unix
        self._month_ends_s = self._look_again_s = 0.0

    def on_request(self, x: Exchange) -> Problem | None:
        caller = x.caller
        if caller is None:
            return Problem(Fault.UNAUTHENTICATED, "A quota needs a caller.")
        if x.started_s >= self._look_again_s:
            self._turn(x.started_s)
        used = self._used.get(caller.consumer, 0)
        if 0 < caller.quota_per_month <= used:
            return Problem(
                Fault.RATE_LIMITED,
                "The quota of this month is used up.",
                retry_after_s=max(1.0, self._month_ends_s - self._unix()),
            )
        self._used[caller.consumer] = used + 1
        return None

    def on_response(self, x: Exchange) -> None:
        if x.refused and x.caller is not None and (used := self._used.get(x.caller.consumer, 0)):
            self._used[x.caller.consumer] = used - 1

    def _turn(self, started_s: float) -> None:
        """Once a minute, and when the month ends: is it still the same month?"""
        now_s = self._unix()
        now = datetime.fromtimestamp(now_s, UTC)
        month = now.year * 12 + now.month - 1
        if self._used.get("", month) != month:
            self._used.clear()
        self._used[""] = month
        year, index = divmod(month + 1, 12)
        self._month_ends_s = datetime(year, index + 1, 1, tzinfo=UTC).timestamp()
        self._look_again_s = started_s + min(60.0, self._month_ends_s - now_s)


POLICY = Policy(
    stage=Stage.METER,
    config=Config,
    bind=_Quota,
    reads=frozenset({"caller"}),
    writes=frozenset({"quota"}),
)
