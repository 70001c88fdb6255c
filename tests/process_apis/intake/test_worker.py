"""The lane goes on: after a bad entry, after a kill, and beside another worker."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis import clock
from process_apis.intake import timer
from process_apis.tables import inbox, ledger, time_entry, work_item

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(100)]


def many(world: Any, count: int) -> list[Any]:
    return [world.entry(str(n), work_date=DAYS[n % len(DAYS)], minutes=10) for n in range(count)]


def exactly_once(world: Any, count: int) -> None:
    """Every entry is judged, has one live cost and one live sales row, and is told of once."""
    assert world.waiting() == 0
    assert world.count(time_entry) == count
    per = select(ledger.c.source_id, func.count()).group_by(ledger.c.source_id)
    assert {row[1] for row in world.rows(per)} == {2}
    assert len(world.rows(per)) == count
    assert world.event_types().count("firmwire.time_entry.evaluated.v1") == count


async def test_one_bad_entry_does_not_stop_the_others(world: Any) -> None:
    """What no turn can digest ends dead and on a desk; all others are judged."""
    await world.deliver(*many(world, 30), judge=False)
    broken = select(inbox.c.seq).where(inbox.c.entry_id == "kantata:7").scalar_subquery()
    world.do(lambda c: c.execute(inbox.update().where(inbox.c.seq == broken).values(payload=b"{")))
    lane = asyncio.create_task(world.worker.run(0.01))
    async with asyncio.timeout(20):
        while world.waiting():
            await asyncio.sleep(0.02)
    lane.cancel()
    await asyncio.gather(lane, return_exceptions=True)
    assert world.count(time_entry) == 29
    assert world.codes("7") == {"SCHEMA_INVALID"}


async def test_two_workers_share_the_inbox(world: Any) -> None:
    """Each with a snapshot of its own; nothing is judged twice, nothing is left."""
    await world.deliver(*many(world, 600), judge=False)
    second = world.another_worker(world.another_replica(), batch=37)
    first = world.another_worker(world.replica, batch=50)
    await asyncio.gather(first.drain(), second.drain())
    await first.drain()
    exactly_once(world, 600)


async def test_a_future_date_is_judged_again_when_it_has_come(world: Any) -> None:
    """Time mends it; nobody has to."""
    await world.deliver(world.entry(work_date=date(2999, 1, 1)))
    assert world.codes() == {"FUTURE_DATED"}
    at = clock.now()
    assert world.do(lambda c: timer.due(c, at.date(), at)) == 1


CHILD = """
import asyncio, os, sys
from chassis.database import Database
from process_apis.billing import drafts
from process_apis.intake.worker import Worker
from process_apis.replica.replica import Replica

database = Database(sys.argv[1], name="process", durable=False)
replica = Replica(erp_instance_of={}, default_erp="netsuite")
worker = Worker(database, replica, source="/acme/process", recalculate=drafts.recalculate, batch=20)
print("ready", flush=True)
asyncio.run(worker.drain())
print("done", flush=True)
"""


@pytest.mark.parametrize("kills", [3])
async def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(
    world: Any, url: str, kills: int
) -> None:
    """kill -9 at moments nobody chose; the next worker goes on where the last commit was."""
    await world.deliver(*many(world, 900), judge=False)
    for turn in range(kills):
        child = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", textwrap.dedent(CHILD), url],
            stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()},
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        before = world.waiting()
        goal = max(0, before - 20 * (turn + 1))
        async with asyncio.timeout(30):
            while world.waiting() > goal and child.poll() is None:
                await asyncio.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        child.stdout.close()
    assert world.waiting() < 900
    await world.worker.drain()
    exactly_once(world, 900)
    assert world.count(work_item) == 0
