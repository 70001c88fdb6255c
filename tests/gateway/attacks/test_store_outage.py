"""Case 21: the store of limits dies, hangs or comes back; each limit does what it says for that."""

import asyncio
import os
import signal
import subprocess
from secrets import token_hex

import pytest

from chassis import clock, identity
from chassis.discovery import plugs
from chassis.store import Store
from gateway.dataplane.access import LogFile
from gateway.dataplane.worker import Worker
from gateway.metering.limit import Limit
from gateway.metering.shared import Shared
from gateway.policy import Policy
from gateway.settings import Limits
from gateway.snapshot import Plan
from sandbox.servers import launch, valkey


@pytest.fixture
def store(tmp_path):
    """A real server: its process and its address."""
    port = launch.free_port()
    process = subprocess.Popen(
        [str(valkey.program()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path),
         "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    ends_s = clock.monotonic() + 10
    while not valkey._answers(port):
        assert clock.monotonic() < ends_s
    yield process, f"redis://127.0.0.1:{port}/0"
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


@pytest.fixture
async def sharing(gate, store, tmp_path):
    """The gate, with a worker that counts in the store."""
    await gate.worker.drain()
    gate.worker = Worker(
        limits=Limits(drain_s=0.1),
        peppers=gate.peppers,
        signer=identity.Signer.of(gate.home, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(tmp_path / "shared.jsonl"),
        shared=Shared(Store(store[1]), token_hex(8), clock.monotonic, 1),
    )
    gate.publish()
    gate.port = await gate.worker.listen("127.0.0.1", 0)
    return gate


async def statuses(gate, number):
    found, took_s = [], []
    for _ in range(number):
        began_s = clock.monotonic()
        found.append((await gate.ask()).status)
        took_s.append(clock.monotonic() - began_s)
    return found, max(took_s)


async def until_counted(gate):
    """The store has said something; on a busy machine not within the first moment."""
    async with asyncio.timeout(10):
        while (await gate.ask()).status != 200:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("when_down", ["closed", "open", "local"])
async def test_case_21_a_limit_does_what_it_says_when_its_store_is_away(
    sharing, store, upstream, when_down, end
):
    """Refuses, lets in, or gives its share; no answer is a 500, and nobody waits for the store."""
    limit = Limit(name="rate", kind="rate", amount=40, window_s=36_000, when_store_down=when_down)
    sharing.plan = Plan(name="gold", scopes=("system:*",), limits=(limit,))
    sharing.publish()
    await until_counted(sharing)
    os.kill(store[0].pid, end)
    found, slowest_s = await statuses(sharing, 100)
    assert slowest_s < 3
    assert set(found) <= {200, 429, 503}
    admitted = len(upstream.seen)
    if when_down == "open":
        assert found.count(200) > 80
    else:
        assert admitted <= 40 * 1.05
        assert found[-1] == (503 if when_down == "closed" else 429)


async def test_case_21_a_hanging_store_stalls_nobody_else(sharing, store):
    """Routes and callers that do not count there are served as ever."""
    slow = Limit(name="rate", kind="rate", amount=10**6, when_store_down="closed")
    sharing.plan = Plan(name="gold", scopes=("system:*",), limits=(slow,))
    sharing.more_routes = (
        {"name": "open", "prefix": "/open", "upstream": "system", "public": True,
         "policies": {"size_limit": {}}},
    )  # fmt: skip
    sharing.publish()
    await until_counted(sharing)
    os.kill(store[0].pid, signal.SIGSTOP)
    waiting = [asyncio.create_task(sharing.ask()) for _ in range(20)]
    took_s, found = [], []
    for _ in range(20):
        began_s = clock.monotonic()
        found.append((await sharing.ask("GET", "/open/x", key=None)).status)
        took_s.append(clock.monotonic() - began_s)
    # Until the store counts as away it is only late: what others may have is not given out twice.
    assert found[8:] == [200] * 12
    assert set(found) <= {200, 429}
    assert sorted(took_s)[len(took_s) // 2] < 0.5
    assert {(await one).status for one in waiting} <= {200, 503}
