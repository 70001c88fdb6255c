"""What one turn does to states, ledger, queue and log; on both databases."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select

from contracts.entities.record import CrossReference
from process_apis import counters
from process_apis.intake import reading
from process_apis.tables import entry_version, event_log, ledger, time_entry, work_item


async def test_clean_time_becomes_ready_with_cost_and_sales(world: Any) -> None:
    """One approved hour: a cost row, a sales row of 140.00, and one event that says so."""
    await world.deliver(world.entry())
    assert world.state() == "READY"
    cost, sales = world.live_rows()
    assert (cost.type, cost.op_minutes, cost.bill_minutes) == ("COST", 60, 0)
    assert (sales.type, sales.status, sales.amount_exact) == (
        "UNBILLED_SALES", "READY", Decimal(140),
    )  # fmt: skip
    assert world.event_types() == ["firmwire.time_entry.evaluated.v1"]


async def test_stale_duplicate_and_conflicting_versions(world: Any) -> None:
    """Golden 21: v1, v3, v2, v3, v1 is v3 once, stale 2, duplicate 1; v3 anew is a conflict."""
    v1, v2, v3 = (world.entry(version=v, minutes=60 * v) for v in (1, 2, 3))
    for version in (v1, v3, v2, v3, v1):
        await world.deliver(version)
    sales = [row for row in world.live_rows() if row.type == "UNBILLED_SALES"]
    assert [(row.source_version, row.bill_minutes) for row in sales] == [(3, 180)]
    with world.database.reading() as connection:
        progress = reading.progress(connection)
    assert (progress.stale, progress.duplicates, progress.conflicts) == (2, 1, 0)
    await world.deliver(msgspec.structs.replace(v3, minutes=1))
    assert world.codes() == {"SRC_VERSION_CONFLICT"}
    assert [row.bill_minutes for row in world.live_rows() if row.type != "COST"] == [180]


async def test_the_same_in_one_batch(world: Any) -> None:
    """How deliveries are cut into batches changes nothing."""
    v1, v2, v3 = (world.entry(version=v, minutes=60 * v) for v in (1, 2, 3))
    await world.deliver(v1, v3, v2, v3, v1)
    with world.database.reading() as connection:
        progress = reading.progress(connection)
    assert (progress.stale, progress.duplicates) == (2, 1)
    assert [row.source_version for row in world.live_rows()] == [3, 3]
    assert [row.source_version for row in world.rows(select(entry_version))] == [1]


async def test_a_correction_reverses_and_replaces(world: Any) -> None:
    """Every row that was ever written stays; what no longer counts is reversed to zero."""
    await world.deliver(world.entry(minutes=60))
    await world.deliver(world.entry(version=2, minutes=90))
    query = select(ledger).where(ledger.c.type == "UNBILLED_SALES").order_by(ledger.c.id)
    rows = world.rows(query)
    assert sum(row.amount_exact for row in rows) == Decimal(210)
    assert sorted((row.bill_minutes, row.status) for row in rows) == [
        (-60, "REVERSED"), (60, "REVERSED"), (90, "READY"),
    ]  # fmt: skip
    assert "firmwire.bt.reversed.v1" in world.event_types()
    assert world.rows(select(entry_version))[0].source_version == 1


async def test_withdrawn_time_leaves_nothing_live(world: Any) -> None:
    """A tombstone takes cost and sales away."""
    await world.deliver(world.entry())
    await world.deliver(world.entry(version=2, deleted=True))
    assert world.state() == "WITHDRAWN"
    assert world.live_rows() == []


async def test_a_mended_map_sets_its_whole_group_free(world: Any) -> None:
    """One cross-reference, ten entries: one cause, one mend, ten READY, ten items closed."""
    lost = CrossReference(entity="project", code="P-1", system="legacy", external_id="x")
    entries = [
        world.entry(str(n), project=world.entry().project.__class__("legacy", "x"),
                    work_date=date(2026, 4, n))
        for n in range(1, 11)
    ]  # fmt: skip
    await world.deliver(*entries)
    assert {world.state(str(n)) for n in range(1, 11)} == {"EXCEPTION"}
    taken = await world.replica.take(world.database, references=[lost])
    assert taken.redriven == 10
    await world.worker.drain()
    assert {world.state(str(n)) for n in range(1, 11)} == {"READY"}
    closed = world.rows(select(work_item.c.state, work_item.c.resolution))
    assert {(row.state, row.resolution) for row in closed} == {("RESOLVED", "AUTO")}
    assert world.event_types().count("firmwire.exception.resolved.v1") == 10


async def test_a_record_of_a_feed_sets_free_too(world: Any) -> None:
    """A project reopened in the PSA lets its time through, and closing it again takes it back."""
    await world.change("project", status="CLOSED")
    await world.deliver(world.entry())
    assert world.codes() == {"PROJECT_CLOSED"}
    assert (await world.change("project", status="ACTIVE")).redriven == 1
    await world.worker.drain()
    assert world.state() == "READY"
    assert world.codes() == set()


async def test_a_row_comes_back_after_it_was_reversed(world: Any) -> None:
    """Blocked, free, blocked, free: each time a row of its own, never a clash of keys."""
    await world.deliver(world.entry())
    for n in range(2, 6):
        await world.deliver(world.entry(version=n, minutes=60))
    for status, state in (("CLOSED", "EXCEPTION"), ("ACTIVE", "READY")) * 2:
        await world.change("project", status=status)
        world.do(lambda c: c.execute(time_entry.update().values(redrive=True)))
        await world.worker.drain()
        assert world.state() == state
    sales = [row for row in world.live_rows() if row.type == "UNBILLED_SALES"]
    assert [row.bill_minutes for row in sales] == [60]


async def test_a_day_over_24_hours_flags_all_its_entries(world: Any) -> None:
    """Golden 19, arriving one by one: earlier entries of the day are taken back."""
    for number, hours in (("1", 10), ("2", 8), ("3", 6)):
        await world.deliver(world.entry(number, minutes=hours * 60))
    assert [world.state(n) for n in "123"] == ["READY"] * 3
    await world.deliver(world.entry("4", minutes=120))
    assert [world.state(n) for n in "1234"] == ["EXCEPTION"] * 4
    assert all(world.codes(n) == {"DAY_OVER_24H"} for n in "1234")
    await world.deliver(world.entry("4", version=2, minutes=30))
    assert [world.state(n) for n in "1234"] == ["EXCEPTION"] * 4
    await world.deliver(world.entry("4", version=3, deleted=True))
    assert [world.state(n) for n in "123"] == ["READY"] * 3
    assert all(world.codes(n) & {"DAY_OVER_24H"} == set() for n in "1234")


async def test_counters_by_state_are_exact(world: Any) -> None:
    """The counters are the truth of a GROUP BY, after all kinds of changes."""
    await world.deliver(*(world.entry(str(n), work_date=date(2026, 4, n)) for n in range(1, 9)))
    await world.deliver(world.entry("3", version=2, deleted=True, work_date=date(2026, 4, 3)))
    await world.change("project", status="CLOSED")
    world.do(lambda c: c.execute(time_entry.update().values(redrive=True)))
    await world.worker.drain()
    states = [row.billing_state for row in world.rows(select(time_entry))]
    with world.database.reading() as connection:
        kept = {k: v for k, v in counters.read(connection, "entries:").items() if v}
    assert kept == {state: states.count(state) for state in set(states)}


async def test_every_event_has_a_place_and_a_name_of_its_own(world: Any) -> None:
    """Readers drop what they have seen by (id, source)."""
    for version in (1, 2, 3):
        await world.deliver(world.entry(version=version, minutes=60 * version))
    rows = world.rows(select(event_log))
    assert len({(row.id, row.source) for row in rows}) == len(rows)
