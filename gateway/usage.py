"""This file exists to carry what was used from the data plane to the control plane, once each.

Owns   the shapes of a push; a worker's tally of what is not pushed yet.
Fails  never: without a control plane the tally grows to ROWS_MOST rows, then forgets the oldest
       hour first and says how many requests that were.
"""

import secrets
from collections.abc import MutableMapping
from typing import Any

from msgspec import Struct

HOUR_S = 3600
BATCH_ROWS = 5_000
ROWS_MOST = 100_000

At = tuple[int, str, str, str, str, str]


class UsageRow(Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One hour (Unix seconds of its beginning), consumer, key, route and version.

    refused: answered 4xx but for 429. throttled: 429. failed: 5xx, or nothing was answered.
    last_s: Unix seconds of the push, close to when it was last used. plan: of the caller.
    """

    hour_s: int
    consumer: str
    key: str
    route: str
    version: str
    requests: int
    refused: int
    throttled: int
    failed: int
    last_s: int
    plan: str = ""


class UsageBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """sequence: counts up from 1 in one worker's life; a batch that comes again counts once."""

    worker: str
    sequence: int
    rows: tuple[UsageRow, ...]


class Tally:
    """memory: what policies/usage.py counts in, by route and then (caller, version, status).

    A request belongs to the hour in which it was gathered: at a push interval's precision.
    """

    def __init__(self, memory: MutableMapping[str, dict[Any, int]]) -> None:
        self._memory = memory
        self._worker = secrets.token_hex(8)
        self._sequence = 0
        self._rows: dict[At, list[int]] = {}
        self._sent: UsageBatch | None = None
        self.lost = 0

    def gather(self, now_s: float) -> None:
        """Take over what was counted since the last time."""
        hour_s = int(now_s) // HOUR_S * HOUR_S
        for route, counts in self._memory.items():
            if not counts:
                continue
            taken = counts.copy()
            counts.clear()
            for (caller, version, status), number in taken.items():
                consumer, key, plan = "", "", ""
                if caller is not None:
                    consumer, key, plan = caller.consumer, caller.key_id, caller.plan
                at = (hour_s, consumer, key, route, version.decode("latin-1"), plan)
                row = self._rows.setdefault(at, [0, 0, 0, 0, 0])
                row[0] += number
                if (kind := _kind(status)) is not None:
                    row[kind] += number
                row[4] = int(now_s)
        while len(self._rows) > ROWS_MOST:
            self.lost += self._rows.pop(next(iter(self._rows)))[0]

    def batch(self) -> UsageBatch | None:
        """What to push now: the same one until it is `done`. None when there is nothing."""
        if self._sent is None and self._rows:
            self._sequence += 1
            taken = [*self._rows][:BATCH_ROWS]
            rows = tuple(_row(*at, self._rows.pop(at)) for at in taken)
            self._sent = UsageBatch(self._worker, self._sequence, rows)
        return self._sent

    def done(self) -> None:
        """The batch arrived."""
        self._sent = None


def _row(
    hour_s: int, consumer: str, key: str, route: str, version: str, plan: str, counts: list[int]
) -> UsageRow:
    requests, refused, throttled, failed, last_s = counts
    return UsageRow(
        hour_s, consumer, key, route, version, requests, refused, throttled, failed, last_s, plan
    )


def _kind(status: int) -> int | None:
    """Which of refused, throttled, failed a status counts as."""
    if status == 429:
        return 2
    if 400 <= status < 500:
        return 1
    return 3 if status >= 500 or status == 0 else None
