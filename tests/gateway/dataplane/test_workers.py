"""Several workers behind one port, as the command starts them: crashes, revocation, the end."""

import asyncio
import os
import re
import shutil
import signal
import socket
from collections import Counter

from chassis import clock
from gateway.control.shapes import PlanDraft
from gateway.dataplane.siblings import added, ready
from gateway.metering.limit import Limit


async def test_two_workers_serve_one_dies_and_a_revoked_key_is_dead_on_both(
    tmp_path, firm, Gateway
):
    """kill -9 costs what that worker held and no more; it comes back; the news reach both."""
    url, admin, made = firm
    async with Gateway(tmp_path, url) as gateway:
        await gateway.all_ready()
        assert await gateway.statuses(made.secret, 40) == {200}
        told = (await gateway.inside("/metrics"))[1]
        assert 'firmwire_gateway_requests_total{route="system",status="200"} 40\n' in told
        assert "firmwire_gateway_workers 2\n" in told
        assert re.search(r"^firmwire_gateway_snapshot_version (\d+)$", told, re.MULTILINE)
        first = gateway.pids()
        os.kill(first[0], signal.SIGKILL)
        async with asyncio.timeout(10):
            while not gateway.said("worker.crashed"):
                await asyncio.sleep(0.01)
        assert await gateway.statuses(made.secret) == {200}
        await gateway.all_ready()
        again = gateway.pids()
        assert (again[1], again[0] != first[0]) == (first[1], True)
        began_s = clock.monotonic()
        await admin.revoke_key(made.key.id, reason="leaked")
        while await gateway.statuses(made.secret) != {401}:
            assert clock.monotonic() - began_s < 1.0
        assert clock.monotonic() - began_s < 1.0
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await gateway.process.wait() == 0
        assert len(gateway.said("gateway.stopped")) == 2


async def test_workers_end_when_their_parent_is_killed(tmp_path, firm, Gateway):
    """Nobody is left behind on the port."""
    url, _, made = firm
    async with Gateway(tmp_path, url) as gateway:
        await gateway.all_ready()
        gateway.process.kill()
        refused = False
        async with asyncio.timeout(10):
            while not refused:
                try:
                    await gateway.statuses(made.secret, 1)
                except OSError:
                    refused = True


async def test_a_taken_port_is_no_start(tmp_path, Gateway):
    """Also when it is taken by something that would share it: two gateways are not one."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        nowhere = "http://127.0.0.1:9"
        async with Gateway(tmp_path, nowhere, FIRMWIRE_GATEWAY_PORT=port) as gateway:
            async with asyncio.timeout(20):
                assert await gateway.process.wait() == 1
            await gateway.reading
            assert b"cannot start" in gateway.lines[-1]


def test_what_workers_tell_is_added_up():
    """Counters and histograms are sums; the version in force is the oldest."""
    one = b'# TYPE a counter\na{x="1"} 2\n# TYPE s gauge\nfirmwire_gateway_snapshot_version 7\n'
    two = b'# TYPE a counter\na{x="1"} 3\na{x="2"} 0.5\n# TYPE s gauge\n'
    two += b"firmwire_gateway_snapshot_version 6\n"
    assert added([one, two]) == (
        b'# TYPE a counter\na{x="1"} 5\na{x="2"} 0.5\n'
        b"# TYPE s gauge\nfirmwire_gateway_snapshot_version 6\n"
    )
    down = (503, b"not ready, snapshot 0\n")
    assert ready([down, (200, b"snapshot 3\n")], 2) == (200, b"snapshot 3\nworkers ready: 1 of 2\n")
    assert ready([down], 2)[0] == 503


async def test_two_gateways_of_two_workers_share_one_quota(tmp_path, firm, redis_url, Gateway):
    """Four workers on one Redis: not one request beyond it, and hardly one less."""
    url, admin, made = firm
    limits = (
        Limit(name="day", kind="quota", amount=60, period="day"),
        Limit(name="rate", kind="rate", amount=1000, burst=1000),
    )
    await admin.set_plan("tiny", PlanDraft(scopes=("system:*",), limits=limits))
    await admin.set_consumer("acme", "tiny")
    shared = {"FIRMWIRE_GATEWAY_REDIS_URL": redis_url}
    other = tmp_path / "other"
    shutil.copytree(tmp_path, other)
    async with (
        Gateway(tmp_path, url, **shared) as one,
        Gateway(other, url, **shared) as two,
    ):
        await asyncio.gather(one.all_ready(), two.all_ready())
        seen = Counter()
        for _ in range(6):
            asked = (
                gateway.get(gateway.port, "/system/v1/x", f"X-Api-Key: {made.secret}")
                for gateway in (one, two)
                for _ in range(12)
            )
            seen.update(status for status, _ in await asyncio.gather(*asked))
        assert set(seen) == {200, 429}
        assert 45 <= seen[200] <= 60
