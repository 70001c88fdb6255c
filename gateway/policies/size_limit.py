"""This file exists to refuse a body that is too large before it is read.

Reads   request
Writes  body_limit
Fails   TOO_LARGE: at once when the length is told, while streaming when it is not.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.problem import Fault, Problem
from gateway.policy import Exchange, Policy, Stage, Tools


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """limit_bytes: the largest body let through."""

    limit_bytes: Annotated[int, Meta(ge=0)] = 2_000_000


class _SizeLimit:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._limit_bytes = config.limit_bytes

    def on_request(self, x: Exchange) -> Problem | None:
        x.body_limit_bytes = self._limit_bytes
        if x.length_bytes > self._limit_bytes:
            return Problem(Fault.TOO_LARGE, f"At most {self._limit_bytes} bytes are taken here.")
        return None


POLICY = Policy(
    stage=Stage.SHIELD,
    config=Config,
    bind=_SizeLimit,
    reads=frozenset({"request"}),
    writes=frozenset({"body_limit"}),
    always=True,
)
