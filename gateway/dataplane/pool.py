"""This file exists to choose the line a request goes on: one pool an upstream.

Owns   connections kept alive, reused last in first out; which instance gets the next exchange; who
       is left alone for a while after transport faults (outlier ejection), and who is looked at
       again; the budget of second attempts.
Fails  through the exchange's link: UNAVAILABLE, when nothing was sent and nobody can take it.
Source chassis.breaker for when an instance rests; Envoy's outlier detection for why only faults of
       transport count: a tier that passes on a vendor's 503 is well.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from chassis import clock
from chassis.breaker import Breaker, RetryBudget
from chassis.log import log
from contracts.problem import Fault, Problem
from gateway.dataplane import health
from gateway.dataplane.upstream import Upstream
from gateway.policy import Exchange
from gateway.routes import Upstream as Definition

_LOG = log("gateway.upstream")
_TROUBLED_S = 60.0


class Instance:
    """One origin that serves an upstream.

    host_line: what ends the request line and names the host. open: lines to it.
    well: the last look at its health page was good. troubled_until_s: it failed lately, so that
    its good answers are counted too; before, they cost nothing.
    """

    __slots__ = ("breaker", "context", "host", "host_line", "open", "port", "troubled_until_s",
                 "url", "well")  # fmt: skip

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"an upstream is an origin, http(s)://host:port, not {url!r}")
        self.url = url
        self.context = ssl.create_default_context() if parts.scheme == "https" else None
        self.host = parts.hostname
        self.port = parts.port or (443 if self.context else 80)
        netloc = parts.netloc.rpartition("@")[2].encode()
        self.host_line = b" HTTP/1.1\r\nhost: %b\r\n" % netloc
        self.open = 0
        self.breaker = Breaker()
        self.troubled_until_s = 0.0
        self.well = True

    def failed(self) -> None:
        """A fault of transport, or silence until the deadline."""
        before = self.breaker.open
        self.breaker.failed()
        self.troubled_until_s = clock.monotonic() + _TROUBLED_S
        if self.breaker.open and not before:
            _LOG.warning("instance.ejected", instance=self.url)

    def answered(self, now_s: float) -> None:
        """A reply began. Only asked while the instance is in trouble."""
        before = self.breaker.open
        self.breaker.answered()
        if before:
            _LOG.info("instance.returned", instance=self.url)
        elif now_s > self.troubled_until_s:
            self.troubled_until_s = 0.0


class Pool:
    """Connections to one upstream. Waiting exchanges are served first come, first served.

    sandbox: the pool for test keys: of other origins, this one itself where all is a sandbox, or
    none.
    """

    def __init__(self, definition: Definition, loop: asyncio.AbstractEventLoop) -> None:
        self.definition = definition
        self._loop = loop
        self.instances = tuple(Instance(url) for url in definition.urls)
        self._turn = 0
        self._idle: list[Upstream] = []
        self._waiting: deque[Exchange] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.budget = RetryBudget()
        self.open = 0
        self.closed = False
        self._look_at_s = 0.0
        self.sandbox = self._sandbox()

    def take(self, x: Exchange, *, fresh: bool = False) -> None:
        """Begin on an idle connection, else on a new one, else wait. fresh: on a new one."""
        if not fresh:
            self.budget.called()
        idle = self._idle
        while idle and not fresh:
            ready = idle.pop()
            instance = ready.instance
            if instance.troubled_until_s and (instance.breaker.open or not instance.well):
                ready.transport.close()  # it rests; its lines are not to be trusted either
            elif not ready.transport.is_closing():
                ready.reused = True
                ready.begin(x)
                return
        if self.open < self.definition.connections or fresh:
            self._connect_for(x)
        else:
            self._waiting.append(x)

    def give(self, connection: Upstream) -> None:
        """Back for the next exchange."""
        while self._waiting:
            x = self._waiting.popleft()
            if not x.over:
                connection.reused = True
                connection.begin(x)
                return
        if self.closed:
            connection.transport.close()
            return
        self._idle.append(connection)

    def lost(self, connection: Upstream) -> None:
        """A connection is gone; who waits may have its place."""
        if connection.x is None and connection in self._idle:
            self._idle.remove(connection)
        connection.instance.open -= 1
        self._gone()

    def second(self, x: Exchange) -> bool:
        """Send an exchange once more, on a new line, when the budget allows it."""
        if not self.budget.take():
            return False
        x.retried = True
        self._connect_for(x)
        return True

    def sweep(self, now_s: float) -> None:
        """Once a second: close what was idle for too long, oldest first; look who is well."""
        limit_s = self.definition.idle_s
        while self._idle and now_s - self._idle[0].idle_since_s > limit_s:
            self._idle.pop(0).transport.close()
        self._level()
        if self.definition.health and now_s >= self._look_at_s and not self.closed:
            self._look_at_s = now_s + self.definition.health_every_s
            for instance in self.instances:
                self._spawn(self._look(instance))

    def gauges(self, name: str) -> dict[str, float]:
        """How each instance does, as metrics: 1 well, 0 unwell or resting after faults."""
        metric = "firmwire_gateway_instance_well"
        return {
            f'{metric}{{upstream="{name}",instance="{instance.url}"}}': float(
                instance.well and not instance.breaker.open
            )
            for instance in self.instances
        }

    def _sandbox(self) -> "Pool | None":
        definition = self.definition
        if definition.all_sandbox:
            return self
        if not definition.sandbox_origins:
            return None
        origins = definition.sandbox_origins
        return Pool(structs.replace(definition, urls=origins, sandbox_origins=()), self._loop)

    def _level(self) -> None:
        """An instance that came back has no lines, and idle ones go first: close some of those."""
        well = [i for i in self.instances if i.well and not i.breaker.open]
        if len(well) < 2:
            return
        most, least = max(well, key=_lines), min(well, key=_lines)
        surplus = (most.open - least.open) // 2
        spare = [c for c in self._idle if c.instance is most][:surplus]
        for connection in spare[: len(self._idle) // 4 + 1]:
            self._idle.remove(connection)
            connection.transport.close()

    def close(self) -> None:
        """No more reuse: the upstream is no longer wanted. Running exchanges end in peace."""
        self.closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.transport.close()

    def _gone(self) -> None:
        self.open -= 1
        while self._waiting and self.open < self.definition.connections:
            x = self._waiting.popleft()
            if not x.over:
                self._connect_for(x)

    def _connect_for(self, x: Exchange) -> None:
        self.open += 1
        self._spawn(self._connect(x))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, x: Exchange) -> None:
        """Every instance once, the least busy first: no byte was sent, so this is safe."""
        because = "every instance rests after faults"
        for instance in self._by_preference():
            if instance.breaker.wait_s() > 0:
                continue
            try:
                connection = await self._line_to(instance)
            except OSError as error:  # TimeoutError is one
                # A refusal costs nothing to hear again; with nobody else to ask, ask each time.
                if len(self.instances) > 1 or not isinstance(error, ConnectionRefusedError):
                    instance.failed()
                because = f"{instance.url}: {error!r}"
                continue
            instance.open += 1
            if x.over:
                instance.breaker.abandoned()
                self.give(connection)
            else:
                connection.begin(x)
            return
        if not x.over:
            say = "The service cannot be reached; nothing was done."
            x.link.fail(x, Problem(Fault.UNAVAILABLE, say, because=because, retry_after_s=1))
        self._gone()

    async def _line_to(self, instance: Instance) -> Upstream:
        async with asyncio.timeout(self.definition.connect_s):
            _, connection = await self._loop.create_connection(
                lambda: Upstream(self, instance),
                instance.host, instance.port, ssl=instance.context,
            )  # fmt: skip
        return connection

    def _by_preference(self) -> Iterable[Instance]:
        """The well before the unwell, then the one with the fewest lines, then in turn."""
        if len(self.instances) == 1:
            return self.instances
        self._turn += 1
        at = self._turn % len(self.instances)
        in_turn = self.instances[at:] + self.instances[:at]
        return sorted(in_turn, key=lambda i: (not i.well, i.breaker.open, i.open))

    async def _look(self, instance: Instance) -> None:
        was, instance.well = instance.well, await health.well(
            instance.host, instance.port, instance.context, self.definition.health,
            limit_s=self.definition.connect_s,
        )  # fmt: skip
        if was and not instance.well:
            instance.troubled_until_s = clock.monotonic() + _TROUBLED_S
        if was is not instance.well:
            told = "instance.well" if instance.well else "instance.unwell"
            _LOG.warning(told, instance=instance.url)


def _lines(instance: Instance) -> int:
    return instance.open
