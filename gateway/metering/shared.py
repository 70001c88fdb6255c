"""This file exists to count limits together with other workers, asking Redis as rarely as can be.

Owns   the leases of this worker, the one conversation with the store, and whether it is away.
Fails  never: while the store is away each limit does what it says for that time (closed, open, or
       this worker's share), and what was used meanwhile is told when the store is back.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from chassis.log import log
from chassis.store import StoreAway
from gateway.metering.periods import NS
from gateway.metering.script import SCRIPT

WORKERS = "firmwire:meter:workers"
_TICK_S = 0.2
_TELL_EVERY_TICKS = 5
_BATCH_MOST = 64
_TEND_MOST = 2000  # at once: nobody is to wait behind it
_CLOSE_S = 1.0
_TURNS = 6
_SLOW_MOST = 2
_LOG = log("gateway.metering")


class Lease(Protocol):
    """What a worker was lent of one limit. asked: set while an answer is on its way; waiters: who
    wait for it. key: in the store.
    """

    key: str
    asked: asyncio.Future[bool] | None
    waiters: int

    @property
    def holds(self) -> bool:
        """There is something to renew, to tell or to give back."""
        ...

    def due(self, now_ns: int) -> str:
        """`back`: give up what is left. `keep`: renew it. Empty: nothing to say."""
        ...

    def ask(self, cost: int, now_ns: int, *, back: bool = False) -> list[Any]:
        """What to send: see script.py. The key's place is filled in by the sender."""
        ...

    def heard(self, ask: list[Any], answer: list[Any], sent_ns: int) -> None:
        """The store's answer to an ask."""
        ...


class Runs(Protocol):
    """chassis.store.Store."""

    async def run(self, script: str, keys: list[str], arguments: list[bytes]) -> bytes: ...

    async def aclose(self) -> None: ...


class Group:
    """What must be there together, for one request."""

    __slots__ = ("answered", "asks", "keys", "leases")

    def __init__(
        self, leases: tuple[Lease, ...], asks: list[list[Any]], answered: asyncio.Future[bool]
    ) -> None:
        self.leases = leases
        self.keys = [lease.key for lease in leases]  # that of a quota turns with its period
        self.asks = asks
        self.answered = answered


class Shared:
    """worker: a name no other has. away: begins False; the first silence tells."""

    def __init__(
        self, store: Runs, worker: str, monotonic: Callable[[], float], workers: int = 1
    ) -> None:
        self._store = store
        self._worker = worker.encode()
        self._monotonic = monotonic
        self._waiting: list[Group] = []
        self._active: set[Lease] = set()
        self._to_tend: list[Lease] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._wake: asyncio.Event | None = None
        self._slow = self._ticks = 0
        self._tell = self._closing = False
        self.away = False
        self.outages = 0
        self.workers = self._at_least = workers
        self.unix_minus_monotonic_s: float | None = None
        self.calls = self.failures = 0

    def now_ns(self) -> int:
        """Of the monotonic clock."""
        return int(self._monotonic() * NS)

    async def ask(self, leases: Sequence[Lease], cost: int, until_ns: int) -> bool:
        """Wait until the store has said something about all of them; False when it did not."""
        now_ns = self.now_ns()
        mine = tuple(lease for lease in leases if lease.asked is None)
        futures = {lease.asked for lease in leases if lease.asked is not None}
        if mine:
            futures.add(self._queue(mine, cost, now_ns).answered)
        for lease in leases:
            lease.waiters += 1
        try:
            _, pending = await asyncio.wait(futures, timeout=max(0.0, (until_ns - now_ns) / NS))
            for _ in range(_TURNS if pending else 0):
                await asyncio.sleep(0)  # it may be here, and only this loop was busy
            pending = {future for future in pending if not future.done()}
        finally:
            for lease in leases:
                lease.waiters -= 1
        return not pending and all(future.result() for future in futures if future.done())

    def ask_ahead(self, lease: Lease, now_ns: int) -> None:
        """It is nearly used up: nobody waits for this."""
        if lease.asked is None and not self.away:
            self._queue((lease,), 0, now_ns)

    def late(self, lease: Lease) -> None:
        """It has something to tell, as soon as there is somebody to tell it to."""
        self._active.add(lease)

    def metrics(self) -> dict[str, float]:
        """What the sharing costs, and whether it works."""
        return {
            "firmwire_gateway_limits_degraded": float(self.away),
            "firmwire_gateway_limit_store_calls": float(self.calls),
            "firmwire_gateway_limit_store_failures": float(self.failures),
            "firmwire_gateway_limit_workers": float(self.workers),
        }

    async def aclose(self) -> None:
        """Give back what is left, if that is quick."""
        self._closing = True
        if self._wake is not None:
            # Not cancelled: a call that is cut half way would have to be told from one that is not.
            self._wake.set()
            self._tasks[1].cancel()
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)
        now_ns = self.now_ns()
        if not self.away:
            self._waiting = []
            for lease in [one for one in self._active if one.asked is None][:_BATCH_MOST]:
                self._queue((lease,), 0, now_ns, back=True)
            await self._talk(self._waiting)
        await self._store.aclose()

    def _queue(
        self, leases: tuple[Lease, ...], cost: int, now_ns: int, *, back: bool = False
    ) -> Group:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bool] = loop.create_future()
        asks = [lease.ask(cost, now_ns, back=back) for lease in leases]
        for lease in leases:
            lease.asked = answered
        group = Group(leases, asks, answered)
        self._waiting.append(group)
        if self._wake is None:
            self._wake = asyncio.Event()
            self._tasks = [loop.create_task(self._talk_on()), loop.create_task(self._tick_on())]
        self._wake.set()
        return group

    async def _talk_on(self) -> None:
        assert self._wake is not None
        while not self._closing:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:_BATCH_MOST], self._waiting[_BATCH_MOST:]
            tell, self._tell = self._tell, False
            if not self._waiting:
                self._wake.clear()
            await self._talk(batch, tell=tell)

    async def _talk(self, batch: list[Group], *, tell: bool = False) -> bool:
        if not batch and not tell:
            return True
        if self.away and not tell:
            self._answer(batch, None)
            return False
        keys: dict[str, int] = {}
        for group in batch:
            for key, ask in zip(group.keys, group.asks, strict=True):
                ask[0] = keys.setdefault(key, len(keys) + 1)
        asked = msgspec.msgpack.encode([group.asks for group in batch])
        self.calls += 1
        sent_ns = self.now_ns()
        try:
            raw = await self._store.run(
                SCRIPT, list(keys), [self._worker, asked, WORKERS.encode() if tell else b""]
            )
        except StoreAway as error:
            self._failed(error)
            self._answer(batch, None)
            return False
        unix_s, workers, answers = msgspec.msgpack.decode(raw)
        self._slow = 0
        if self.away:
            _LOG.info("limits.shared_again")
        self.away = False
        self.unix_minus_monotonic_s = unix_s - self._monotonic()
        if tell:
            self.workers = max(self._at_least, workers)
        self._answer(batch, answers, sent_ns)
        return True

    def _answer(self, batch: list[Group], answers: Any, sent_ns: int = 0) -> None:
        for number, group in enumerate(batch):
            for at, lease in enumerate(group.leases):
                lease.asked = None
                if answers is not None and lease.key == group.keys[at]:
                    lease.heard(group.asks[at], answers[number][at], sent_ns)
                    if lease.holds:
                        self._active.add(lease)
            if not group.answered.done():
                group.answered.set_result(answers is not None)

    def _failed(self, error: StoreAway) -> None:
        self.failures += 1
        self._slow += 1
        self.outages += not self.away
        if not self.away and (error.refused or self._slow >= _SLOW_MOST):
            self.away = True
            _LOG.warning("limits.degraded", because=str(error))

    async def _tick_on(self) -> None:
        """Renew what is in use, give back what is not, be counted, and look whether it is back."""
        assert self._wake is not None
        while True:
            self._ticks += 1
            if self.away or self._ticks == 2 or self._ticks % _TELL_EVERY_TICKS == 1:
                self._tell = True
                self._wake.set()
            now_ns = self.now_ns()
            if not self.away:
                if not self._to_tend:
                    self._to_tend = list(self._active)
                few, self._to_tend = self._to_tend[-_TEND_MOST:], self._to_tend[:-_TEND_MOST]
                for lease in few:
                    self._tend(lease, now_ns)
            await asyncio.sleep(_TICK_S)

    def _tend(self, lease: Lease, now_ns: int) -> None:
        if lease.asked is not None:
            return
        what = lease.due(now_ns)
        if what:
            self._queue((lease,), 0, now_ns, back=what == "back")
        elif not lease.holds:
            self._active.discard(lease)
