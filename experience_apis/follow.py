"""This file exists to follow the process tier's event log into the read model, for ever.

Owns   one task. Positions are remembered with the totals, so a restart goes on where it was.
Fails  never: trouble is logged, and tried again after a pause that grows to ten seconds.
"""

import asyncio

from chassis.log import log
from contracts.ports.process.events import Events
from experience_apis.read_model import ReadModel

BATCH = 1000
WAIT_S = 20.0
PAUSE_MAX_S = 10.0
_TYPES = "firmwire.time_entry.,firmwire.exception.,firmwire.invoice."
_log = log("experience.follow")


class Follower:
    """grown: set for a moment whenever totals changed; pages wait on it."""

    def __init__(self, events: Events, read_model: ReadModel) -> None:
        self._events = events
        self._read_model = read_model
        self._watchers: set[asyncio.Event] = set()

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = 0.1
        while True:
            try:
                await self._turn()
                pause_s = 0.1
            # A dashboard that stands still without a word is worse than one that is behind.
            except Exception as trouble:  # house: except it goes on for ever, whatever happens
                _log.warning("events.unread", because=repr(trouble), pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(PAUSE_MAX_S, pause_s * 2)

    async def _turn(self) -> None:
        after = await self._read_model.position()
        page = await self._events.feed(after=after, limit=BATCH, wait_s=WAIT_S, types=_TYPES)
        if page.after == after:
            return
        await self._read_model.apply(page.events, page.after)
        for watcher in self._watchers:
            watcher.set()

    def watch(self) -> asyncio.Event:
        """An event that is set when totals change; clear it, and give it back with `unwatch`."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: asyncio.Event) -> None:
        """Nobody waits on it any more."""
        self._watchers.discard(watcher)
