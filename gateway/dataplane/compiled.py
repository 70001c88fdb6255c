"""This file exists to turn a snapshot into what a worker uses: callers by hash, pipes by route.

Owns   what changed is made anew, the rest is taken over, in short steps: ten thousand keys and a
       thousand routes must be swappable every second under load. Pools, counters and policies'
       memories are handed in.
Fails  SnapshotRefused or PipeRefused: then the compiled one before stays in force.
"""

from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import ip_network
from typing import Any

from msgspec import Struct, structs

from contracts.principal import Principal
from gateway.dataplane.counters import Book, Counts
from gateway.dataplane.pool import Pool
from gateway.identity.bearer import Bearers
from gateway.keys import Peppers, hasher
from gateway.lifecycle import Life
from gateway.metering.meters import Meters
from gateway.metering.shared import Shared
from gateway.pipeline import Pipe, pipe_of
from gateway.policy import Caller, LogLines, Policy, Share, Tools
from gateway.routes import Route, Table
from gateway.snapshot import Held, Key, Plan, Snapshot, SnapshotRefused, scopes_of
from gateway.steps import Steps, slices

UNROUTED = "-"


class Use:
    """A route ready to be used. sandbox: where requests of test keys go."""

    __slots__ = (
        "counts", "deadline_line", "deadline_s", "pipe", "pool", "route", "sandbox", "stall_s",
    )  # fmt: skip

    def __init__(self, route: Route, pipe: Pipe, pool: Pool, counts: Counts) -> None:
        self.route = route
        self.pipe = pipe
        self.pool = pool
        self.sandbox = pool.sandbox
        self.counts = counts
        self.deadline_s = route.deadline_ms / 1000
        self.deadline_line = b"firmwire-deadline-ms: %d\r\n" % route.deadline_ms
        self.stall_s = route.stall_s


Judged = tuple[bytes, bytes, bytes, Use | None]  # method, target, path, and what serves them


class Compiled:
    """What one snapshot version means to a worker; put in force as a whole."""

    __slots__ = (
        "_policies", "_rest", "_rows", "_uses", "hosts", "lines", "table", "unrouted", "version",
    )  # fmt: skip

    def __init__(
        self,
        snapshot: Snapshot,
        policies: Mapping[str, Policy],
        rows: "dict[bytes, Row]",
        uses: dict[str, Use],
        unrouted: Pipe,
    ) -> None:
        self.version = snapshot.version
        self.lines: dict[bytes, Judged] = {}  # request lines, as gateway.dataplane.memo judged them
        self.hosts = frozenset(host.lower().encode() for host in snapshot.hosts)
        self.table = Table((use.route, use) for use in uses.values())
        self.unrouted = unrouted
        self._rest = _rest(snapshot)
        self._policies = policies
        self._rows = rows
        self._uses = uses

    def like(self, snapshot: Snapshot, policies: Mapping[str, Policy]) -> bool:
        """False when everything must be bound anew: a pipe may be bound to any of it."""
        return self._rest == _rest(snapshot) and self._policies is policies

    def put_in_force(self, snapshot: Snapshot, around: "Around") -> None:
        """In one step, when nothing can be refused any more: pipes look their callers up here."""
        around.bearers.take(snapshot)
        around.callers.clear()
        around.callers.update({digest: row.caller for digest, row in self._rows.items()})
        around.book.keep({UNROUTED, *self._uses})
        around.meters.adjust(snapshot.adjusted)

    def use_of(self, route: str) -> Use | None:
        """By the route's name."""
        return self._uses.get(route)

    def serves(self, host: bytes) -> bool:
        """True when the host, with or without its port, is one we answer to."""
        host = host.lower()
        return host in self.hosts or host.rpartition(b":")[0] in self.hosts


def compiling(
    snapshot: Snapshot,
    peppers: Peppers,
    policies: Mapping[str, Policy],
    around: "Around",
    pools: Mapping[str, Pool],
    before: Compiled | None,
) -> Steps[Compiled]:
    """Nothing is in force by it. before: what of it is the same is taken over."""
    if before is not None and not before.like(snapshot, policies):
        before = None
    rows = yield from _rows(snapshot, peppers, {} if before is None else before._rows)
    uses: dict[str, Use] = {}
    for route in snapshot.routes:
        yield
        pool = pools[route.upstream]
        use = None if before is None else before._uses.get(route.name)
        if use is None or use.pool is not pool or (use.route is not route and use.route != route):
            pipe = pipe_of(policies, around.tools(route, peppers, snapshot.versions, pool))
            use = Use(route, pipe, pool, around.counts(route.name))
        uses[route.name] = use
    yield
    if before is None:
        unrouted = pipe_of(policies, around.tools(None, peppers, snapshot.versions))
    else:
        unrouted = before.unrouted
    return Compiled(snapshot, policies, rows, uses, unrouted)


class Around:
    """What lives longer than a snapshot, for one worker."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        unix: Callable[[], float],
        log: LogLines,
        share: Share,
        shared: Shared | None = None,
    ) -> None:
        self._share = share
        self._monotonic = monotonic
        self._unix = unix
        self._log = log
        self._memories: dict[str, MutableMapping[Any, Any]] = {}
        self._hashers: tuple[Callable[[bytes], bytes], ...] = ()
        self.callers: dict[bytes, Caller] = {}
        self.bearers = Bearers(unix, caller_of)
        self.meters = Meters(monotonic, unix, share.count, shared)
        self.book = Book()

    def memory(self, name: str) -> MutableMapping[Any, Any]:
        """A policy's own table."""
        return self._memories.setdefault(name, {})

    def counts(self, route: str) -> Counts:
        """A route's counters."""
        return self.book.of(route)

    def tools(
        self,
        route: Route | None,
        peppers: Peppers,
        versions: tuple[Life, ...],
        pool: Pool | None = None,
    ) -> Tools:
        """What the policies of a route are handed."""
        if not self._hashers:
            newest_first = sorted(peppers.secrets, key=lambda name: name != peppers.current)
            self._hashers = tuple(hasher(peppers.secrets[name]) for name in newest_first)
        return Tools(
            route=route,
            monotonic=self._monotonic,
            unix=self._unix,
            memory=self.memory,
            callers=self.callers,
            hashers=self._hashers,
            log=self._log,
            share=self._share,
            versions=versions,
            bearers=self.bearers,
            meters=self.meters,
            sandbox=pool is not None and pool.sandbox is not None,
        )


class Row(Struct, frozen=True):
    """One key of a snapshot, its plan, and who it makes of a caller."""

    key: Key
    plan: Plan
    caller: Caller


def _rows(
    snapshot: Snapshot, peppers: Peppers, before: Mapping[bytes, Row]
) -> Steps[dict[bytes, Row]]:
    """By key hash, taken over from before when nothing changed for them."""
    held = Held(snapshot)
    found: dict[bytes, Row] = {}
    for part in slices(snapshot.keys):
        yield
        for key in part:
            if key.pepper not in peppers.secrets:
                raise SnapshotRefused(f"key {key.id}: its pepper {key.pepper} is not known here")
            plan = held.plan(key.consumer, key.plan)
            if plan is None:
                raise SnapshotRefused(f"key {key.id}: {key.consumer} has no plan for it")
            row = before.get(key.digest)
            if (
                row is None
                or (row.key is not key and row.key != key)
                or (row.plan is not plan and row.plan != plan)
            ):
                row = Row(key, plan, caller_of(key, plan))
            found[key.digest] = row
    return found


def caller_of(key: Key, plan: Plan) -> Caller:
    """A key never may more than its plan."""
    return Caller(
        Principal(key.consumer, scopes_of(key.scopes, plan), "gateway", key.id),
        key.id,
        expires_s=key.expires_s,
        networks=tuple(ip_network(network) for network in key.networks),
        plan=plan.name,
        limits=plan.limits,
        version_pin=(key.version_pin or plan.version_default).encode(),
        origins=frozenset(origin.encode() for origin in plan.origins),
        routes=frozenset(plan.routes),
        test=key.test,
    )


def _rest(snapshot: Snapshot) -> Snapshot:
    """Everything but what is compared piece by piece."""
    return structs.replace(
        snapshot,
        version=0,
        upstreams=(),
        routes=(),
        plans=(),
        consumers=(),
        keys=(),
        hosts=(),
        issuers=(),
        clients=(),
        revoked=(),
        adjusted=(),
    )
