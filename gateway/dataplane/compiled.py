"""This file exists to turn a snapshot into what a worker uses: callers by hash, pipes by route.

Owns   nothing that outlives a snapshot; pools, counters and policy memories are handed in.
Fails  SnapshotRefused or PipeRefused: then the compiled one before stays in force.
"""

from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import ip_network
from typing import Any

from contracts.principal import Principal
from gateway.dataplane.counters import Counts
from gateway.dataplane.pool import Pool
from gateway.keys import Peppers, hasher
from gateway.pipeline import Pipe, pipe_of
from gateway.policy import Caller, LogLines, Policy, Share, Tools
from gateway.routes import Route, Table
from gateway.snapshot import Snapshot, SnapshotRefused, scopes_of

UNROUTED = "-"


class Use:
    """A route ready to be used."""

    __slots__ = ("counts", "deadline_line", "deadline_s", "pipe", "pool", "route", "stall_s")

    def __init__(self, route: Route, pipe: Pipe, pool: Pool, counts: Counts) -> None:
        self.route = route
        self.pipe = pipe
        self.pool = pool
        self.counts = counts
        self.deadline_s = route.deadline_ms / 1000
        self.deadline_line = b"firmwire-deadline-ms: %d\r\n" % route.deadline_ms
        self.stall_s = route.stall_s


class Compiled:
    """What one snapshot version means to a worker; swapped as a whole."""

    __slots__ = ("callers", "hosts", "table", "unrouted", "version")

    def __init__(
        self,
        snapshot: Snapshot,
        peppers: Peppers,
        policies: Mapping[str, Policy],
        around: "Around",
    ) -> None:
        self.version = snapshot.version
        self.hosts = frozenset(host.lower().encode() for host in snapshot.hosts)
        self.callers = callers(snapshot, peppers)
        uses = []
        for route in snapshot.routes:
            pipe = pipe_of(policies, around.tools(route, self.callers, peppers))
            uses.append((route, Use(route, pipe, around.pool(route), around.counts(route.name))))
        self.unrouted = pipe_of(policies, around.tools(None, self.callers, peppers))
        self.table = Table(uses)

    def serves(self, host: bytes) -> bool:
        """True when the host, with or without its port, is one we answer to."""
        host = host.lower()
        return host in self.hosts or host.rpartition(b":")[0] in self.hosts


class Around:
    """What lives longer than a snapshot, for one worker."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        unix: Callable[[], float],
        log: LogLines,
        upstream_pool: Callable[[str], Pool],
        share: Share,
    ) -> None:
        self._share = share
        self._monotonic = monotonic
        self._unix = unix
        self._log = log
        self._pool = upstream_pool
        self._memories: dict[str, MutableMapping[Any, Any]] = {}
        self.by_route: dict[str, Counts] = {UNROUTED: Counts()}

    def use_pools(self, upstream_pool: Callable[[str], Pool]) -> None:
        """Of the snapshot about to be compiled."""
        self._pool = upstream_pool

    def memory(self, name: str) -> MutableMapping[Any, Any]:
        """A policy's own table."""
        return self._memories.setdefault(name, {})

    def counts(self, route: str) -> Counts:
        """A route's counters."""
        return self.by_route.setdefault(route, Counts())

    def pool(self, route: Route) -> Pool:
        """Connections to a route's upstream."""
        return self._pool(route.upstream)

    def tools(
        self, route: Route | None, callers: Mapping[bytes, Caller], peppers: Peppers
    ) -> Tools:
        """What the policies of a route are handed."""
        newest_first = sorted(peppers.secrets, key=lambda name: name != peppers.current)
        return Tools(
            route=route,
            monotonic=self._monotonic,
            unix=self._unix,
            memory=self.memory,
            callers=callers,
            hashers=tuple(hasher(peppers.secrets[name]) for name in newest_first),
            log=self._log,
            share=self._share,
        )


def callers(snapshot: Snapshot, peppers: Peppers) -> dict[bytes, Caller]:
    """By key hash. A key never may more than its consumer's plan."""
    plans = {plan.name: plan for plan in snapshot.plans}
    plan_of = {consumer.name: plans[consumer.plan] for consumer in snapshot.consumers}
    found: dict[bytes, Caller] = {}
    for key in snapshot.keys:
        if key.pepper not in peppers.secrets:
            raise SnapshotRefused(f"key {key.id}: its pepper {key.pepper} is not known here")
        plan = plan_of[key.consumer]
        found[key.digest] = Caller(
            Principal(key.consumer, scopes_of(key, plan), "gateway", key.id),
            key.id,
            expires_s=key.expires_s,
            networks=tuple(ip_network(network) for network in key.networks),
            rate_per_s=plan.rate_per_s,
            burst=plan.burst,
            quota_per_month=plan.quota_per_month,
        )
    return found
