"""A whole gateway of several workers, as the command starts it, and a firm behind it."""

import asyncio
import os
import socket
import sys

import msgspec
import pytest

from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.settings import ControlSettings


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Gateway:
    """`firmwire serve gateway` with several workers, in a process group of its own."""

    def __init__(self, home, control, workers=2, **more):
        self.port, self.internal = free_port(), free_port()
        self.env = {
            **{name: value for name, value in os.environ.items() if "FIRMWIRE" not in name},
            "FIRMWIRE_HOME": str(home), "FIRMWIRE_GATEWAY_CONTROL_URL": control,
            "FIRMWIRE_GATEWAY_PORT": str(self.port), "FIRMWIRE_GATEWAY_WORKERS": str(workers),
            "FIRMWIRE_GATEWAY_INTERNAL_PORT": str(self.internal),
            "FIRMWIRE_GATEWAY_LIMITS_DRAIN_S": "3", "PYTHONPATH": os.getcwd(), **more,
        }  # fmt: skip
        self.lines = []

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "firmwire", "serve", "gateway", env=self.env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for line in self.process.stdout:
            self.lines.append(line)

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()  # its workers end by themselves: their lifeline is cut
        await self.process.wait()
        await self.reading

    def said(self, event):
        """Fields of the log lines of one event."""
        rows = [msgspec.json.decode(line) for line in self.lines if line.startswith(b"{")]
        return [row for row in rows if row.get("event") == event]

    def pids(self):
        """By worker, the latest."""
        return {row["worker"]: row["pid"] for row in self.said("worker.started")}

    async def get(self, port, path, *headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            lines = (f"GET {path} HTTP/1.1", "Host: a", "Connection: close", *headers)
            writer.write("\r\n".join((*lines, "", "")).encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            return int(head.split(b" ")[1]) if head else 0, body.decode()
        except ConnectionError:
            return 0, ""
        finally:
            writer.close()

    async def inside(self, path):
        try:
            return await self.get(self.internal, path)
        except OSError:
            return 0, ""

    async def all_ready(self, count=2):
        async with asyncio.timeout(20):
            while f"workers ready: {count} of {count}" not in (await self.inside("/ready"))[1]:
                assert self.process.returncode is None, self.lines
                await asyncio.sleep(0.02)

    async def statuses(self, key, number=24):
        """Of requests on so many connections: they reach every worker."""
        asked = (self.get(self.port, "/system/v1/x", f"X-Api-Key: {key}") for _ in range(number))
        return {status for status, _ in await asyncio.gather(*asked)}


@pytest.fixture(name="Gateway")
def gateway_class():
    return Gateway


@pytest.fixture
async def firm(tmp_path, upstream):
    """A control plane with one consumer and one key: its URL, its admin, the key."""
    given = ControlSettings(system_url=f"http://127.0.0.1:{upstream.port}")
    async with (
        serving(control_plane(given, tmp_path)) as url,
        ControlClient(url, admin_token(tmp_path)) as admin,
    ):
        await admin.set_consumer("acme", "internal")
        yield url, admin, await admin.create_key("acme", scopes=("system:read",))
