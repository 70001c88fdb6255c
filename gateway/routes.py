"""This file exists to say what a route is, and to find one for a path.

Owns   the shapes Upstream and Route; the prefix table. A route names its policies; a route
       without any is refused when the snapshot is checked (gateway/snapshot.py): deny by default.
Fails  ValueError when two routes claim the same prefix and method.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

T = TypeVar("T")
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9._-]{0,62}$")]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODY_LIMIT_BYTES = 2_000_000
PUBLIC_HOST = "x-forwarded-host"  # told to the gateway's own pages only


class Upstream(Struct, frozen=True, forbid_unknown_fields=True):
    """urls: origins that serve the same, e.g. `http://127.0.0.1:9001`. connections: most at once.

    sandbox_origins: where requests of test keys go instead, and only they; none refuses test keys.
    Equal to urls they say that the whole deployment is a sandbox.
    connect_s, idle_s: seconds to connect, and to keep an unused connection. health: a path that
    answers 2xx while an instance is well, asked every health_every_s seconds; empty asks nothing.
    """

    name: Name
    urls: Annotated[tuple[str, ...], Meta(min_length=1)]
    connections: Annotated[int, Meta(ge=1)] = 256
    connect_s: Annotated[float, Meta(gt=0)] = 2.0
    idle_s: Annotated[float, Meta(gt=0)] = 4.0
    health: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._~/-]*)?$")] = ""
    health_every_s: Annotated[float, Meta(ge=0.1)] = 5.0
    sandbox_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, origins in (("urls", self.urls), ("sandbox_origins", self.sandbox_origins)):
            for url in origins:
                if why := _strange(url):
                    raise ValueError(f"{name}: {why}, not {url!r}")
        live, sandbox = _origins(self.urls), _origins(self.sandbox_origins)
        if live & sandbox and live != sandbox:
            shared = ", ".join(sorted(live & sandbox))
            raise ValueError(
                f"sandbox_origins: {shared} serves live keys as well; name origins of a sandbox, "
                "or exactly those of urls when all of it is one"
            )

    @property
    def all_sandbox(self) -> bool:
        """Test keys and live ones reach the same, which has no live data."""
        return _origins(self.urls) == _origins(self.sandbox_origins)


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """prefix: whole path segments, e.g. `/process/v1`. policies: name to its config.

    deadline_ms: to the head of the reply. stall_s: longest silence inside a body.
    public: no caller is asked for; must be said, and then `authenticate` must be absent.
    websocket: GET may switch to one. origins: pages that may open it, besides our own host's; `*`.
    messages_per_s: of a caller on one of those, so many at once; beyond them it is read later. A
    piece of a message, and a ping, is one as well. 0 for any number.
    """

    name: Name
    prefix: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._~-]+)+$")]
    upstream: str
    policies: dict[str, dict[str, Any]]
    methods: tuple[str, ...] = METHODS
    deadline_ms: Annotated[int, Meta(ge=1)] = 30_000
    stall_s: Annotated[float, Meta(gt=0)] = 60.0
    public: bool = False
    websocket: bool = False
    origins: tuple[str, ...] = ()
    messages_per_s: Annotated[int, Meta(ge=0, le=100_000)] = 0

    def __post_init__(self) -> None:
        if self.messages_per_s and not self.websocket:
            raise ValueError("messages_per_s: only a route with websocket = true has messages")


def _origins(urls: tuple[str, ...]) -> frozenset[str]:
    """However they are written."""
    ports = {"http": 80, "https": 443}
    parts = [urlsplit(url) for url in urls]
    return frozenset(f"{p.scheme}://{p.hostname}:{p.port or ports[p.scheme]}" for p in parts)


def _strange(url: str) -> str:
    """Why no request may ever be sent there, or nothing. Metadata services are link-local."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in ("http", "https") or not host or url.rstrip("/") != origin:
        return "an origin, http(s)://host:port"
    if "@" in parts.netloc:
        return "an origin without a user"
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return "the address of one host"
    return ""


@lru_cache(64)
def _encoded(methods: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(method.encode() for method in methods)


class Table(Generic[T]):
    """Longest prefix wins, on whole segments: `/process/v1` never takes `/process/v12`."""

    def __init__(self, entries: Iterable[tuple[Route, T]]) -> None:
        self._by_prefix: dict[bytes, dict[bytes, T]] = {}
        for route, value in entries:
            prefix, named = route.prefix.encode(), _encoded(route.methods)
            methods = self._by_prefix.get(prefix)
            if methods is None:
                self._by_prefix[prefix] = dict.fromkeys(named, value)
                continue
            for method in named:
                if methods.setdefault(method, value) is not value:
                    raise ValueError(f"two routes serve {method.decode()} {route.prefix}")
        self._depth = max((p.count(b"/") for p in self._by_prefix), default=0)

    def find(self, path: bytes) -> dict[bytes, T] | None:
        """What serves this path, by method."""
        best = None
        at = 0
        for _ in range(self._depth):
            at = path.find(b"/", at + 1)
            if at < 0:
                return self._by_prefix.get(path, best)
            best = self._by_prefix.get(path[:at], best)
        return best


def document_route() -> Route:
    """The OpenAPI documents, for everybody; its policy answers all of it, no upstream is asked."""
    return Route(
        name="openapi",
        prefix="/openapi",
        upstream="process",
        policies={"documents": {}, "meter": {}},
        methods=("GET", "HEAD"),
        public=True,
    )


def portal_routes() -> tuple[Route, ...]:
    """A partner's own page, which any key or token opens, and its sandbox keys: as JSON, and as the
    page's form. The form takes the key a browser sends by itself, and tells whose page it is from.
    """
    some = {"name": "sandbox-keys", "kind": "quota", "amount": 100, "period": "day"}
    mine: dict[str, dict[str, Any]] = {
        "authorise": {"scope": "*"}, "meter": {}, "size_limit": {"limit_bytes": 4096},
        "public_host": {},
    }  # fmt: skip
    looking = {**mine, "authenticate": {}}
    making = {**mine, "authenticate": {"keys_only": True}, "meter": {"limits": [some]}}
    form = {**making, "authenticate": {"keys_only": True, "forms": True}}
    return tuple(
        Route(name, f"/portal{below}", "control", policies, methods, deadline_ms=10_000)
        for name, below, policies, methods in (
            ("portal", "", looking, ("GET", "HEAD")),
            ("portal-keys", "/v1/test-keys", looking, ("GET", "HEAD")),
            ("portal-keys-made", "/v1/test-keys", making, ("POST", "DELETE")),
            ("portal-form", "/test-keys", form, ("POST",)),
        )
    )


def leak_route() -> Route:
    """Whoever found a key in public says so here; nobody is asked who they are."""
    slow = {"name": "leaks", "kind": "rate", "amount": 1, "burst": 20, "per": ["address"]}
    return Route(
        name="leaked-keys",
        prefix="/leaked-keys",
        upstream="control",
        policies={"meter": {"limits": [slow]}, "size_limit": {"limit_bytes": 4096}},
        methods=("POST",),
        deadline_ms=10_000,
        public=True,
    )


def tier_routes() -> tuple[Route, ...]:
    """The three tiers under their own paths; each asks for a scope of its tier."""
    return tuple(
        Route(
            name=tier,
            prefix=f"/{tier}/v1",
            upstream=tier,
            policies={
                "authenticate": {},
                "authorise": {"scope": tier},
                "meter": {},
                "size_limit": {"limit_bytes": limit_bytes},
            },
            deadline_ms=deadline_ms,
        )
        for tier, deadline_ms, limit_bytes in (
            ("system", 60_000, BODY_LIMIT_BYTES),
            ("process", 60_000, 4 * BODY_LIMIT_BYTES),
            ("experience", 30_000, BODY_LIMIT_BYTES),
        )
    )
