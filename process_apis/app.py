"""The process tier's door: opens the database, starts the lanes, serves the ports.

Owns   the process's lanes: evaluation, time feeds, master data, timers. Each goes on for ever and
       ends at once when the tier stops; what was not committed is done again at the next start.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock, identity, log, server, settings, stopping
from chassis.database import Database, url_of
from chassis.idempotency import SqlMemory
from chassis.identity import Signer, Verifier
from chassis.limiter import Lane
from chassis.serve import routes
from chassis.service import Lifespan, Service, service
from contracts.ports.process.billing import Billing
from contracts.ports.process.events import Events
from contracts.ports.process.exceptions import Exceptions
from contracts.ports.process.journeys import Journeys
from contracts.ports.process.master_data import MasterData
from contracts.ports.process.reconciliation import Reconciliation
from contracts.ports.process.time_entries import TimeEntries
from process_apis import durable, events, journey, tables
from process_apis.beats import Beats
from process_apis.billing import around, drafts, gates, recovery
from process_apis.billing.desk import Desk
from process_apis.exceptions import ExceptionsPort
from process_apis.feed import EventsPort, stream_handler
from process_apis.intake import timer
from process_apis.intake.port import TimeEntriesPort
from process_apis.intake.worker import Worker
from process_apis.reconciliation import Reconciler
from process_apis.replica.poll import Poller, forever
from process_apis.replica.port import MasterDataPort
from process_apis.replica.replica import Mended, Replica, Taken
from process_apis.runs import Runs
from process_apis.settings import ProcessSettings
from process_apis.systems import Systems

PREFIX = "/process/v1"
MIGRATIONS = "process_apis.migrations"


class Tier(Struct, frozen=True):
    """What the ports and lanes of one process share."""

    chosen: ProcessSettings
    database: Database
    systems: Systems
    replica: Replica
    worker: Worker
    poller: Poller
    mended: Mended
    source: str


def tier(chosen: ProcessSettings, signer: Signer, database: Database) -> Tier:
    """Everything made, nothing started. The database is open and migrated."""
    source = f"/{chosen.tenant}/process"
    systems = Systems(chosen.system_url, signer)
    replica = Replica(
        erp_instance_of=chosen.erp_instance_of,
        default_erp=chosen.default_erp,
        policies=chosen.policies,
    )
    worker = Worker(
        database, replica, source=source, recalculate=drafts.recalculate, batch=chosen.batch
    )

    waiting = [plug.mended for plug in journey.journeys().values() if plug.mended is not None]

    async def mended(taken: Taken) -> None:
        if taken.redriven:
            worker.poke()
        await recovery.mended(taken.keys)
        for start_again in waiting:
            await start_again(taken.keys)

    poller = Poller(
        database, replica, systems,
        sources=chosen.sources, tenant=chosen.tenant, owner=chosen.durable.executor,
        arrived=worker.poke, mended=mended,
    )  # fmt: skip
    return Tier(chosen, database, systems, replica, worker, poller, mended, source)


def create(
    chosen: ProcessSettings, verifier: Verifier, signer: Signer, database: Database, home: Path
) -> Service:
    """The tier's service over an open, migrated database; it closes the database when it stops.

    home: where the engine of durable runs keeps its file, unless it has an address of its own.
    """
    made = tier(chosen, signer, database)
    memory = SqlMemory(database, tables.idempotency)
    feed = EventsPort(database)
    ports: list[tuple[Any, Any]] = [
        (TimeEntries, TimeEntriesPort(database, made.replica, made.worker)),
        (Exceptions, ExceptionsPort(database, source=made.source, redriven=made.worker.poke)),
        (MasterData, MasterDataPort(database, made.replica, made.poller, made.mended)),
        (Events, feed),
        (Billing, Desk()),
        (Journeys, Runs()),
        (Reconciliation, Reconciler()),
    ]
    handlers = [
        handler
        for port, implementation in ports
        for handler in routes(port, implementation, prefix=PREFIX, memory=memory)
    ]
    return service(
        "process",
        handlers=[*handlers, stream_handler(feed)],
        verifier=verifier,
        ready={"database": database.check},
        lifespan=[_closing(made), _engine(made, home), _lanes(made)],
        lane=Lane.SYNC,
    )


def run() -> None:
    """`firmwire serve process`: settings from the environment, until SIGTERM."""
    chosen = settings.load(ProcessSettings, "process")
    log.configure("process", form="console" if chosen.log_form == "console" else "json")
    log.log("process.app").info("settings.read", settings=settings.shown(chosen))
    home = settings.home()
    database = Database(url_of(home, "process", chosen.database_url), name="process")
    database.migrate(MIGRATIONS)
    verifier, signer = Verifier(identity.jwks_file(home)), Signer.of(home, "process")
    server.run(create(chosen, verifier, signer, database, home), host=chosen.host, port=chosen.port)


def _closing(made: Tier) -> Lifespan:
    @asynccontextmanager
    async def closing(_app: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await made.systems.aclose()
            await made.database.aclose()

    return closing


def _engine(made: Tier, home: Path) -> Lifespan:
    """Durable runs: what is unfinished goes on before the first request."""
    chosen = made.chosen

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        await made.replica.load(made.database)
        stopping.tell(events.wake)
        journey.bind(made.systems)
        around.bind(
            around.Around(
                database=made.database,
                tenant=chosen.tenant,
                snapshot=lambda: made.replica.snapshot,
                allow_self_release=chosen.allow_self_release,
            )
        )
        journey.journeys()
        async with durable.running(chosen.durable, home):
            await recovery.recover()
            try:
                yield
            finally:
                gates.forget()

    return running


def _lanes(made: Tier) -> Lifespan:
    chosen = made.chosen

    def due(connection: Connection) -> int:
        at = clock.now()
        return timer.due(connection, at.date(), at)

    async def timed() -> None:
        while True:
            if await made.database.write(due):
                made.worker.poke()
            await asyncio.sleep(chosen.timer_s)

    async def repriced() -> None:
        while True:
            await asyncio.sleep(chosen.medians_s)
            await made.replica.reprice(made.database)

    beats = Beats(made.database, chosen.durable.executor)
    lanes: dict[str, Callable[[], Awaitable[None]]] = {
        "replicas": beats.run,
        "evaluation": lambda: made.worker.run(chosen.idle_s),
        "master data": lambda: made.poller.run_master(chosen.master_poll_s),
        "time": lambda: made.poller.run_time(chosen.time_poll_s),
        "timer": timed,
        "usual prices": repriced,
    }

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        chosen_lanes = lanes.items() if chosen.lanes else ()
        tasks = [asyncio.create_task(forever(lane, name)) for name, lane in chosen_lanes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if tasks:
                await made.poller.leave()
            events.wake()  # readers that wait for the next event need wait no longer

    return running
