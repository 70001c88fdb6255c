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
    leaves it to the route. free: neither expiry nor networks to look at. tag: for the access
    log. proof, proof_until_s: the signed assertion and until when to reuse it.
    """

    __slots__ = (
        "burst", "consumer", "expires_s", "free", "key_id", "networks", "principal", "proof",
        "proof_until_s", "quota_per_month", "rate_per_s", "tag",
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
        self.free = not expires_s and not networks
        self.tag = b'"consumer":"%b","key":"%b"' % (self.consumer.encode(), key_id.encode())
        self.proof = b""
        self.proof_until_s = 0.0


class Exchange:
    """One request and its reply. Header names are lower case; values are bytes as they came.

    Set before the pipe runs: method, target (path and query), path, known (single headers the
    gateway itself reads), client (address), length_bytes (-1: chunked), started_s, route.
    started: the pipe was entered. body_limit_bytes: streaming stops there. up, down: headers to
    add on the way to the upstream, and on the way back. refused: a policy turned it away.
    status, sent_bytes: known in `on_end`.
    The rest belongs to the data plane: forward (header bytes to pass on), head, held (body that
    waits), kept (body that may have to go again), old (HTTP/1.0), over (ended), expects (100-continue), malformed (why).
    """

    # Defaults live on the class: most requests never touch most of them.
    method = target = path = request_id = trace = b""
    malformed = ""
    route: Route | None = None
    upstream: "Upstream | None" = None
    caller: Caller | None = None
    problem: Problem | None = None
    use: "Use | None" = None
    held: list[bytes] | None = None
    kept: list[bytes] | None = None
    head = (b"", b"")
    length_bytes = received_bytes = wire_bytes = sent_bytes = held_bytes = 0
    finished = status = 0
    body_limit_bytes = UNLIMITED
    chunked = chunked_reply = close = discard = expects = head_sent = False
    old = over = refused = request_done = retried = started = False
    deadline_s = 0.0
    forward: list[bytes]
    pipe: "Pipe"

    def __init__(self, link: "Downstream", client: str, now_s: float) -> None:
        self.link = link
        self.client = client
        self.started_s = self.progress_s = now_s
        self.known: dict[bytes, bytes] = {}
        self.up: list[Pair] = []
        self.down: list[Pair] = []
        self.facts: dict[str, Any] = {}


class LogLines(Protocol):
    """Where access lines go; buffered, never waited for."""

    def write(self, line: bytes) -> None: ...


class Sign(Protocol):
    """Makes the assertion every tier verifies (chassis.identity.Signer)."""

    def assertion(self, subject: str, scopes: frozenset[str], *, actor: str = "") -> str: ...


class Tools(Struct, frozen=True):
    """What a policy may touch, handed in when it is bound to a route.

    memory: a policy's own table, kept when a snapshot is swapped. callers: by key hash.
    hashers: of keys, by pepper, newest first. monotonic, unix: seconds.
    """

    route: Route | None
    monotonic: Callable[[], float]
    unix: Callable[[], float]
    memory: Callable[[str], MutableMapping[Any, Any]]
    callers: Mapping[bytes, Caller]
    hashers: tuple[Callable[[bytes], bytes], ...]
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
