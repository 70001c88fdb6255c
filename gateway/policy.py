"""This file exists to fix the shape of a policy and of what travels through the pipe.

Owns   Stage (closed, in order), Exchange (one request and its reply), Answer, Reply, Policy,
       Tools.
Fails  nothing by itself; a policy answers a Problem to turn a caller away, None to let it on.
"""

from collections.abc import Callable, Mapping, MutableMapping
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from contracts.principal import Principal
from contracts.problem import Problem
from gateway.lifecycle import Life
from gateway.metering.limit import Limit
from gateway.routes import Route

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Use
    from gateway.dataplane.downstream import Downstream
    from gateway.dataplane.tunnel import Tunnel
    from gateway.dataplane.upstream import Upstream
    from gateway.identity.bearer import Bearers
    from gateway.metering.meters import Meters
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

    expires_s: Unix seconds, 0 for never. plan, limits: of its consumer. version_pin: of the key or
    else of its plan, b"" for head. origins, routes: of the pages its plan may be used from, and
    the names of the routes it is for; none for any. test: came with a test key, so that it goes to
    sandboxes only. token: proven by an access token, not by a key.
    free: neither expiry nor networks to look at. tag: for the access log. proof, proof_until_s:
    the signed assertion and until when to reuse it.
    """

    __slots__ = (
        "consumer", "expires_s", "free", "key_id", "limits", "networks", "origins", "plan",
        "principal", "proof", "proof_until_s", "routes", "tag", "test", "token", "version_pin",
    )  # fmt: skip

    def __init__(
        self,
        principal: Principal,
        key_id: str,
        *,
        expires_s: int = 0,
        networks: tuple[IPv4Network | IPv6Network, ...] = (),
        plan: str = "",
        limits: tuple[Limit, ...] = (),
        version_pin: bytes = b"",
        origins: frozenset[bytes] = frozenset(),
        routes: frozenset[str] = frozenset(),
        test: bool = False,
    ) -> None:
        self.principal = principal
        self.consumer = principal.subject
        self.key_id = key_id
        self.expires_s = expires_s
        self.networks = networks
        self.plan = plan
        self.limits = limits
        self.version_pin = version_pin
        self.origins = origins
        self.routes = routes
        self.test = test
        self.token = False
        self.free = not expires_s and not networks
        self.tag = b'"consumer":"%b","key":"%b"' % (self.consumer.encode(), key_id.encode())
        self.proof = b""
        self.proof_until_s = 0.0


class Answer(Struct, frozen=True):
    """A reply a policy gives by itself. Names lower case; framing headers are the data plane's."""

    status: int
    headers: tuple[Pair, ...] | list[Pair] = ()
    body: bytes = b""


class Reply(Struct, frozen=True):
    """A whole reply of an upstream, to be rewritten. Names lower case, without framing."""

    status: int
    headers: list[Pair]
    body: bytes


class Exchange:
    """One request and its reply. Header names are lower case; values are bytes as they came.

    Set before the pipe runs: method, target (path and query), path, known (single headers the
    gateway itself reads; not to be changed), client (address), length_bytes (-1: chunked),
    started_s, route. started: the pipe was entered. body_limit_bytes: streaming stops there.
    up, down: headers to add on the way to the upstream, and on the way back; up_lines, down_lines:
    the same as ready lines (`name: value` and CRLF each). refused: a policy turned it away.
    memo: where a policy may keep what follows from the headers and the client alone; it meets it
    again with the next request of the line when those are equal and the snapshot is the same.
    status, sent_bytes: known in `on_end`. version: the dated one this caller speaks, b"" for none.
    cost: what METER counts this request for.

    A policy that does more, in its on_request (and returns None):
    answer: the walk stops, nobody is asked upstream. target, path: may be replaced until the
    request is sent. rewrite_request, rewrite_reply: then the whole body is held (bounded by
    body_limit_bytes, and by bodies.REPLY_BYTES), rewritten once and sent with a length of its own;
    while they are None everything streams untouched. rewrite_if: asked with status, headers and
    content-length when the reply's head is there; False lets the body stream after all. Who finds
    one set already wraps it: a later stage sees the request after, and the reply before, an
    earlier one.

    The rest belongs to the data plane: forward (header lines to pass on), rest (of the head, for
    the upstream), held (body that waits), kept (body that may have to go again), collecting (until
    it is whole), old (HTTP/1.0), over (ended), expects (100-continue), malformed (why).
    """

    __slots__ = (
        "__dict__", "answer", "body_limit_bytes", "caller", "chunked", "client", "close",
        "deadline_s", "down", "down_lines", "facts", "finished", "forward", "head_sent", "known",
        "length_bytes", "link", "memo", "method", "old", "over", "path", "pipe", "problem",
        "progress_s", "received_bytes", "request_done", "request_id", "rest", "rewrite_reply",
        "rewrite_request", "route", "sent_bytes", "started", "started_s", "status", "target",
        "trace", "tunnel", "up", "up_lines", "upstream", "use", "version",
    )  # fmt: skip

    link: "Downstream"
    pipe: "Pipe"
    route: Route | None
    use: "Use | None"
    upstream: "Upstream | None"
    caller: Caller | None
    problem: Problem | None
    answer: Answer | None
    rewrite_request: "Callable[[Exchange, bytes], bytes | Problem] | None"
    rewrite_reply: "Callable[[Exchange, Reply], Reply] | None"
    tunnel: "Tunnel | None"
    # Most exchanges never touch these: they have a place only where they are set.
    rewrite_if: "Callable[[int, list[Pair], bytes | None], bool] | None" = None
    held: list[bytes] | None = None
    kept: list[bytes] | None = None
    malformed = ""
    wire_bytes = held_bytes = 0
    cost = 1
    chunked_reply = discard = expects = refused = retried = collecting = False

    def __init__(
        self,
        link: "Downstream",
        client: str,
        now_s: float,
        known: dict[bytes, bytes] | None = None,
        memo: dict[str, Any] | None = None,
    ) -> None:
        # Made for every request: slots, and many names a line, halve its cost.
        self.link = link
        self.client = client
        self.known = {} if known is None else known
        self.memo = {} if memo is None else memo
        self.started_s = self.progress_s = now_s
        self.deadline_s = 0.0
        self.up: list[Pair] = []
        self.down: list[Pair] = []
        self.facts: dict[str, Any] = {}
        self.method = self.target = self.path = self.request_id = self.trace = self.version = b""
        self.forward = self.rest = self.up_lines = self.down_lines = b""
        self.route = self.use = self.upstream = self.caller = self.problem = self.answer = None
        self.rewrite_request = self.rewrite_reply = self.tunnel = None
        self.length_bytes = self.received_bytes = self.sent_bytes = self.finished = self.status = 0
        self.body_limit_bytes = UNLIMITED
        self.chunked = self.close = self.old = self.over = self.request_done = self.started = False
        self.head_sent = False

    def header(self, name: bytes) -> bytes | None:
        """A header of the request, lower case; several lines of a name as one list."""
        if name in self.known:
            return self.known[name]
        lines = b"\r\n" + self.forward
        mark = b"\r\n%b: " % name
        if mark not in lines:
            return None
        return b", ".join(part.partition(b"\r\n")[0] for part in lines.split(mark)[1:])

    def hide(self, name: bytes) -> None:
        """Do not pass a header of the request on."""
        mark = name + b": "
        lines = self.forward.split(b"\r\n")
        self.forward = b"\r\n".join(line for line in lines if not line.startswith(mark))


class LogLines(Protocol):
    """Where access lines go; buffered, never waited for."""

    @property
    def write(self) -> Callable[[bytes], None]: ...


class Sign(Protocol):
    """Makes the assertion every tier verifies (chassis.identity.Signer)."""

    def assertion(self, subject: str, scopes: frozenset[str], *, actor: str = "") -> str: ...


class Share(Struct, frozen=True):
    """Which of how many workers this is; a limit kept in memory alone is this worker's part."""

    index: int = 0
    count: int = 1


class Tools(Struct, frozen=True):
    """What a policy may touch, handed in when it is bound to a route.

    memory: a policy's own table, kept when a snapshot is swapped. callers: by key hash.
    hashers: of keys, by pepper, newest first. monotonic, unix: seconds. share: this worker's.
    versions: those whose end was announced. sandbox: test keys have somewhere to go on this route.
    bearers: who is behind an access token. meters: what counts limits.
    """

    route: Route | None
    monotonic: Callable[[], float]
    unix: Callable[[], float]
    memory: Callable[[str], MutableMapping[Any, Any]]
    callers: Mapping[bytes, Caller]
    hashers: tuple[Callable[[bytes], bytes], ...]
    log: LogLines
    share: Share = Share()
    versions: tuple[Life, ...] = ()
    bearers: "Bearers | None" = None
    meters: "Meters | None" = None
    sandbox: bool = False


class Policy(Struct, frozen=True):
    """bind(config, tools) gives an object with any of on_request, on_response, on_end, still.

    on_request(x) -> Problem | None; on_response(x) once the status is known, in reverse order and
    only where on_request finished; on_end(x) when the last byte went out or the line was cut.
    still(x) -> bool: asked of a stream now and then; False ends it. It may renew x.caller.
    always: serves every route, and requests that found none, with its default config.
    asynchronous: on_request may hand out a coroutine when it needs I/O; the walk goes on when that
    is done. A request for which nobody waits costs no task.
    """

    stage: Stage
    config: type[Struct]
    bind: Callable[[Any, Tools], object]
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    always: bool = False
    asynchronous: bool = False
