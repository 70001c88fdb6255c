"""This file exists to run one data-plane worker: its snapshot, its connections, its clock ticks.

Owns   the listening socket, the compiled snapshot in force, every connection and pool.
Fails  at start when the port is taken; afterwards a bad snapshot is refused and the one before
       stays in force.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from chassis import clock
from chassis.log import log
from contracts.problem import Problem
from gateway.dataplane.access import LogFile
from gateway.dataplane.compiled import UNROUTED, Around, Compiled, compiling
from gateway.dataplane.counters import exposition
from gateway.dataplane.downstream import Downstream
from gateway.dataplane.lasting import end_unwelcome
from gateway.dataplane.listeners import Listener, Tls
from gateway.dataplane.outbox import Outbox
from gateway.dataplane.pool import Pool
from gateway.keys import Peppers
from gateway.metering.meters import Meters
from gateway.metering.shared import Shared
from gateway.policy import Caller, Exchange, Policy, Share, Sign
from gateway.routes import Upstream as Definition
from gateway.settings import Limits
from gateway.snapshot import Reader, Snapshot, checks
from gateway.steps import Steps, finished, finished_between

_LOG = log("gateway.dataplane")
_TICK_S = 0.1
_PROOF_S = 10.0


class Worker:
    """One event loop's worth of gateway. `swap` before `listen`."""

    def __init__(
        self,
        *,
        limits: Limits,
        peppers: Peppers,
        signer: Sign,
        policies: Mapping[str, Policy],
        access_log: LogFile,
        share: Share | None = None,
        trusted_hops: int = 0,
        shared: Shared | None = None,
    ) -> None:
        self.limits = limits
        self.trusted_hops = trusted_hops
        self.monotonic: Callable[[], float] = clock.monotonic
        self.access_log = access_log
        self.compiled: Compiled
        self.snapshot = Snapshot(version=-1)
        self.running: set[Exchange] = set()
        self.draining = False
        self._peppers = peppers
        self._signer = signer
        self._policies = policies
        self._links: set[Downstream] = set()
        self._pools: dict[str, Pool] = {}
        self._shared = shared
        self._around = Around(self.monotonic, self.unix, access_log, share or Share(), shared)
        self._reader = Reader()
        self._unrouted = self._around.counts(UNROUTED)
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        self._unix_minus_monotonic_s = clock.now().timestamp() - clock.monotonic()
        self._listener: Listener | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._empty = asyncio.Event()
        self._ticks = 0
        self._refused_snapshots = 0
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        self.swap(Snapshot(version=0))

    @property
    def ready(self) -> bool:
        """A snapshot is in force and the port is open."""
        return self.snapshot.version > 0 and self._listener is not None and not self.draining

    @property
    def unknown_issuers(self) -> set[str]:
        """Issuers that may have new keys; whoever tells it on clears it."""
        return self._around.bearers.unknown

    @property
    def meters(self) -> Meters:
        """For whoever keeps what was used."""
        return self._around.meters

    def unix(self) -> float:
        """Unix seconds, to the second of the last tick and exact within it."""
        return self.monotonic() + self._unix_minus_monotonic_s

    def swap(self, snapshot: Snapshot) -> None:
        """Put a snapshot in force. Raises and changes nothing when it is refused."""
        finished(self._counted(self._swapping(snapshot)))

    async def take(self, raw: bytes) -> None:
        """The same from its wire form, while requests go on; one at a time."""
        await finished_between(self._counted(self._taking(raw)))

    def _counted(self, steps: Steps[None]) -> Steps[None]:
        try:
            yield from steps
        except ValueError:
            self._refused_snapshots += 1
            raise

    def _taking(self, raw: bytes) -> Steps[None]:
        snapshot = yield from self._reader.steps(raw)
        yield from self._swapping(snapshot)

    def _swapping(self, snapshot: Snapshot) -> Steps[None]:
        yield from checks(snapshot)
        pools = self._pools_for(snapshot)
        before: Compiled | None = getattr(self, "compiled", None)
        compiled = yield from compiling(
            snapshot, self._peppers, self._policies, self._around, pools, before
        )
        yield
        compiled.put_in_force(snapshot, self._around)
        gone = [pool for name, pool in self._pools.items() if pools.get(name) is not pool]
        self.compiled, self.snapshot, self._pools = compiled, snapshot, pools
        end_unwelcome(self.running, compiled)
        for pool in gone:
            pool.close()

    async def listen(
        self, host: str, port: int, tls: Tls | None = None, *, share_port: bool = False
    ) -> int:
        """Open the public port; 0 takes a free one. Returns the port."""
        listener = Listener(lambda: Downstream(self), tls, handshake_s=self.limits.head_s)
        port = await listener.open(host, port, share_port=share_port)
        self._listener = listener
        return port

    async def reload(self) -> None:
        """On SIGHUP: certificates and the access log's file anew."""
        self.access_log.reopen()
        if self._listener is not None:
            await self._listener.reload()

    async def drain(self) -> None:
        """No new connections; running exchanges end; what is left at the deadline is cut."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        self.outbox.flush()
        for link in tuple(self._links):
            link.drain()
        if self._links:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), self.limits.drain_s)
        for link in tuple(self._links):
            link.abort()
        for pool in self._pools.values():
            pool.close()
        self._timer.cancel()
        if self._shared is not None:
            await self._shared.aclose()
        await asyncio.sleep(0)
        self.access_log.close()

    def memory(self, name: str) -> MutableMapping[Any, Any]:
        """A policy's own table, for whoever passes it on."""
        return self._around.memory(name)

    # For its connections.

    def opened(self, link: Downstream) -> None:
        self._links.add(link)
        if len(self._links) > self.limits.connections or self.draining:
            link.abort()

    def closed(self, link: Downstream) -> None:
        self._links.discard(link)
        if self.draining and not self._links:
            self._empty.set()

    def proof(self, caller: Caller) -> bytes:
        """The header line that tells a tier who is calling."""
        now_s = self.monotonic()
        if now_s >= caller.proof_until_s:
            principal = caller.principal
            token = self._signer.assertion(
                principal.subject, principal.scopes, actor=principal.actor
            )
            caller.proof = b"firmwire-identity: %b\r\n" % token.encode()
            caller.proof_until_s = now_s + _PROOF_S
        return caller.proof

    def ended(self, x: Exchange) -> None:
        """Count, and let the policies see the end."""
        self.running.discard(x)
        use = x.use
        (use.counts if use is not None else self._unrouted).add(x)
        try:
            for step in x.pipe.end:
                step(x)
        except Exception as error:  # house: except what one policy breaks must not stop the rest
            self.crashed(error)

    def failed(self, x: Exchange, problem: Problem) -> None:
        _LOG.warning(
            "exchange.failed",
            request_id=x.request_id.decode(),
            route=x.route.name if x.route else "",
            fault=problem.fault.code,
            because=problem.because,
        )

    def crashed(self, error: BaseException) -> None:
        _LOG.error("exchange.crashed", error=repr(error), exc_info=error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what a policy has to wait for."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def metrics(self) -> bytes:
        """Prometheus text."""
        gauges = {
            "firmwire_gateway_connections": float(len(self._links)),
            "firmwire_gateway_running_exchanges": float(len(self.running)),
            "firmwire_gateway_snapshot_version": float(self.snapshot.version),
            "firmwire_gateway_snapshots_refused": float(self._refused_snapshots),
            "firmwire_gateway_access_lines_lost": float(self.access_log.lost_lines),
        }
        gauges.update(self._around.meters.metrics())
        for name, pool in self._pools.items():
            gauges.update(pool.gauges(name))
        return exposition(self._around.book.by_route, gauges, self._around.memory("versions"))

    def _pools_for(self, snapshot: Snapshot) -> dict[str, Pool]:
        def same_or_new(definition: Definition) -> Pool:
            pool = self._pools.get(definition.name)
            if pool is not None and pool.definition == definition:
                return pool
            return Pool(definition, self._loop)

        pools = {definition.name: same_or_new(definition) for definition in snapshot.upstreams}
        apart = {
            f"{name}:sandbox": pool.sandbox
            for name, pool in pools.items()
            if pool.sandbox is not None and pool.sandbox is not pool
        }
        return pools | apart

    def _tick(self) -> None:
        """Ten times a second: what runs. Once a second: what idles, the wall clock."""
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        now_s = self.monotonic()
        self._ticks += 1
        for x in tuple(self.running):
            if not x.over:
                x.link.check_running(x, now_s)
        if self._ticks % 5 == 0 or self.access_log.many():
            self.access_log.flush()
        if self._ticks % 10:
            return
        self._unix_minus_monotonic_s = clock.now().timestamp() - clock.monotonic()
        end_unwelcome(self.running, self.compiled)
        self._around.meters.tick()
        for link in tuple(self._links):
            link.check_idle(now_s)
        for pool in self._pools.values():
            pool.sweep(now_s)
