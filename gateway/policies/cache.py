"""This file exists to answer a GET again without asking the tier, while the answer is fresh.

Reads   request, route, caller, version
Writes  reuse
Fails   never: what cannot be kept is passed on. One caller asks, others that want the same wait for
        that answer (single flight); when it is none to keep, they ask for themselves.
Source  RFC 9111 sections 3 (what may be stored), 4.1 (Vary), 4.2 (freshness), 4.3 (validation).

Nothing is shared between consumers, nor between the live and the test keys of one: both are part
of what an answer is found by, as are the route, the dated version, the address with its query and
the headers in `vary`.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from contracts.problem import Problem
from gateway.policy import Answer, Exchange, Pair, Policy, Reply, Stage, Tools

_MAX_AGE = re.compile(rb"(?:^|,)\s*max-age\s*=\s*\"?(\d{1,9})").search
_NEVER = re.compile(rb"(?:^|,)\s*(?:no-store|no-cache|private)").search
_PRIVATE_TO_ONE = (b"set-cookie", b"www-authenticate", b"content-range")

Key = tuple[Any, ...]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """fresh_s: where the tier's own `max-age` says nothing. vary: request headers an answer hangs
    on. entry_bytes: larger bodies pass by. total_bytes: of all bodies of a route; the answers
    nobody asked for longest make room.
    """

    fresh_s: Annotated[float, Meta(ge=0)] = 5.0
    vary: tuple[str, ...] = ("accept", "accept-language")
    entry_bytes: Annotated[int, Meta(ge=1, le=8_000_000)] = 256_000
    total_bytes: Annotated[int, Meta(ge=1)] = 16_000_000


class Kept(Struct, frozen=True):
    """reply: as the tier gave it. since_s, until_s: monotonic. etag: to ask if it holds."""

    reply: Reply
    since_s: float
    until_s: float
    etag: bytes | None


class _Cache:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._vary = tuple(name.lower().encode() for name in config.vary)
        self._monotonic = tools.monotonic
        memory: MutableMapping[str, Any] = tools.memory(
            f"cache {tools.route.name if tools.route else ''}"
        )
        self._kept: OrderedDict[Key, Kept] = memory.setdefault("kept", OrderedDict())
        self._flights: dict[Key, asyncio.Future[None]] = memory.setdefault("flights", {})
        self._memory = memory

    async def on_request(self, x: Exchange) -> Problem | None:
        if x.method != b"GET" or x.caller is None:
            return None
        asked = x.header(b"cache-control") or b""
        if b"no-store" in asked:
            return None
        key = self._key(x)
        while b"no-cache" not in asked:
            kept = self._kept.get(key)
            if kept is not None and kept.until_s > self._monotonic():
                self._kept.move_to_end(key)
                self._answer(x, kept, b"hit")
                return None
            flight = self._flights.get(key)
            if flight is None:
                break
            await asyncio.shield(flight)
            if x.over:
                return None
            if (kept := self._kept.get(key)) is None or kept.until_s <= self._monotonic():
                return None  # that answer was not for keeping: ask, like everybody who waited
        self._fly(x, key)
        return None

    def on_end(self, x: Exchange) -> None:
        flight = x.facts.pop("flight", None)
        if flight is not None:
            self._flights.pop(flight, None).set_result(None)  # type: ignore[union-attr]

    def _key(self, x: Exchange) -> Key:
        assert x.caller is not None
        varied = tuple(x.header(name) for name in self._vary)
        caller = x.caller
        return (caller.consumer, caller.test, caller.principal.scopes, x.version, x.target, varied)

    def _fly(self, x: Exchange, key: Key) -> None:
        """This one asks the tier; who wants the same meanwhile waits for it."""
        if key not in self._flights:
            self._flights[key] = asyncio.get_running_loop().create_future()
            x.facts["flight"] = key
        stale = self._kept.get(key)
        if stale is not None and stale.etag is not None and x.header(b"if-none-match") is None:
            x.up.append((b"if-none-match", stale.etag))
        else:
            stale = None
        translate = x.rewrite_reply
        if translate is None:
            x.rewrite_if = self._worth_holding

        def keep(x: Exchange, reply: Reply) -> Reply:
            if stale is not None and reply.status == 304:
                reply = Reply(200, _merged(stale.reply.headers, reply.headers), stale.reply.body)
            self._keep(key, reply)
            return reply if translate is None else translate(x, reply)

        x.rewrite_reply = keep

    def _answer(self, x: Exchange, kept: Kept, how: bytes) -> None:
        reply = kept.reply
        if x.rewrite_reply is not None:
            reply = x.rewrite_reply(x, reply)
        age = b"%d" % max(0, int(self._monotonic() - kept.since_s))
        headers = [*reply.headers, (b"age", age), (b"cache-status", b"firmwire; " + how)]
        if kept.etag is not None and _matches(x.header(b"if-none-match"), kept.etag):
            headers = [pair for pair in headers if pair[0] != b"content-type"]
            x.answer = Answer(304, headers, b"")
        else:
            x.answer = Answer(reply.status, headers, reply.body)

    def _worth_holding(self, status: int, headers: list[Pair], length: bytes | None) -> bool:
        """Decided by the head: what will not be kept streams through untouched."""
        if status == 304:
            return True
        known = length is not None and length.isdigit() and len(length) <= 9
        return (
            known
            and self._fresh_s(status, headers) > 0
            and (int(length or b"0") <= self._config.entry_bytes)
        )

    def _keep(self, key: Key, reply: Reply) -> None:
        fresh_s = self._fresh_s(reply.status, reply.headers)
        before = self._kept.pop(key, None)
        size_bytes: int = self._memory.get("size_bytes", 0)
        if before is not None:
            size_bytes -= len(before.reply.body)
        if fresh_s > 0 and len(reply.body) <= self._config.entry_bytes:
            now_s = self._monotonic()
            etag = dict(reply.headers).get(b"etag")
            self._kept[key] = Kept(reply, now_s, now_s + fresh_s, etag)
            size_bytes += len(reply.body)
        while size_bytes > self._config.total_bytes:
            _, oldest = self._kept.popitem(last=False)
            size_bytes -= len(oldest.reply.body)
        self._memory["size_bytes"] = size_bytes

    def _fresh_s(self, status: int, headers: list[Pair]) -> float:
        """Seconds a reply may be given again; 0 for one that must not be kept."""
        if status != 200:
            return 0.0
        fresh_s = self._config.fresh_s
        for name, value in headers:
            lower = value.lower()
            if name in _PRIVATE_TO_ONE:
                return 0.0
            if name == b"vary" and not {v.strip() for v in lower.split(b",")} <= set(self._vary):
                return 0.0
            if name == b"content-type" and lower.startswith(b"text/event-stream"):
                return 0.0
            if name == b"cache-control":
                if _NEVER(lower):
                    return 0.0
                if found := _MAX_AGE(lower):
                    fresh_s = float(found[1])
        return fresh_s


def _merged(old: list[Pair], new: list[Pair]) -> list[Pair]:
    """A stored head with what the validation said anew (RFC 9111 section 3.2)."""
    names = {name for name, _ in new}
    return [pair for pair in old if pair[0] not in names] + new


def _matches(asked: bytes | None, etag: bytes) -> bool:
    """Weak comparison (RFC 9110 section 13.1.2)."""
    if asked is None:
        return False
    tags = {tag.strip().removeprefix(b"W/") for tag in asked.split(b",")}
    return asked.strip() == b"*" or etag.removeprefix(b"W/") in tags


POLICY = Policy(
    stage=Stage.REUSE,
    config=Config,
    bind=_Cache,
    reads=frozenset({"request", "route", "caller"}),
    writes=frozenset({"reuse"}),
    asynchronous=True,
)
