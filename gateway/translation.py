"""This file exists to walk bodies between a caller's version and head, as bytes.

Owns   finding the operation of a request; what becomes of a reply's headers when its body changes.
Fails  INVALID when a request does not have the form of its version. A reply that does not have
       the form of head is a mistake of ours and raises.
Source RFC 9110 section 8.8.1 (a strong validator belongs to one representation), RFC 9530
       (digests), RFC 6901 (pointers).

JSON only. Streams of events are not walked: an event's version is in its type.
"""

import re
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from chassis.versions import Walk, changes, walks
from contracts.problem import Fault, Problem
from gateway.policy import Exchange, Pair, Reply

_TEMPLATE = re.compile(r"\{\w+\}")
_DIGESTS = frozenset((b"content-digest", b"repr-digest", b"digest", b"content-md5"))
_ODD = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Translation:
    """One operation's, between one version and head."""

    __slots__ = ("_version", "_walk", "changes_replies", "changes_requests")

    def __init__(self, version: str, walk: Walk) -> None:
        self._version = version
        self._walk = walk
        self.changes_requests = bool(walk.up)
        self.changes_replies = bool(walk.down or walk.pointers)

    def request(self, x: Exchange, body: bytes) -> bytes | Problem:
        """The body head understands. What is not JSON goes on, to be refused by the tier."""
        if not _is_json(x.header(b"content-type") or b"application/json"):
            return body
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return body
        try:
            for turn in self._walk.up:
                value = turn(value)
        except _ODD as odd:
            say = f"The body does not have the form of version {self._version}."
            return Problem(Fault.INVALID, say, because=repr(odd))
        return msgspec.json.encode(value)

    def reply(self, x: Exchange, reply: Reply) -> Reply:
        """The reply this version promised."""
        kind = dict(reply.headers).get(b"content-type", b"")
        if not reply.body:
            return Reply(reply.status, _headers(reply.headers), reply.body)
        if kind.startswith(b"application/problem+json"):
            body = self._problem(reply.body)
        elif 200 <= reply.status < 300 and _is_json(kind):
            value = msgspec.json.decode(reply.body)
            for turn in self._walk.down:
                value = turn(value)
            body = msgspec.json.encode(value)
        else:
            return reply
        return Reply(reply.status, _headers(reply.headers), body)

    def wants(self, status: int, headers: list[Pair], length: bytes | None) -> bool:
        """Asked when the head is there: what is not JSON streams through untouched."""
        kind = dict(headers).get(b"content-type", b"")
        return _is_json(kind) or kind.startswith(b"application/problem+json") or status == 304

    def _problem(self, body: bytes) -> bytes:
        """Pointers into the request, as the caller wrote it."""
        told: Any = msgspec.json.decode(body)
        if not isinstance(told, dict) or not isinstance(told.get("errors"), list):
            return body
        for error in told["errors"]:
            for moved in self._walk.pointers:
                error["pointer"] = _moved(error.get("pointer", ""), moved)
        return msgspec.json.encode(told)


class Finder:
    """Operations of one version by method and path."""

    def __init__(self, version: str, walked: dict[str, Walk], touched: frozenset[str]) -> None:
        """touched: operations of any change, walked or not; a plain path goes before a template."""
        self._by_method: dict[bytes, re.Pattern[bytes]] = {}
        self._found: dict[bytes, list[Translation | None]] = {}
        listed: dict[str, list[str]] = {}
        for operation in sorted(touched, key=lambda o: (o.count("{"), o)):
            method, _, path = operation.partition(" ")
            listed.setdefault(method, []).append(path)
        for method, paths in listed.items():
            pattern = "|".join(f"({_pattern(path)})" for path in paths)
            self._by_method[method.encode()] = re.compile(pattern.encode())
            self._found[method.encode()] = [
                Translation(version, walked[o]) if (o := f"{method} {path}") in walked else None
                for path in paths
            ]
        if b"GET" in self._by_method:
            self._by_method[b"HEAD"] = self._by_method[b"GET"]
            self._found[b"HEAD"] = self._found[b"GET"]

    def find(self, method: bytes, path: bytes) -> Translation | None:
        """As the tier will read the path: escapes undone, a slash at the end ignored."""
        pattern = self._by_method.get(method)
        if pattern is None:
            return None
        if b"%" in path:
            path = unquote_to_bytes(path)
        found = pattern.fullmatch(path.rstrip(b"/"))
        if found is None or found.lastindex is None:
            return None
        return self._found[method][found.lastindex - 1]


@cache
def finder(version: str) -> Finder | None:
    """None at head, where there is nothing to do."""
    walked = walks(version)
    if not walked:
        return None
    touched = frozenset(touch.operation for change in changes() for touch in change.touches)
    return Finder(version, walked, touched)


def _pattern(path: str) -> str:
    return "[^/]+".join(re.escape(part) for part in _TEMPLATE.split(path))


def _is_json(kind: bytes) -> bool:
    return kind.partition(b";")[0].strip().lower() == b"application/json"


def _headers(headers: list[Pair]) -> list[Pair]:
    """A validator says `the same meaning` now, not `the same bytes`; digests are of others."""
    return [
        (name, b"W/" + value if name == b"etag" and not value.startswith(b"W/") else value)
        for name, value in headers
        if name not in _DIGESTS
    ]


def _moved(pointer: str, moved: dict[str, str]) -> str:
    for newer, older in moved.items():
        if pointer == newer or pointer.startswith(newer + "/"):
            return older + pointer[len(newer) :]
    return pointer
