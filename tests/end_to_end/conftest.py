"""The whole platform on free ports, once for a file, with keys a partner would have."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from firmwire.firm import tell_process_tier
from firmwire.platform import Platform, Ports
from firmwire.supervisor import Supervisor
from gateway.control.client import ControlClient, admin_token


class Firm:
    """A platform that is up. The supervisor lives in a loop of its own, on a thread."""

    def __init__(self, home: Path) -> None:
        self.platform = Platform(home=home, ports=Ports.free())
        self.platform.prepare()
        self.said: list[tuple[str, str]] = []
        self.supervisor = Supervisor(
            self.platform.children(),
            self.platform.environment(),
            lambda name, line: self.said.append((name, line)),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any], within_s: float = 120) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    def stop(self) -> None:
        self.run(self.supervisor.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def key(self, *scopes: str) -> Any:
        """A new key: .secret, .key.id"""
        return self.run(self._key(scopes))

    async def _key(self, scopes: tuple[str, ...]) -> Any:
        url, home = self.platform.control_url, self.platform.home
        async with ControlClient(url, admin_token(home)) as control:
            await control.set_consumer("partner", "internal", reason="test")
            return await control.create_key("partner", scopes=scopes, reason="test")

    def revoke(self, key_id: str) -> None:
        async def work() -> None:
            url, home = self.platform.control_url, self.platform.home
            async with ControlClient(url, admin_token(home)) as control:
                await control.revoke_key(key_id, reason="test")

        self.run(work())

    def client(self, key: str = "", **headers: str) -> httpx.Client:
        if key:
            headers["authorization"] = f"Bearer {key}"
        return httpx.Client(base_url=self.platform.gateway_url, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    made = Firm(tmp_path_factory.mktemp("platform"))
    try:
        made.run(made.supervisor.start())
        made.run(tell_process_tier(made.platform))
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def key(firm: Firm) -> str:
    return str(firm.key("process:*", "experience:*").secret)


@pytest.fixture
def partner(firm: Firm, key: str) -> Iterator[httpx.Client]:
    with firm.client(key) as client:
        yield client
