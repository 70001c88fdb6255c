"""A running control plane with something to show."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chassis import clock, identity, serve
from chassis.discovery import plugs
from chassis.outbound import Outbound
from chassis.server import serving
from chassis.service import service
from contracts.quota import InstanceQuota, LaneUse, Quota, Vendors
from gateway import keys, tokens
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.worker import Worker
from gateway.policy import Policy
from gateway.settings import ControlSettings, Limits
from gateway.snapshot import Shelf
from gateway.usage import UsageBatch, UsageRow


class Told:
    """What the system tier knows of two vendors; a test may change it, or break it."""

    def __init__(self):
        now = clock.now()
        names = ("posting", "interactive", "sync", "bulk")
        lanes = [
            LaneUse(lane=name, waiting=0, waited=1200 * number, shed=0)
            for number, name in enumerate(names)
        ]
        lanes[1] = LaneUse(
            lane="interactive", waiting=0, waited=3, shed=41,
            quiet_until=now + timedelta(seconds=50),
        )  # fmt: skip
        told = Quota(
            concurrency=10, per_window=100_000, window_s=86_400, used=87_120, left=12_880,
            source="VENDOR", told_at=now, in_use=2, lanes=tuple(lanes),
        )  # fmt: skip
        quiet = tuple(LaneUse(lane=name, waiting=0, waited=0, shed=0) for name in names)
        configured = Quota(concurrency=4, per_window=200, window_s=60, lanes=quiet)
        self.broken = False
        self.all = [
            InstanceQuota(instance="float", vendor="float", quota=configured),
            InstanceQuota(instance="salesforce", vendor="salesforce", quota=told),
        ]

    async def quotas(self) -> tuple[InstanceQuota, ...]:
        if self.broken:
            raise RuntimeError("a fault of the tier")
        return tuple(self.all)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
async def system_tier(told, tmp_path):
    """URL of a tier that answers what it was told, to the gateway alone."""
    verifier = identity.Verifier(identity.ensure(tmp_path))
    routes = serve.routes(Vendors, told, prefix="/system/v1")
    async with serving(service("system", handlers=routes, verifier=verifier)) as url:
        yield url


@pytest.fixture
async def control(system_tier, tmp_path):
    """URL of a running control plane."""
    settings = ControlSettings(system_url=system_tier)
    async with serving(control_plane(settings, tmp_path)) as url:
        yield url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control, admin_token(tmp_path)) as client:
        yield client


@pytest.fixture
async def used(admin, control, tmp_path):
    """Consumers with keys, and a week in which they were used; the first key of `alder`."""
    made = None
    for number, (name, plan) in enumerate(
        (("alder-gmbh", "partner"), ("brook-advisory", "partner"), ("portal", "internal"))
    ):
        await admin.set_consumer(
            name, plan, owner=f"Desk {number}", contact=f"desk{number}@firm.example",
            tenant=("lisbon", "bremen", "")[number], reason="onboarding",
        )  # fmt: skip
        key = await admin.create_key(
            name, label=("nightly export", "time entry", "")[number], reason="first key",
            expires_at=clock.now() + timedelta(days=9 * number + 3),
        )  # fmt: skip
        made = made or key
    now_s = int(clock.now().timestamp())
    rows = []
    for back in range(24 * 7):
        hour_s = (now_s // 3600 - back) * 3600
        busy = 40 + (hour_s // 3600 % 24) ** 2
        rows += [
            UsageRow(hour_s, "alder-gmbh", made.key.id, "process", "2026-11-01",
                     busy * 3, busy // 9, busy // 5, busy // 60, now_s, "partner"),
            UsageRow(hour_s, "portal", "", "experience", "2026-11-22", busy, 1, 0, 0, now_s,
                     "internal"),
            UsageRow(hour_s, "", "", "", "", back % 7, back % 7, 0, 0, now_s),
        ]  # fmt: skip
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    await out.send("POST", "/usage", json=UsageBatch("w", 1, tuple(rows)), headers=bearer)
    await out.aclose()
    return made


@pytest.fixture
async def gate(control: str, used, tmp_path: Path) -> AsyncIterator[str]:
    """URL of a data plane before it."""
    worker = Worker(
        limits=Limits(drain_s=0.1),
        peppers=keys.peppers(tmp_path),
        signer=identity.Signer.of(tmp_path, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(tmp_path / "access.jsonl"),
    )
    feed = Feed(
        worker, Shelf(tmp_path / "gateway" / "snapshot"), control,
        lambda: tokens.data_plane(tmp_path),
    )  # fmt: skip
    port = await worker.listen("127.0.0.1", 0)
    asking = asyncio.create_task(feed.run())
    async with asyncio.timeout(10):
        while not worker.ready:
            await asyncio.sleep(0.005)
    yield f"http://127.0.0.1:{port}"
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await worker.drain()
