"""Following a served event log: caught up, woken, restarted, refused - and never counted twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis import call
from chassis.database import Database
from chassis.identity import Signer
from contracts.events import CloudEvent
from contracts.ports.process.events import Events
from contracts.problem import Fault, Problem
from experience_apis import follow
from experience_apis.facts import Amount, Cell
from experience_apis.follow import Follower
from experience_apis.read_model import ReadModel

READY = Cell("entries", "READY", currency="GBP")


@pytest.fixture
def following(home: Any) -> Any:
    """A follower of a URL, running over a database while the block lasts."""
    signer = Signer.of(home, "experience")

    @asynccontextmanager
    async def running(url: str, database: Database) -> AsyncIterator[Follower]:
        events = call.client(Events, url, signer=signer, prefix="/process/v1")
        follower = Follower(events, ReadModel(database))
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await call.close(events)

    return running


async def until(look: Callable[[], Any], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not await look():
            await asyncio.sleep(0.01)


def at(database: Database, position: int) -> Callable[[], Any]:
    async def look() -> bool:
        return await ReadModel(database).position() == position

    return look


async def ready(database: Database) -> Amount:
    return (await ReadModel(database).totals("entries"))[0].get(READY, Amount())


async def test_it_catches_up_and_is_woken(
    database: Database, serve_log: Any, log: Any, telling: Any, following: Any
) -> None:
    """What was there before is read, what happens is read at once, and watchers are told."""
    await log.tell(*(telling.entry(f"kantata:{n}", "READY") for n in range(30)))
    async with serve_log() as url, following(url, database) as follower:
        await until(at(database, 30))
        watcher = follower.watch()
        await log.tell(telling.entry("kantata:30", "READY"))
        await asyncio.wait_for(watcher.wait(), 5)
        assert await ready(database) == Amount(31, 31 * 60, 310_000)


async def test_a_restart_in_the_middle_goes_on_where_it_was(
    database: Database, serve_log: Any, log: Any, telling: Any, following: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Stopped between pages and started anew: every event once, none asked for from the start."""
    monkeypatch.setattr(follow, "BATCH", 7)
    await log.tell(*(telling.entry(f"kantata:{n}", "READY") for n in range(100)))
    async with serve_log() as url:
        async with following(url, database):

            async def some() -> bool:
                return await ReadModel(database).position() > 0

            await until(some)
        held = await ReadModel(database).position()
        log.asked.clear()
        async with following(url, database):
            await until(at(database, 100))
        assert held > 0
        assert log.asked[0] >= held
        assert await ready(database) == Amount(100, 6_000, 1_000_000)


async def test_a_process_tier_that_comes_back_is_followed_again(
    lite: Database, serve_log: Any, log: Any, telling: Any, following: Any
) -> None:
    """Gone for a while, back on the same port: nothing is lost, and nobody has to act."""
    await log.tell(telling.entry("kantata:1", "READY"))
    async with serve_log() as url:
        port = int(url.rsplit(":", 1)[1])
        running = following(url, lite)
        await running.__aenter__()
        await until(at(lite, 1))
    try:
        await log.tell(telling.entry("kantata:2", "READY"))
        async with serve_log(port):
            await until(at(lite, 2), 25)
        assert await ready(lite) == Amount(2, 120, 20_000)
    finally:
        await running.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "trouble", [Problem(Fault.UNAVAILABLE, "Not now."), RuntimeError("a bug over there")]
)
async def test_trouble_is_tried_again(
    lite: Database, serve_log: Any, log: Any, telling: Any, following: Any, trouble: Exception
) -> None:
    """A refusal, or an error of the other side, is a pause and not the end."""
    log.fails = [trouble, trouble]
    await log.tell(telling.entry("kantata:1", "READY"))
    async with serve_log() as url, following(url, lite):
        await until(at(lite, 1), 20)


async def test_a_database_that_fails_for_a_moment_is_not_the_end(
    lite: Database, log: Any, telling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a turn raises, the dashboard goes on afterwards: it never stands still."""
    read_model = ReadModel(lite)
    applied, calls = read_model.apply, 0

    async def fragile(events: tuple[CloudEvent, ...], position: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("the disk is full")
        await applied(events, position)

    monkeypatch.setattr(read_model, "apply", fragile)
    await log.tell(telling.entry("kantata:1", "READY"))
    task = asyncio.create_task(Follower(log, read_model).run())
    try:
        await until(at(lite, 1))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await ready(lite) == Amount(1, 60, 10_000)
