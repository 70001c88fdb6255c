"""This file exists to settle which dated version a request is in, and to say how that one ends.

Reads   request, route; the caller when there is one
Writes  version
Fails   MALFORMED with the list for a version nobody knows; VERSION_BROWNOUT while the end is
        rehearsed; GONE after it, with where to read on.
Source  gateway.md part I, Versioning: header > key > plan > head; RFC 9745, RFC 8594.

The version is told once, in a header of its own; a path never holds one, and two headers are
refused with the head of the request. So nothing can be judged in one version and served in another.
"""

from collections.abc import MutableMapping

from msgspec import Struct

from chassis.versions import head, versions
from contracts.problem import Fault, FieldError, Problem
from gateway.lifecycle import Life, lines, successor_of
from gateway.policy import Exchange, Pair, Policy, Stage, Tools

HEADER = b"firmwire-version"
_TIERS = ("system", "process", "experience")


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """dated: the route serves our dated APIs; by default every route under /<tier>/v1 does."""

    dated: bool | None = None


class _Known:
    """A version as this route serves it. life: only when it may end. asked: how often, one cell."""

    __slots__ = ("asked", "life", "lines", "successor", "version")

    def __init__(self, version: str, lives: tuple[Life, ...], tier: str, asked: list[int]) -> None:
        self.version = version.encode()
        self.asked = asked
        life = next((life for life in lives if life.version == version), None)
        self.successor = successor_of(version, versions(), lives)
        told: tuple[Pair, ...] = ((HEADER, version.encode()), (b"vary", HEADER))
        if life is not None:
            told += lines(life, f"/openapi/{tier}/{self.successor}.json")
        self.lines = b"".join(b"%b: %b\r\n" % pair for pair in told)
        self.life = life if life is not None and (life.sunset_s or life.brownouts) else None


class _Version:
    def __init__(self, tools: Tools, tier: str) -> None:
        self._unix = tools.unix
        asked: MutableMapping[bytes, list[int]] = tools.memory("versions")
        self._known = {
            v.encode(): _Known(v, tools.versions, tier, asked.setdefault(v.encode(), [0]))
            for v in versions()
        }
        self._head = self._known[head().encode()]
        self._pinned = {**self._known, b"": self._head}

    def on_request(self, x: Exchange) -> Problem | None:
        told = x.known.get(HEADER)
        known: _Known | None
        if told is not None:
            known = self._known.get(told)
        else:
            caller = x.caller
            known = self._head if caller is None else self._pinned.get(caller.version_pin)
        if known is None:
            return self._unknown()
        x.version = known.version
        x.down_lines += known.lines
        known.asked[0] += 1
        return None if known.life is None else self._judged(known, known.life)

    def still(self, x: Exchange) -> bool:
        """A stream ends with its version."""
        known = self._known.get(x.version)
        return known is None or known.life is None or not known.life.ended(self._unix())

    def _judged(self, known: _Known, life: Life) -> Problem | None:
        now_s = self._unix()
        if life.ended(now_s):
            return Problem(
                Fault.GONE,
                f"Version {life.version} has ended. Move to {known.successor}: {life.link}",
            )
        if life.brownout(now_s) is not None:
            return Problem(
                Fault.VERSION_BROWNOUT,
                f"Version {life.version} is switched off for a while, because it ends soon. "
                f"Move to {known.successor}: {life.link}",
            )
        return None

    def _unknown(self) -> Problem:
        now_s = self._unix()
        there = [
            version.decode()
            for version, known in self._known.items()
            if known.life is None or not known.life.ended(now_s)
        ]
        listed = ", ".join(there)
        wrong = FieldError("Firmwire-Version", "is no version", f"One of: {listed}.")
        say = f"There is no such version. There are: {listed}."
        return Problem(Fault.MALFORMED, say, errors=(wrong,))


class _Undated:
    """A route to something else: its versions are its own."""


def _bind(config: Config, tools: Tools) -> object:
    route = tools.route
    if route is None:
        return _Undated()
    tier, _, generation = route.prefix[1:].partition("/")
    ours = tier in _TIERS and generation.partition("/")[0] == "v1"
    dated = ours if config.dated is None else config.dated
    return _Version(tools, tier) if dated else _Undated()


POLICY = Policy(
    stage=Stage.VERSION,
    config=Config,
    bind=_bind,
    reads=frozenset({"request", "route"}),
    writes=frozenset({"version"}),
    always=True,
)
