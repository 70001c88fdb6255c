"""The totals after any history are what the newest facts come to, however they arrived."""

import asyncio
import itertools
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from chassis.database import Database
from contracts.events import CloudEvent
from experience_apis.facts import Amount, Cell, cells_of, facts_of, straight_cells, sum_cells
from experience_apis.read_model import ReadModel
from experience_apis.tables import fact, metadata, progress, total
from experience_apis.views.operations import BOARDS

ALL = (*BOARDS, "touched")
STATES = ("READY", "HELD", "EXCEPTION", "ON_DRAFT", "BILLED", "NON_BILLABLE", "WITHDRAWN")


def expected(events: list[CloudEvent]) -> dict[Cell, Amount]:
    """From the definitions, in memory, without history: the newest facts and nothing else."""
    newest = {(f.kind, f.key): f for e in events for f in facts_of(e)}
    parts = [(cells_of(f), True) for f in newest.values()]
    for kind, key in newest:
        if kind == "entry":
            state = newest[kind, key].state
            parts.append((straight_cells(state, ("touch", key) in newest), True))
    return sum_cells(parts)


async def test_a_story_of_one_entry(read_model: ReadModel, telling: Any) -> None:
    """Stopped, mended, billed: the totals hold only how it stands, and that it was touched."""
    await read_model.apply(
        [telling.entry("kantata:1", "EXCEPTION"), telling.item("w1", "kantata:1", minor=10_000)], 2
    )
    cells, position, as_of = await read_model.totals(*BOARDS)
    assert cells == {
        Cell("entries", "EXCEPTION", currency="GBP"): Amount(1, 60, 10_000),
        Cell("desk", "PMO", "PROJECT_UNKNOWN", "BLOCK", "GBP"): Amount(1, 0, 10_000),
        Cell("straight", "touched", "open"): Amount(1),
    }
    assert position == 2
    mended, last = telling.item("w1", "kantata:1", "RESOLVED"), telling.entry("kantata:1", "BILLED")
    await read_model.apply([mended, last], 4)
    cells, position, as_of = await read_model.totals(*BOARDS)
    assert cells == {
        Cell("entries", "BILLED", currency="GBP"): Amount(1, 60, 10_000),
        Cell("straight", "touched", "posted"): Amount(1),
    }
    assert (position, as_of) == (4, last.time)


async def test_a_page_that_arrives_again_counts_once(read_model: ReadModel, telling: Any) -> None:
    """Also when it is older than what is known already: nothing goes back."""
    first, second = telling.entry("kantata:1", "READY"), telling.entry("kantata:1", "BILLED")
    await read_model.apply([first], 1)
    await read_model.apply([second], 2)
    before = await read_model.totals(*ALL)
    await read_model.apply([first], 1)
    await read_model.apply([first, second], 2)
    assert await read_model.totals(*ALL) == before
    assert before[1:] == (2, second.time)


async def test_two_followers_of_one_database_count_once(
    read_model: ReadModel, telling: Any
) -> None:
    """Two processes read the same page at the same time; every event is counted by one of them."""
    events = [telling.entry(f"kantata:{n}", "READY") for n in range(200)]
    for at in range(0, 200, 20):
        page = events[at : at + 20]
        await asyncio.gather(*(read_model.apply(page, at + 20) for _ in range(3)))
    cells, position, _ = await read_model.totals("entries")
    assert cells == {Cell("entries", "READY", currency="GBP"): Amount(200, 12_000, 2_000_000)}
    assert position == 200


async def test_many_at_once(read_model: ReadModel, telling: Any) -> None:
    """A batch far beyond one statement's parameters."""
    events = [telling.entry(f"kantata:{n}", "READY", 1) for n in range(3_000)]
    await read_model.apply(events, 3_000)
    again = [telling.entry(f"kantata:{n}", "BILLED", 2) for n in range(3_000)]
    await read_model.apply(again, 6_000)
    cells, _, _ = await read_model.totals(*BOARDS)
    assert cells == expected(events + again)


async def test_what_is_not_told_to_the_dashboards_moves_the_position(
    read_model: ReadModel, telling: Any
) -> None:
    """An empty page of a filtered feed still says how far it looked."""
    await read_model.apply([telling.entry("kantata:1", "READY")], 1)
    await read_model.apply([], 40)
    assert await read_model.position() == 40


def test_rebuilt_from_nothing_is_the_same(database: Database, telling: Any) -> None:
    """The read model owns nothing: throw it away, read the log again, and it is as it was."""
    events = [telling.entry("kantata:1", "HELD"), telling.item("w1", "kantata:1", severity="HOLD"),
              telling.entry("kantata:2", "READY"), telling.invoice("i1", "POSTED")]  # fmt: skip
    read_model = ReadModel(database)
    asyncio.run(read_model.apply(events, 4))
    before = asyncio.run(read_model.totals(*ALL))
    with database.transaction() as connection:
        for table in (fact, total, progress):
            connection.execute(delete(table))
    for event in events:
        asyncio.run(read_model.apply([event], event.position or 0))
    assert asyncio.run(read_model.totals(*ALL)) == before


def test_the_migrations_make_what_the_code_expects(database: Database) -> None:
    """No column, index or type differs between the tables and the migrations."""
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    assert differences == []


def _history() -> Any:
    entry = st.tuples(st.just("entry"), st.integers(0, 4), st.sampled_from(STATES),
                      st.integers(-5, 5), st.sampled_from(["GBP", "JPY", ""]))  # fmt: skip
    item = st.tuples(st.just("item"), st.integers(0, 4), st.sampled_from(["OPEN", "RESOLVED"]),
                     st.integers(0, 5), st.sampled_from(["BLOCK", "HOLD", "WARN"]))  # fmt: skip
    invoice = st.tuples(st.just("invoice"), st.integers(0, 3),
                        st.sampled_from(["DRAFT", "RELEASED", "POSTED"]),
                        st.integers(0, 9), st.just("GBP"))  # fmt: skip
    return st.lists(st.one_of(entry, item, invoice), max_size=40)


def _told(telling: Any, step: tuple[Any, ...]) -> CloudEvent:
    kind, number, state, minor, last = step
    if kind == "entry":
        return telling.entry(f"kantata:{number}", state, minor, last)
    if kind == "item":
        return telling.item(f"w{number}", f"kantata:{number}", state, last, minor=minor)
    posted = f"2026-05-{minor + 1:02d}T00:00:00Z" if state == "POSTED" else None
    return telling.invoice(f"i{number}", state, minor, last, "2026-05-01", posted)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=_history(), cuts=st.lists(st.integers(0, 40), max_size=8), replays=st.booleans())
def test_any_batches_come_to_the_same_totals(
    lite: Database, telling: Any, history: list[Any], cuts: list[int], replays: bool
) -> None:
    """However the log is cut into pages, and whatever arrives twice, the totals are the same."""
    told = type(telling)()
    events = [_told(told, step) for step in history]
    read_model = ReadModel(lite)
    with lite.transaction() as connection:
        for table in (fact, total, progress):
            connection.execute(delete(table))
    edges = sorted({0, len(events), *(cut for cut in cuts if cut <= len(events))})

    async def applied() -> dict[Cell, Amount]:
        for start, end in itertools.pairwise(edges):
            await read_model.apply(events[start:end], end)
            if replays:
                await read_model.apply(events[: (start + end) // 2], (start + end) // 2)
        return (await read_model.totals(*ALL))[0]

    assert asyncio.run(applied()) == expected(events)
