"""Workers that share limits on one real Valkey, in this process and in others."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from chassis import clock
from chassis.store import Store
from gateway.metering.bound import Bound
from gateway.metering.limit import Limit
from gateway.metering.meters import Meters
from gateway.metering.shared import Shared
from sandbox.servers.valkey import valkey


class Worker:
    """What a data plane's worker does with limits, without the HTTP."""

    def __init__(self, url: str, name: str, *, workers: int = 1) -> None:
        monotonic, unix = clock.monotonic, lambda: clock.now().timestamp()
        self.shared = Shared(Store(url), name, monotonic, workers) if url else None
        self.meters = Meters(monotonic, unix, workers, self.shared)

    def bind(self, *limits: Limit, consumer: str = "acme") -> Bound:
        who = {"consumer": consumer, "key": "k", "route": "r", "address": "a", "plan": "p"}
        return Bound(self.meters.bind(limits, ("plan", "p"), who), ())

    async def admit(self, bound: Bound, cost: int = 1) -> bool:
        now_ns = self.meters.now_ns()
        if not bound.decide(cost, now_ns):
            return True
        if bound.refusing(cost, now_ns) is not None:
            return False
        return await self.meters.ask(bound, cost, now_ns, lambda: False) is None

    async def aclose(self) -> None:
        if self.shared is not None:
            await self.shared.aclose()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
async def worker_of(server: str) -> AsyncIterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(name: str, url: str | None = None, **more: int) -> Worker:
        made.append(Worker(server if url is None else url, name, **more))
        return made[-1]

    yield make
    for worker in made:
        await worker.aclose()
