"""Sending twice is once, whatever the first sending came to."""

import asyncio

import pytest
from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

from chassis import travel
from chassis.database import Database, url_of
from chassis.idempotency import ProcessMemory, SqlMemory, answered_once
from contracts.principal import Principal
from contracts.problem import Fault, Problem


class Utc(TypeDecorator):
    """SQLite forgets the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value if dialect.name != "sqlite" else value.replace(tzinfo=None)

    def process_result_value(self, value, dialect):
        from datetime import UTC

        return value.replace(tzinfo=UTC) if value.tzinfo is None else value

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(DateTime(timezone=True))


table = Table(
    "idempotency", MetaData(),
    Column("scope", String, primary_key=True), Column("key", String, primary_key=True),
    Column("request_hash", String), Column("status", Integer), Column("reply", LargeBinary),
    Column("created_at", Utc), Column("expires_at", Utc),
)  # fmt: skip


@pytest.fixture(params=["process", "sqlite", "postgres"])
async def memory(request, tmp_path):
    if request.param == "process":
        yield ProcessMemory()
        return
    on_server = request.param == "postgres"
    url = request.getfixturevalue("postgres_url") if on_server else url_of(tmp_path, "x")
    database = Database(url, name="test")
    await database.write(table.metadata.create_all)
    yield SqlMemory(database, table)
    await database.aclose()


class Work:
    """Counts how often it was done. gate: it waits there."""

    def __init__(self, problem=None):
        self.done = 0
        self.problem = problem
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.done += 1
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return 201, b'{"n":%d}' % self.done


async def ask(memory, work, key="k-1", body=b"{}", about="POST /orders"):
    return await answered_once(memory, key, about, body, work)


async def refused(call):
    with pytest.raises(Problem) as caught:
        await call
    return caught.value.fault


async def test_the_same_request_gets_the_same_answer(memory):
    """And is done once."""
    work = Work()
    assert await ask(memory, work) == (201, b'{"n":1}')
    assert await ask(memory, work) == (201, b'{"n":1}')
    assert work.done == 1


async def test_another_request_under_the_same_key_is_refused(memory):
    """Another body, or another address."""
    work = Work()
    await ask(memory, work)
    assert await refused(ask(memory, work, body=b"[]")) is Fault.KEY_REUSED
    assert await refused(ask(memory, work, about="POST /x")) is Fault.KEY_REUSED
    assert work.done == 1


async def test_two_callers_may_use_the_same_key(memory):
    """A key belongs to who sent it."""
    work = Work()
    for name in ("a", "b"):
        with travel.using(travel.begin(principal=Principal(name, frozenset(), "gateway"))):
            await ask(memory, work)
    assert work.done == 2


async def test_while_it_is_at_work_the_second_waits_outside(memory):
    """409, later: not done twice, not answered with nothing."""
    work = Work()
    work.gate.clear()
    first = asyncio.create_task(ask(memory, work))
    while not work.done:
        await asyncio.sleep(0.002)
    assert await refused(ask(memory, work)) is Fault.IN_PROGRESS
    work.gate.set()
    assert await first == (201, b'{"n":1}')
    assert await ask(memory, work) == (201, b'{"n":1}')


async def test_many_at_once_do_it_once(memory):
    """One wins; the others are told, or get its answer."""
    work = Work()
    results = await asyncio.gather(*(ask(memory, work) for _ in range(8)), return_exceptions=True)
    assert work.done == 1
    for result in results:
        if isinstance(result, Problem):
            assert result.fault is Fault.IN_PROGRESS
        else:
            assert result == (201, b'{"n":1}')


async def test_a_refusal_frees_the_key(memory):
    """Nothing was done, so the corrected request may use it."""
    assert await refused(ask(memory, Work(Problem(Fault.INVALID, "No.")))) is Fault.INVALID
    assert await ask(memory, Work(), body=b"[]") == (201, b'{"n":1}')


async def test_an_ambiguous_end_keeps_the_key_for_a_while(memory, fixed):
    """Nobody repeats it blindly at once; after two minutes somebody may look again."""
    work = Work(Problem(Fault.VENDOR_SILENT, "Hm."))
    assert await refused(ask(memory, work)) is Fault.VENDOR_SILENT
    fixed.move(119)
    assert await refused(ask(memory, work)) is Fault.IN_PROGRESS
    fixed.move(2)
    assert await ask(memory, Work()) == (201, b'{"n":1}')


async def test_answers_are_kept_for_more_than_a_week(memory, fixed):
    """And not for ever."""
    work = Work()
    await ask(memory, work)
    fixed.move(7 * 24 * 3600)
    assert await ask(memory, work) == (201, b'{"n":1}')
    if isinstance(memory, SqlMemory):
        assert await memory.sweep() == 0
    fixed.move(2 * 24 * 3600)
    if isinstance(memory, SqlMemory):
        assert await memory.sweep() == 1
    assert await ask(memory, work) == (201, b'{"n":2}')


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ä"])
async def test_an_unfit_key_is_malformed(key):
    """1 to 200 visible characters."""
    assert await refused(ask(ProcessMemory(), Work(), key=key)) is Fault.MALFORMED
