"""Poll the change feeds of every system, each stream at its own pace, cursors kept with the data.

A page and its cursor are one transaction: a crash repeats the page, and versions already held are
dropped. The time feed has a lane of its own, so that master data never delays it.
Source  domain.md B.5 (sync_cursor), C.5 (lanes).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from msgspec import Struct
from sqlalchemy import Connection, select, text

from chassis import clock, travel
from chassis.database import Database
from chassis.limiter import Lane
from chassis.log import log
from contracts.entities.time_entry import TimeEntry
from contracts.paging import Page
from contracts.ports.process.master_data import StreamState
from contracts.ports.system.crm import Crm
from contracts.ports.system.erp import Erp
from contracts.ports.system.hcm import Hcm
from contracts.ports.system.psa import Psa
from contracts.ports.system.scheduling import Scheduling
from contracts.ports.system.system import System
from contracts.problem import Problem
from process_apis.intake import receive
from process_apis.replica import lease
from process_apis.replica.replica import Mended, Replica, Taken
from process_apis.systems import Systems
from process_apis.tables import sync_cursor

PORTS: dict[str, Any] = {
    "crm": Crm, "erp": Erp, "hcm": Hcm, "psa": Psa, "scheduling": Scheduling,
}  # fmt: skip
TIME = "time_entries"
PAGE = 500
_log = log("process.replica")
_UPSERT = text(
    "INSERT INTO sync_cursor (system, port, stream, cursor, state, records, say) "
    "VALUES (:system, :port, :stream, :cursor, :state, :records, :say) "
    "ON CONFLICT (system, port, stream) DO UPDATE SET cursor = excluded.cursor, "
    "state = excluded.state, records = sync_cursor.records + excluded.records, "
    "say = excluded.say"
)


class Feed(Struct, frozen=True, order=True):
    """One stream of one port of one instance."""

    system: str
    port: str
    stream: str

    def __str__(self) -> str:
        return f"{self.system}/{self.port}/{self.stream}"

    @property
    def place(self) -> lease.Place:
        """Its key in `sync_cursor`."""
        return self.system, self.port, self.stream


class Poller:
    """Drains the feeds no other process is polling. sources: `<instance>/<port>`.

    owner: tells processes apart, and stays through a restart, which then need not wait for itself.
    arrived: called after entries came in. mended: after records or references changed.
    """

    def __init__(
        self,
        database: Database,
        replica: Replica,
        systems: Systems,
        *,
        sources: Sequence[str],
        tenant: str,
        owner: str,
        arrived: Callable[[], None],
        mended: Mended,
    ) -> None:
        self._database, self._replica, self._systems = database, replica, systems
        self._sources, self._tenant = tuple(sources), tenant
        self._arrived, self._mended = arrived, mended
        self._feeds: dict[str, tuple[Feed, ...]] = {}
        self._locks: dict[Feed, asyncio.Lock] = {}
        self._owner = owner

    async def run_master(self, every_s: float) -> None:
        """For ever: all master streams."""
        while True:
            await self.master()
            await asyncio.sleep(every_s)

    async def run_time(self, every_s: float) -> None:
        """For ever: the time feeds."""
        while True:
            for feed in self._time_feeds():
                await self.drain(feed)
            await asyncio.sleep(every_s)

    async def master(self, streams: Sequence[str] = (), *, force: bool = False) -> None:
        """Drain these master streams once; empty means all. Systems side by side."""
        await asyncio.gather(*(self._source(source, streams, force) for source in self._sources))

    async def leave(self) -> None:
        """Give all feeds back, for another process to go on at once."""
        await self._database.write(lambda c: lease.release(c, self._owner))

    async def drain(self, feed: Feed, *, force: bool = False) -> None:
        """Read a feed to its end. What fails is said in its state, and tried again next time.

        Another process may be at it; then nothing is done, unless force takes the feed over.
        """
        async with self._locks.setdefault(feed, asyncio.Lock()):
            if not await self._database.write(
                lambda c: lease.take(c, feed.place, self._owner, clock.now(), force=force)
            ):
                return
            try:
                with travel.in_lane(Lane.SYNC):
                    while await self._page(feed):
                        pass
            except Problem as problem:
                _log.warning("stream.stalled", feed=str(feed), because=str(problem))
                await self._stalled(feed, problem.say)
            except Exception as error:  # house: except one feed must not stop the others
                _log.exception("stream.broken", feed=str(feed))
                reason = f"{type(error).__name__}: {error}"[:300]
                await self._stalled(feed, reason)

    async def sync(self, wanted: Sequence[str]) -> None:
        """Drain these streams, by name or `<instance>/<port>/<stream>`; empty means every one.

        Somebody asked this process and waits for it, so it takes the feeds over.
        """
        await self.master(wanted, force=True)
        for feed in self._time_feeds():
            if not wanted or feed.stream in wanted or str(feed) in wanted:
                await self.drain(feed, force=True)

    async def _source(self, source: str, wanted: Sequence[str], force: bool) -> None:
        for feed in await self._feeds_of(source):
            if not wanted or feed.stream in wanted or str(feed) in wanted:
                await self.drain(feed, force=force)

    async def _feeds_of(self, source: str) -> tuple[Feed, ...]:
        if source not in self._feeds:
            instance, _, port = source.partition("/")
            silent = Feed(instance, port, "*")
            try:
                with travel.in_lane(Lane.SYNC):
                    names = await self._port(instance, port).streams()
            except Problem as problem:
                _log.warning("source.silent", source=source, because=str(problem))
                await self._stalled(silent, problem.say)
                return ()
            await self._database.write(
                lambda c: c.execute(sync_cursor.delete().where(*_at(silent)))
            )
            self._feeds[source] = tuple(Feed(instance, port, name) for name in names)
        return self._feeds[source]

    async def _stalled(self, feed: Feed, say: str) -> None:
        await self._database.write(lambda connection: _said(connection, feed, "STALLED", say))

    def _time_feeds(self) -> list[Feed]:
        return [
            Feed(source.partition("/")[0], "psa", TIME)
            for source in self._sources
            if source.endswith("/psa")
        ]

    def _port(self, instance: str, port: str) -> System:
        return cast(System, self._systems.port(PORTS[port], instance))

    async def _page(self, feed: Feed) -> bool:
        """One page with its cursor; True when more waits."""
        cursor = await self._database.read(lambda c: cursor_of(c, feed))
        if feed.stream == TIME:
            psa = cast(Psa, self._port(feed.system, feed.port))
            page: Page[Any] = await psa.time_entries(cursor=cursor, limit=PAGE)
            held = await self._database.write(lambda c: self._entries(c, feed, page))
            if held and page.items:
                self._arrived()
        else:
            port = self._port(feed.system, feed.port)
            page = await port.changes(feed.stream, cursor=cursor, limit=PAGE)
            taken = await self._replica.write(
                self._database, lambda c: self._records(c, feed, page)
            )
            held = taken is not None
            if taken is not None and taken.keys:
                await self._mended(taken)
        return held and page.more and page.next_cursor != cursor

    def _holds(self, connection: Connection, feed: Feed) -> bool:
        """Whoever took the feed over reads this page too: then it is theirs."""
        return lease.renew(connection, feed.place, self._owner, clock.now())

    def _entries(self, connection: Connection, feed: Feed, page: Page[TimeEntry]) -> bool:
        if not self._holds(connection, feed):
            return False
        source = f"/{self._tenant}/{feed.system}"
        arrivals = [
            receive.arrival(source, f"time_entry:{entry.ref}:{entry.source_version}", entry)
            for entry in page.items
        ]
        accepted, _ = receive.store(connection, arrivals, clock.now())
        _moved(connection, feed, page.next_cursor or "", accepted)
        return True

    def _records(self, connection: Connection, feed: Feed, page: Page[Any]) -> Taken | None:
        if not self._holds(connection, feed):
            return None
        taken = self._replica.taken(connection, page.items)
        _moved(connection, feed, page.next_cursor or "", taken.records)
        return taken


def cursor_of(connection: Connection, feed: Feed) -> str | None:
    """Where the next page starts, None at the beginning."""
    query = select(sync_cursor.c.cursor).where(*_at(feed))
    return connection.execute(query).scalar() or None


def states(connection: Connection) -> tuple[StreamState, ...]:
    """Every feed ever polled."""
    now = clock.now()
    order = (sync_cursor.c.system, sync_cursor.c.port, sync_cursor.c.stream)
    return tuple(
        StreamState(
            system=row.system,
            port=row.port,
            stream=row.stream,
            state=row.state,
            records=row.records,
            cursor=row.cursor,
            last_polled_at=row.last_polled_at,
            lag_s=(now - row.last_polled_at).total_seconds() if row.last_polled_at else None,
            say=row.say,
        )
        for row in connection.execute(select(sync_cursor).order_by(*order))
    )


def _moved(connection: Connection, feed: Feed, cursor: str, records: int) -> None:
    _put(connection, feed, cursor=cursor, state="IDLE", records=records, say="")
    connection.execute(sync_cursor.update().where(*_at(feed)).values(last_polled_at=clock.now()))


def _said(connection: Connection, feed: Feed, state: str, say: str) -> None:
    cursor = cursor_of(connection, feed) or ""
    _put(connection, feed, cursor=cursor, state=state, records=0, say=say)


def _put(
    connection: Connection, feed: Feed, *, cursor: str, state: str, records: int, say: str
) -> None:
    connection.execute(
        _UPSERT,
        {"system": feed.system, "port": feed.port, "stream": feed.stream, "cursor": cursor,
         "state": state, "records": records, "say": say},
    )  # fmt: skip


def _at(feed: Feed) -> tuple[Any, ...]:
    columns = sync_cursor.c
    return columns.system == feed.system, columns.port == feed.port, columns.stream == feed.stream


async def forever(lane: Callable[[], Awaitable[None]], name: str, again_s: float = 5.0) -> None:
    """Keep a lane going: whatever ends it is logged, and it begins anew."""
    while True:
        try:
            await lane()
            return
        except Exception:  # house: except a lane never stays dead
            _log.exception("lane.fell", lane=name)
            await asyncio.sleep(again_s)
