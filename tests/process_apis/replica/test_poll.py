"""The lanes against a system tier on a real socket: pages, cursors, silence, what is set free."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from chassis import clock, identity
from chassis.identity import Signer, Verifier
from chassis.serve import routes
from chassis.server import serving
from chassis.service import service
from contracts.entities.record import Alias
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.psa import Psa
from contracts.problem import Fault, Problem
from process_apis.replica import lease, poll
from process_apis.replica.poll import Feed, Poller
from process_apis.systems import Systems
from process_apis.tables import cross_reference, master_record, sync_cursor


class Source:
    """A PSA with two streams, pages of two, and moods."""

    def __init__(self) -> None:
        self.streams_held: dict[str, list[Any]] = {"project": [], "alias": []}
        self.entries: list[Any] = []
        self.down = False
        self.calls: list[tuple[str, str | None]] = []

    async def streams(self) -> tuple[str, ...]:
        self._mood()
        return tuple(self.streams_held)

    async def changes(self, stream: str, cursor: str | None = None, limit: int = 200) -> Any:
        self._mood()
        return self._page(stream, self.streams_held[stream], cursor)

    async def time_entries(self, cursor: str | None = None, limit: int = 200) -> Any:
        self._mood()
        return self._page("time_entries", self.entries, cursor)

    def _page(self, name: str, held: list[Any], cursor: str | None) -> Any:
        self.calls.append((name, cursor))
        start = max(0, int(cursor or 0) - 1)  # an overlap of one, as a real feed has
        items = held[start : start + 3]
        end = start + len(items)
        return Page(tuple(items), str(end), end < len(held))

    def _mood(self) -> None:
        if self.down:
            raise Problem(Fault.VENDOR_DOWN, "The PSA sleeps.")

    def __getattr__(self, name: str) -> Any:
        async def absent(**_: Any) -> None:
            raise Problem(Fault.NOT_FOUND, name)

        return absent


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def poller(world: Any, source: Source, tmp_path: Path) -> AsyncIterator[Poller]:
    identity.ensure(tmp_path)
    verifier, signer = Verifier(identity.jwks_file(tmp_path)), Signer.of(tmp_path, "process")
    handlers = routes(Psa, source, prefix="/system/v1/kantata/psa")
    async with serving(service("system", handlers=handlers, verifier=verifier)) as base_url:
        systems = Systems(base_url, signer)
        yield Poller(
            world.database, world.replica, systems,
            sources=["kantata/psa"], tenant="acme", owner="process-1",
            arrived=world.worker.poke, mended=world.mended,
        )  # fmt: skip
        await systems.aclose()


@pytest.fixture
async def second(world: Any, source: Source, poller: Poller) -> Poller:
    """Another process on the same database, with a replica of its own."""
    return Poller(
        world.database, world.another_replica(), poller._systems,
        sources=["kantata/psa"], tenant="acme", owner="process-2",
        arrived=world.worker.poke, mended=world.mended,
    )  # fmt: skip


TIME = Feed("kantata", "psa", "time_entries")


async def test_one_of_two_processes_polls_a_feed(
    world: Any, source: Source, poller: Poller, second: Poller
) -> None:
    """The vendor's quota is spent once; the other takes over when the first leaves or is gone."""
    source.entries = [world.entry()]
    await poller.drain(TIME)
    await second.drain(TIME)
    assert len(source.calls) == 1
    await poller.leave()
    await second.drain(TIME)
    await poller.drain(TIME)
    assert len(source.calls) == 2
    with clock.using(clock.Fixed(clock.now() + timedelta(seconds=lease.LEASE_S + 1))):
        await poller.drain(TIME)
        await second.drain(TIME)
    assert len(source.calls) == 3


async def test_a_page_of_one_who_lost_the_feed_is_not_taken(
    world: Any, source: Source, poller: Poller, second: Poller
) -> None:
    """A poller that was too slow commits nothing: cursor and records are the new holder's."""
    source.streams_held["project"] = [world.records["project"]]
    source.entries = [world.entry(str(n), minutes=n) for n in range(1, 8)]
    await poller.drain(TIME)
    before = world.rows(select(sync_cursor).where(sync_cursor.c.stream == "time_entries"))
    assert await second._database.write(
        lambda c: lease.take(c, TIME.place, second._owner, clock.now(), force=True)
    )
    source.entries.append(world.entry("8", minutes=8))
    assert await poller._page(TIME) is False
    after = world.rows(select(sync_cursor).where(sync_cursor.c.stream == "time_entries"))
    assert [(r.cursor, r.records) for r in after] == [(r.cursor, r.records) for r in before]
    await second.drain(TIME)
    await world.worker.drain()
    assert {world.state(str(n)) for n in range(1, 9)} == {"READY"}


async def test_who_is_asked_to_sync_takes_the_feeds_over(
    world: Any, source: Source, poller: Poller, second: Poller
) -> None:
    """A person waits for the answer of the process they reached."""
    await poller.sync(["time_entries"])
    await second.sync(["time_entries"])
    assert len(source.calls) == 2


async def test_time_flows_from_the_feed_to_the_ledger(
    world: Any, source: Source, poller: Poller
) -> None:
    """Pages with an overlap, drained to the end; polling again takes nothing twice."""
    source.entries = [world.entry(str(n), minutes=n) for n in range(1, 8)]
    await poller.sync(["time_entries"])
    await world.worker.drain()
    assert {world.state(str(n)) for n in range(1, 8)} == {"READY"}
    calls = len(source.calls)
    await poller.sync(["time_entries"])
    assert len(source.calls) == calls + 1
    assert world.waiting() == 0


async def test_an_alias_becomes_a_cross_reference_and_sets_time_free(
    world: Any, source: Source, poller: Poller
) -> None:
    """A login nobody knew, once its address is known, is a person; the time goes through."""
    await world.deliver(world.entry(resource=Ref("kantata", "99")))
    assert world.codes() == {"RESOURCE_UNKNOWN"}
    source.streams_held["alias"] = [
        Alias(**world_origin(world, "99"), of="resource", email="NINE@firm.example")
    ]
    await poller.master()
    await world.worker.drain()
    assert world.state() == "READY"
    found = select(cross_reference.c.code).where(cross_reference.c.external_id == "99")
    assert world.scalar(found) == "P9"


async def test_the_same_page_again_changes_nothing(
    world: Any, source: Source, poller: Poller
) -> None:
    """Overlap is dropped by version: the replica's number does not move."""
    source.streams_held["project"] = [world.records["project"]]
    before = world.replica.snapshot.version
    await poller.master()
    await poller.master()
    assert world.replica.snapshot.version == before


async def test_a_silent_system_is_said_to_be_stalled_and_comes_back(
    world: Any, source: Source, poller: Poller
) -> None:
    """People see which feed stands still and why; the cursor survives."""
    source.entries = [world.entry()]
    await poller.sync(())
    source.down = True
    await poller.sync(())
    with world.database.reading() as connection:
        seen = {state.stream: state for state in poll.states(connection)}
    assert seen["time_entries"].state == "STALLED"
    assert seen["time_entries"].say
    source.down = False
    await poller.sync(())
    with world.database.reading() as connection:
        again = {state.stream: state.state for state in poll.states(connection)}
        cursor = poll.cursor_of(connection, Feed("kantata", "psa", "time_entries"))
    assert (again["time_entries"], cursor) == ("IDLE", "1")


async def test_another_process_sees_the_change(world: Any) -> None:
    """A replica of its own, loaded before, follows by the change number."""
    other = world.another_replica()
    await other.load(world.database)
    assert other.snapshot.get("project", "P-1").status == "ACTIVE"
    await world.change("project", status="CLOSED")
    await other.load(world.database)
    assert other.snapshot.get("project", "P-1").status == "CLOSED"
    assert other.snapshot.version == world.replica.snapshot.version


async def test_a_rolled_back_change_leaves_no_trace_in_memory(world: Any) -> None:
    """The snapshot is never ahead of the tables."""

    def failing(connection: Any) -> None:
        closed = world.records["project"].__class__
        changed = closed(
            **{name: getattr(world.records["project"], name) for name in closed.__struct_fields__}
            | {"source_version": 9, "status": "CLOSED"}
        )
        world.replica.taken(connection, [changed])
        raise RuntimeError("the commit fails")

    with pytest.raises(RuntimeError):
        await world.replica.write(world.database, failing)
    await world.deliver(world.entry())
    assert world.state() == "READY"
    assert (
        world.scalar(select(master_record.c.source_version).where(master_record.c.code == "P-1"))
        == 1
    )


def world_origin(world: Any, id: str) -> dict[str, Any]:
    person = world.records["person"]
    return {
        "ref": Ref("kantata", id), "source_version": 1,
        "source_updated_at": person.source_updated_at,
    }  # fmt: skip
