"""This file exists to let a public route prove its callers itself: the authorization server's door.

Reads   request, client
Writes  introduction
Fails   never. What proves a client (Authorization, DPoP, its certificate) goes along, with the
        address it came from, sealed; on every other route none of it travels.
Source  RFC 6749 section 2.3, RFC 8705 section 2, RFC 9449 section 5.
"""

from msgspec import Struct

from contracts.problem import Problem
from gateway.identity.certificates import names
from gateway.identity.door import HEADER, sealed
from gateway.policy import Exchange, Policy, Stage, Tools


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class _Introduce:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._hashed = tools.hashers[0]
        self._unix = tools.unix

    def on_request(self, x: Exchange) -> Problem | None:
        for name in (b"authorization", b"dpop"):
            if (given := x.known.get(name)) is not None:
                x.up.append((name, given))
        shown: bytes = getattr(x.link, "certificate", b"")
        called = names(x.link.transport.get_extra_info("ssl_object")) if shown else ()
        seal = sealed(self._hashed, x.client, shown, self._unix(), called)
        x.up.append((HEADER.encode(), seal))
        return None


POLICY = Policy(
    stage=Stage.TRANSLATE,
    config=Config,
    bind=_Introduce,
    reads=frozenset({"request", "client"}),
    writes=frozenset({"introduction"}),
)
