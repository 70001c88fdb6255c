"""A calendar quota outlives the data plane: stopped, killed, or started with other workers."""

import asyncio
import os
import signal
from collections import Counter

import msgspec
import pytest

from gateway.control.shapes import PlanDraft
from gateway.metering.limit import Limit

MONTH = 40


@pytest.fixture
async def metered(firm):
    """The firm, with a quota and nothing else in the way."""
    url, admin, made = firm
    limits = (
        Limit(name="month", kind="quota", amount=MONTH, period="year"),
        Limit(name="rate", kind="rate", amount=100_000),
    )
    await admin.set_plan("tiny", PlanDraft(scopes=("system:*",), limits=limits))
    await admin.set_consumer("acme", "tiny")
    return url, made.secret


async def spent(gateway, key, rounds=5):
    """How many of many were let in; the rest is told when it comes again."""
    seen = Counter()
    for _ in range(rounds):
        asked = (gateway.get(gateway.port, "/system/v1/x", f"X-Api-Key: {key}") for _ in range(20))
        seen.update(status for status, _ in await asyncio.gather(*asked))
    assert set(seen) <= {200, 429}
    return seen[200]


def on_disk(home):
    files = (home / "gateway" / "quotas").glob("[0-9]*/[0-9]*")
    return sum(
        row[2] for file in files for row in msgspec.msgpack.decode(file.read_bytes()).values()
    )


async def written(home, number):
    async with asyncio.timeout(5):
        while on_disk(home) != number:
            await asyncio.sleep(0.02)


async def test_what_was_used_is_used_after_a_kill_a_restart_and_with_other_workers(
    tmp_path, metered, Gateway
):
    """Every life of the gateway goes on where the one before ended: never more than the quota."""
    url, key = metered
    async with Gateway(tmp_path, url) as gateway:
        await gateway.all_ready()
        first = await spent(gateway, key, rounds=1)
        await written(tmp_path, first)
        pids = gateway.pids().values()
        gateway.process.kill()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    async with Gateway(tmp_path, url) as gateway:
        await gateway.all_ready()
        second = await spent(gateway, key)
        assert first + second == MONTH
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await gateway.process.wait() == 0
    assert on_disk(tmp_path) == MONTH
    async with Gateway(tmp_path, url, workers=3) as gateway:
        await gateway.all_ready(3)
        assert await spent(gateway, key, rounds=2) == 0
    assert [one.name for one in (tmp_path / "gateway" / "quotas").iterdir()] == ["3"]


async def test_a_worker_that_dies_alone_comes_back_with_what_it_used(tmp_path, metered, Gateway):
    """The others go on meanwhile."""
    url, key = metered
    async with Gateway(tmp_path, url) as gateway:
        await gateway.all_ready()
        assert await spent(gateway, key) == MONTH
        await written(tmp_path, MONTH)
        os.kill(gateway.pids()[0], signal.SIGKILL)
        async with asyncio.timeout(10):
            while not gateway.said("worker.crashed"):
                await asyncio.sleep(0.01)
        await gateway.all_ready()
        assert await spent(gateway, key, rounds=2) == 0
