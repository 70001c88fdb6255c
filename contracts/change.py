"""The shape of one dated API change: requests are walked up to head, replies are walked down.

A file under contracts/changes exports one as CHANGE; its date is the version it begins. The code
speaks head only. Versions are the first publication and every date a change bears.
Bodies are plain JSON values; a reshape returns a new one and never alters what it was given.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

FIRST = "2026-11-01"

Body = Any
Turn = Callable[[Body], Body]


class Reshape(Struct, frozen=True):
    """up: the older body to the newer one. down: the newer to the older.

    down(up(old)) == old is held by a test for every change, unless `loses` says what is lost.
    """

    up: Turn
    down: Turn
    loses: str = ""


class Touch(Struct, frozen=True, kw_only=True):
    """What a change means to one operation, named `POST /process/v1/exceptions/{id}/waive`.

    pointers: where the newer request has a field, to where the older one had it, for the
    `errors` of problem documents.
    """

    operation: str
    request: Reshape | None = None
    reply: Reshape | None = None
    pointers: dict[str, str] = {}


class Change(Struct, frozen=True, kw_only=True):
    """date: the version it begins, YYYY-MM-DD. tells: one sentence for the changelog."""

    date: str
    tells: str
    touches: tuple[Touch, ...]


def renamed(old: str, new: str) -> Reshape:
    """A member with another name, in its old place. Absent stays absent.

    A body that has both names is left as it is: whoever takes it refuses the one it does not know.
    """

    def turn(body: Body, before: str, after: str) -> Body:
        if not isinstance(body, dict) or after in body:
            return body
        return {(after if name == before else name): value for name, value in body.items()}

    return Reshape(lambda body: turn(body, old, new), lambda body: turn(body, new, old))


def member(name: str, inner: Reshape) -> Reshape:
    """Reshape the value of one member; absent and null are left alone."""

    def turn(body: Body, each: Turn) -> Body:
        if not isinstance(body, dict) or body.get(name) is None:
            return body
        return {key: each(value) if key == name else value for key, value in body.items()}

    return Reshape(lambda b: turn(b, inner.up), lambda b: turn(b, inner.down), inner.loses)


def each(inner: Reshape) -> Reshape:
    """Reshape every item of a list."""

    def turn(body: Body, one: Turn) -> Body:
        return [one(item) for item in body] if isinstance(body, list) else body

    return Reshape(lambda b: turn(b, inner.up), lambda b: turn(b, inner.down), inner.loses)
