"""This file exists to tell the gateway's own pages at which address a caller reached them.

Reads   request
Writes  public_host
Fails   never. Whoever shows the address shows it to that caller only: it is what the caller said.
Source  the X-Forwarded-Host convention; RFC 9110 section 7.2 (Host).
"""

from msgspec import Struct

from contracts.problem import Problem
from gateway.policy import Exchange, Policy, Stage, Tools
from gateway.routes import PUBLIC_HOST

_NAME = PUBLIC_HOST.encode()


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class _PublicHost:
    def __init__(self, config: Config, tools: Tools) -> None:
        pass

    def on_request(self, x: Exchange) -> Problem | None:
        x.up.append((_NAME, x.known.get(b"host", b"")))
        return None


POLICY = Policy(
    stage=Stage.TRANSLATE,
    config=Config,
    bind=_PublicHost,
    reads=frozenset({"request"}),
    writes=frozenset({"public_host"}),
)
