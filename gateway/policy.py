"""This file exists to fix the shape of a policy and of what travels through the pipe.

Owns   Stage (closed, in order), Exchange (one request and its reply), Policy, Tools.
Fails  nothing by itself; a policy answers a Problem to turn a caller away, None to let it on.
"""

from collections.abc import Callable, Mapping, MutableMapping
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from contracts.principal import Principal
from contracts.problem import Problem
from gateway.routes import Route

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Use
    from gateway.dataplane.downstream import Downstream
    from gateway.dataplane.upstream import Upstream
    from gateway.pipeline import Pipe

Pair = tuple[bytes, bytes]
UNLIMITED = 2**62


class Stage(IntEnum):
    """Where in the pipe a policy stands. Order is (stage, name), never a number of its own."""

    TRACE = 1
    SHIELD = 2
    IDENTIFY = 3
    AUTHORISE = 4
    VERSION = 5
    METER = 6
    TRANSLATE = 7
    REUSE = 8
    FORWARD = 9


class Caller:
    """A proven consumer as the snapshot knows it; made once a snapshot, shared by its requests.

    expires_s: Unix seconds, 0 for never. rate_per_s, burst, quota_per_month: 0 when the plan
    leaves it to the route. proof, proof_until_s: the signed assertion and until when to reuse it.
    """

    __slots__ = (
        "burst", "consumer", "expires_s", "key_id", "networks", "principal", "proof",
        "proof_until_s", "quota_per_month", "rate_per_s",
    )  # fmt: skip

    def __init__(
        self,
        principal: Principal,
        key_id: str,
        *,
        expires_s: int = 0,
        networks: tuple[IPv4Network | IPv6Network, ...] = (),
        rate_per_s: float = 0.0,
        burst: int = 0,
        quota_per_month: int = 0,
    ) -> None:
        self.principal = principal
        self.consumer = principal.subject
        self.key_id = key_id
        self.expires_s = expires_s
        self.networks = networks
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.quota_per_month = quota_per_month
        self.proof = b""
        self.proof_until_s = 0.0


class Exchange:
    """One request and its reply. Header names are lower case; values are bytes as they came.

    Set before the pipe runs: method, target (path and query), path, known (single headers the
    gateway itself reads), client (address), length_bytes (-1: chunked), started_s, route.
    body_limit_bytes: streaming stops there. up, down: headers to add on the way to the upstream,
    and on the way back. refused: a policy turned it away. status, sent_bytes: known in `on_end`.
    The rest belongs to the data plane: forward (header bytes to pass on), head, held (body that
    waits), old (HTTP/1.0), over (ended), expects (100-continue), malformed (why).
    """

    __slots__ = (
        "body_limit_bytes", "caller", "chunked", "chunked_reply", "client", "close", "deadline_s",
        "discard", "down", "expects", "facts", "finished", "forward", "head", "head_sent", "held",
        "held_bytes", "known", "length_bytes", "link", "malformed", "method", "old", "over",
        "path", "pipe", "problem", "progress_s", "received_bytes", "refused", "request_done",
        "request_id", "retried", "route", "sent_bytes", "started_s", "status", "target", "trace",
        "up", "upstream", "use", "wire_bytes",
    )  # fmt: skip

    method: bytes
    target: bytes
    path: bytes
    known: dict[bytes, bytes]
    forward: list[bytes]
    client: str
    route: Route | None
    pipe: "Pipe"  # None until it was started
    link: "Downstream"
    upstream: "Upstream | None"
    caller: Caller | None
    problem: Problem | None
    started_s: float
    request_id: bytes
    trace: bytes
    use: "Use | None"

    def __init__(self, link: "Downstream", client: str, now_s: float) -> None:
        self.link = link
        self.client = client
        self.started_s = self.progress_s = now_s
        self.method = self.target = self.path = self.request_id = self.trace = b""
        self.malformed = ""
        self.route = self.upstream = self.caller = self.problem = self.use = None
        self.pipe = None  # type: ignore[assignment]  # set before anything reads it
        self.length_bytes = self.received_bytes = self.wire_bytes = self.sent_bytes = 0
        self.held_bytes = self.finished = self.status = 0
        self.body_limit_bytes = UNLIMITED
        self.chunked = self.close = self.discard = self.expects = self.head_sent = False
        self.old = self.over = self.refused = self.request_done = self.retried = False
        self.chunked_reply = False
        self.held: list[bytes] | None = None
        self.head: tuple[bytes, bytes] = (b"", b"")
        self.known = {}
        self.up: list[Pair] = []
        self.down: list[Pair] = []
        self.facts: dict[str, Any] = {}
        self.deadline_s = 0.0


class LogLines(Protocol):
    """Where access lines go; buffered, never waited for."""

    def write(self, line: bytes) -> None: ...


class Sign(Protocol):
    """Makes the assertion every tier verifies (chassis.identity.Signer)."""

    def assertion(self, subject: str, scopes: frozenset[str], *, actor: str = "") -> str: ...


class Tools(Struct, frozen=True):
    """What a policy may touch, handed in when it is bound to a route.

    memory: a policy's own table, kept when a snapshot is swapped. callers: by key hash.
    peppers: newest first. monotonic, unix: seconds.
    """

    route: Route | None
    monotonic: Callable[[], float]
    unix: Callable[[], float]
    memory: Callable[[str], MutableMapping[Any, Any]]
    callers: Mapping[bytes, Caller]
    peppers: tuple[bytes, ...]
    log: LogLines


class Policy(Struct, frozen=True):
    """bind(config, tools) gives an object with any of on_request, on_response, on_end.

    on_request(x) -> Problem | None; on_response(x) once the status is known, in reverse order and
    only where on_request finished; on_end(x) when the last byte went out or the line was cut.
    always: serves every route, and requests that found none, with its default config.
    asynchronous: on_request is a coroutine function; only for policies that need I/O.
    """

    stage: Stage
    config: type[Struct]
    bind: Callable[[Any, Tools], object]
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    always: bool = False
    asynchronous: bool = False
