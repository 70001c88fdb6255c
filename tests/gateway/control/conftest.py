"""A running control plane, its admin, and data planes that it feeds."""

import asyncio
from pathlib import Path

import pytest

from chassis import identity
from chassis.discovery import plugs
from chassis.server import serving
from gateway import keys, tokens
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.worker import Worker
from gateway.policy import Policy
from gateway.settings import ControlSettings, Limits
from gateway.snapshot import Shelf


@pytest.fixture
def settings(upstream):
    return ControlSettings(system_url=f"http://127.0.0.1:{upstream.port}")


@pytest.fixture
async def control(settings, tmp_path):
    """URL of a running control plane."""
    async with serving(control_plane(settings, tmp_path)) as url:
        yield url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control, admin_token(tmp_path)) as client:
        await client.set_consumer("acme", "internal")
        yield client


class Plane:
    """A data plane fed by a control plane."""

    def __init__(self, home: Path, url: str) -> None:
        identity.ensure(home)
        self.worker = Worker(
            limits=Limits(drain_s=0.1),
            peppers=keys.peppers(home),
            signer=identity.Signer.of(home, "gateway"),
            policies=plugs("gateway.policies", "POLICY", Policy),
            access_log=LogFile(home / "access.jsonl"),
        )
        shelf = Shelf(home / "gateway" / "snapshot")
        self.feed = Feed(self.worker, shelf, url, lambda: tokens.data_plane(home))
        self.port = 0
        self.asking: asyncio.Task[None] | None = None

    async def __aenter__(self):
        self.feed.begin_from_disk()
        self.port = await self.worker.listen("127.0.0.1", 0)
        self.asking = asyncio.create_task(self.feed.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.asking.cancel()
        await asyncio.gather(self.asking, return_exceptions=True)
        await self.worker.drain()

    async def status(self, key: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n".encode())
        try:
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()


@pytest.fixture(name="Plane")
def plane_class():
    """`async with Plane(home, control_url) as plane: await plane.status(key)`."""
    return Plane
