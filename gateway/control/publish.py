"""This file exists to number the control plane's state and hand it to data planes as it changes.

Owns   the current snapshot in memory, and who waits for the next. What other replicas of the
       control plane change in the database is looked for five times a second.
Fails  INVALID, in the words of what was refused: then the change that led to it is rolled back.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, insert, or_, select, text, update

from chassis import clock
from chassis.database import Database
from chassis.discovery import plugs
from chassis.log import log
from contracts.problem import Fault, Problem
from gateway import keys
from gateway.control.applied import applied_of
from gateway.control.quota_store import adjusted_all
from gateway.control.store import consumers_all, limits_of
from gateway.control.tables import api_key, plan, published
from gateway.control.version_store import lives
from gateway.identity import published as identity_published
from gateway.pipeline import PipeRefused, examine
from gateway.policy import Policy
from gateway.routes import Route, Upstream, document_route, leak_route, portal_routes, tier_routes
from gateway.settings import ControlSettings
from gateway.snapshot import Consumer, Key, Plan, Snapshot, SnapshotRefused, check, encode

T = TypeVar("T")

LOOK_S = 0.2
_LOG = log("gateway.publish")


@contextmanager
def _told() -> Iterator[None]:
    """What a snapshot may not be is the caller's to mend, not a fault of ours."""
    try:
        yield
    except (SnapshotRefused, PipeRefused) as refused:
        raise Problem(Fault.INVALID, str(refused)) from refused


def _next(connection: Connection) -> None:
    """First of all: it holds the row, so that changes at all replicas go one after the other."""
    connection.execute(update(published).values(version=published.c.version + 1))


class _Rehearsed(Exception):
    """Carries a dry run's result out of its transaction, which is rolled back by it."""

    def __init__(self, done: Any) -> None:
        self.done = done


class Publisher:
    """Every change goes through `change`: state, audit and version in one transaction."""

    def __init__(self, database: Database, settings: ControlSettings) -> None:
        self._database = database
        self.policies = plugs("gateway.policies", "POLICY", Policy)
        self._examined: tuple[Route, ...] = ()
        self._upstreams = upstreams(settings)
        self._routes = settings.routes or tier_routes()
        self._hosts = settings.hosts
        self._settings = settings
        self._own_routes = (
            *identity_published.routes_of(settings),
            document_route(),
            *portal_routes(),
            leak_route(),
        )
        self._changed = asyncio.Condition()
        self.snapshot = Snapshot(version=0)
        self._encoded = b""

    @property
    def own_upstreams(self) -> frozenset[str]:
        """Names of those the settings hold."""
        return frozenset(upstream.name for upstream in self._upstreams)

    @property
    def own_routes(self) -> frozenset[str]:
        """Names of those that are always there."""
        return frozenset(route.name for route in self._own_routes)

    async def begin(self) -> None:
        """Take up the stored version; a changed configuration counts as a change."""
        configured = hashlib.sha256(
            msgspec.json.encode((self._upstreams, self._routes + self._own_routes, self._hosts))
        ).hexdigest()
        await self._publish(await self._database.write(lambda c: self._started(c, configured)))

    async def change(self, work: Callable[[Connection], T]) -> T:
        """Do the work and publish; all of it or nothing."""

        def changed(connection: Connection) -> tuple[T, Snapshot]:
            _next(connection)
            done = work(connection)
            return done, self._read(connection)

        with _told():
            done, snapshot = await self._database.write(changed)
        await self._publish(snapshot)
        return done

    async def rehearse(self, work: Callable[[Connection], T]) -> T:
        """What `change` would do, and whether it would hold; then none of it was."""

        def tried(connection: Connection) -> T:
            _next(connection)
            done = work(connection)
            self._read(connection)
            raise _Rehearsed(done)

        try:
            with _told():
                return await self._database.write(tried)
        except _Rehearsed as rehearsed:
            done: T = rehearsed.done
            return done

    async def after(self, version: int, wait_s: float) -> bytes | None:
        """The snapshot when it is another than this version, as soon as it is; None in time."""
        if self.snapshot.version < version:
            await self.look()  # another replica told it; nobody is to go back to what was before
        if self.snapshot.version == version:
            try:
                async with asyncio.timeout(wait_s), self._changed:
                    await self._changed.wait_for(lambda: self.snapshot.version != version)
            except TimeoutError:
                return None
        return self._encoded

    async def follow(self) -> None:
        """Until cancelled: publish what other replicas have changed."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception as error:  # house: except one look that fails must not be the last
                _LOG.error("publish.look_failed", because=repr(error), exc_info=error)

    async def look(self) -> None:
        """Once."""
        version = await self._database.read(
            lambda connection: connection.execute(select(published.c.version)).scalar_one()
        )
        if version > self.snapshot.version:
            await self._publish(await self._database.read(self._read_at_once))

    def _read_at_once(self, connection: Connection) -> Snapshot:
        """While others write; SQLite's readers see one state as they are."""
        if not self._database.sqlite:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return self._read(connection)

    async def _publish(self, snapshot: Snapshot) -> None:
        async with self._changed:
            # Two changes may come back from their transactions in the other order.
            if snapshot.version > self.snapshot.version:
                self.snapshot, self._encoded = snapshot, encode(snapshot)
                self._changed.notify_all()

    def _started(self, connection: Connection, configured: str) -> Snapshot:
        row = connection.execute(select(published)).one_or_none()
        if row is None:
            # Time-based, so that a new database never counts below what data planes have seen.
            version = int(clock.now().timestamp())
            connection.execute(
                insert(published).values(id=1, version=version, configuration=configured)
            )
        elif row.configuration != configured:
            connection.execute(
                update(published).values(version=row.version + 1, configuration=configured)
            )
        return self._read(connection)

    def _read(self, connection: Connection) -> Snapshot:
        now_ms = int(clock.now().timestamp() * 1000)
        alive = select(api_key).where(
            api_key.c.revoked_ms.is_(None),
            or_(api_key.c.expires_ms.is_(None), api_key.c.expires_ms > now_ms),
        )
        named = {upstream.name: upstream for upstream in self._upstreams}
        named |= {found.name: found for found in applied_of(connection, "upstream", Upstream)}
        hosts = applied_of(connection, "hosts", tuple[str, ...])
        routes = tuple(applied_of(connection, "route", Route)) or self._routes
        taken = {route.name for route in routes}
        known = identity_published.known(connection, self._settings)
        snapshot = Snapshot(
            version=connection.execute(select(published.c.version)).scalar_one(),
            upstreams=tuple(named.values()),
            routes=routes + tuple(r for r in self._own_routes if r.name not in taken),
            plans=tuple(
                Plan(
                    row.name, tuple(row.scopes), limits_of(row),
                    version_default=row.version_default, origins=tuple(row.origins),
                    routes=tuple(row.routes),
                )
                for row in connection.execute(select(plan).order_by(plan.c.name))
            ),
            consumers=tuple(
                Consumer(one.name, one.plans) for one in consumers_all(connection)
            ),
            keys=tuple(
                Key(
                    row.id, bytes(row.digest), row.pepper, row.consumer, tuple(row.scopes),
                    -int(-(row.expires_ms or 0) // 1000), tuple(row.networks),
                    row.version_pin, row.plan, test=keys.is_test(row.display),
                )
                for row in connection.execute(alive.order_by(api_key.c.id))
            ),
            hosts=hosts[0] if hosts else self._hosts,
            versions=lives(connection),
            adjusted=adjusted_all(connection),
            issuers=known.issuers,
            clients=known.clients,
            revoked=known.revoked,
        )  # fmt: skip
        check(snapshot)
        if snapshot.routes != self._examined:
            for route in snapshot.routes:
                examine(self.policies, route)
            self._examined = snapshot.routes
        return snapshot


def upstreams(settings: ControlSettings) -> tuple[Upstream, ...]:
    """The configured ones, and the three tiers unless they are among them."""
    named = {upstream.name: upstream for upstream in settings.upstreams}
    for tier, url in (
        ("system", settings.system_url),
        ("process", settings.process_url),
        ("experience", settings.experience_url),
    ):
        origins = tuple(part.strip() for part in url.split(","))
        sandbox = origins if settings.sandbox else ()
        named.setdefault(tier, Upstream(tier, origins, sandbox_origins=sandbox))
    # What is the gateway's own answers every key: it holds no data of the firm.
    here = (f"http://{settings.host}:{settings.port}",)
    itself = Upstream("control", here, sandbox_origins=here)
    named.setdefault("control", itself)
    return tuple(named.values())


def routes(publisher: Publisher) -> tuple[Route, ...]:
    """In force now."""
    return publisher.snapshot.routes
