"""This file exists to let a proven caller through only with the scope the route asks for.

Reads   request, caller
Writes  grant
Fails   FORBIDDEN, naming the scope; or the plan is not for this route, or not for pages of the
        caller's site. NO_SANDBOX: a test key, and nothing behind this route but live data.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.problem import Fault, Problem
from gateway.policy import Caller, Exchange, Policy, Stage, Tools

_ANSWERS_MAX = 50_000
_LIVE_ONLY = (
    "A test key never reaches live data, and no sandbox is behind this address. Call with a live "
    "key, or ask whoever runs this gateway for a sandbox (sandbox_origins of the upstream)."
)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """scope: one scope, `process:billing:read`; or a tier, `process`: any scope of it will do,
    and the tier itself asks for the exact one; or `*`: to be somebody is enough.
    """

    scope: Annotated[str, Meta(pattern=r"^(\*|[a-z]+(:[a-z_*]+)*)$")]


class _Authorise:
    """The answer for a caller is kept: one whose rights change is made anew."""

    def __init__(self, config: Config, tools: Tools) -> None:
        self._scope = config.scope
        self._answers: dict[Caller, bool] = {}
        self._route = tools.route.name if tools.route is not None else ""
        self._refusal = f"This needs the scope {config.scope}."
        self._sandbox = tools.sandbox

    def on_request(self, x: Exchange) -> Problem | None:
        caller = x.caller
        if caller is None:
            return Problem(Fault.FORBIDDEN, self._refusal)
        if caller.origins and _foreign(x, caller.origins):
            return Problem(Fault.FORBIDDEN, "The plan of this key is not for pages of this site.")
        allowed = self._answers.get(caller)
        if allowed is None:
            if len(self._answers) > _ANSWERS_MAX:
                self._answers.clear()  # of callers long replaced, too
            allowed = self._answers[caller] = self._may(caller)
        if allowed:
            return None
        if caller.test and not self._sandbox:
            return Problem(Fault.NO_SANDBOX, _LIVE_ONLY)
        if self._holds(caller):
            return Problem(Fault.FORBIDDEN, f"The plan {caller.plan} is not for this address.")
        return Problem(Fault.FORBIDDEN, self._refusal)

    def still(self, x: Exchange) -> bool:
        """Its plan may hold less by now."""
        return x.caller is not None and self._may(x.caller)

    def _may(self, caller: Caller) -> bool:
        if caller.test and not self._sandbox:
            return False
        if self._scope == "*":
            return True
        return self._holds(caller) and (not caller.routes or self._route in caller.routes)

    def _holds(self, caller: Caller) -> bool:
        if ":" in self._scope:
            return caller.principal.may(self._scope)
        within = self._scope + ":"
        return any(scope.startswith(within) for scope in caller.principal.scopes)


def _foreign(x: Exchange, origins: frozenset[bytes]) -> bool:
    """A page of a site the plan does not name; those of our own address are nobody else's."""
    origin = x.header(b"origin")
    if not origin or origin in origins:
        return False
    return origin.lower().partition(b"://")[2] != x.known.get(b"host", b"").lower()


POLICY = Policy(
    stage=Stage.AUTHORISE,
    config=Config,
    bind=_Authorise,
    reads=frozenset({"request", "caller"}),
    writes=frozenset({"grant"}),
)
