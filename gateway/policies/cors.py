"""This file exists to say which pages of other sites may call a route from a browser.

Reads   request
Writes  cors
Fails   never: a browser that is not told `yes` keeps the reply from the page. A preflight from a
        page that is not allowed is answered without a yes, and goes no further.
Source  Fetch standard, section 3.3 (CORS protocol); RFC 9110 section 12.5.5 (Vary).

Credentials of a browser (cookies) are never allowed: our callers prove themselves by a header that
a page must hold itself, so there is nothing to forge on somebody's behalf.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.problem import Problem
from gateway.policy import Answer, Exchange, Pair, Policy, Stage, Tools

Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]

_EXPOSED = (
    b"deprecation, etag, firmwire-request-id, firmwire-version, link, location, ratelimit, "
    b"ratelimit-policy, retry-after, sunset"
)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """origins: of the pages that may call, exactly as a browser names them. headers: they may send.

    max_age_s: how long a browser may remember the answer to a preflight.
    """

    origins: tuple[Origin, ...]
    headers: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+$")], ...] = (
        "authorization", "content-type", "dpop", "firmwire-version", "idempotency-key",
        "if-match", "if-none-match", "x-api-key",
    )  # fmt: skip
    max_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 600


class _Cors:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._origins = frozenset(origin.encode() for origin in config.origins)
        methods = tools.route.methods if tools.route is not None else ()
        self._preflight: tuple[Pair, ...] = (
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", ", ".join(config.headers).encode()),
            (b"access-control-max-age", b"%d" % config.max_age_s),
        )

    def on_request(self, x: Exchange) -> Problem | None:
        if (origin := x.header(b"origin")) is None:
            return None
        x.facts["cors"] = origin in self._origins
        if x.method == b"OPTIONS" and x.header(b"access-control-request-method") is not None:
            x.answer = Answer(204, self._preflight if x.facts["cors"] else ())
        return None

    def on_response(self, x: Exchange) -> None:
        x.down.append((b"vary", b"origin"))
        if x.facts.get("cors") and (origin := x.header(b"origin")) is not None:
            x.down.append((b"access-control-allow-origin", origin))
            x.down.append((b"access-control-expose-headers", _EXPOSED))


POLICY = Policy(
    stage=Stage.SHIELD,
    config=Config,
    bind=_Cors,
    reads=frozenset({"request"}),
    writes=frozenset({"cors"}),
)
