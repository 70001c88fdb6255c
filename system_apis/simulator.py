"""The shape of a vendor's simulator: what vendors/<v>/simulator exports as SIMULATOR, and its kit.

A simulator is an independent witness of the vendor: it knows the vendor's facts and its kit, and
nothing of our connectors, mappings, wires or entities. The kit is implemented in `sandbox/`.
"""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

Document = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Taken(Exception):
    """The unique key is held by another document of the kind."""

    def __init__(self, kind: str, unique: str, holder: str) -> None:
        super().__init__(f"{kind}: unique key {unique!r} is taken by {holder}")
        self.kind, self.unique, self.holder = kind, unique, holder


class Row(Struct, frozen=True):
    """A document for `Store.bulk_put`. updated_at: UTC ISO text, for a firm with a past."""

    id: str
    doc: Mapping[str, Any]
    unique: str | None = None
    updated_at: str | None = None


class Store(Protocol):
    """Documents of one vendor; they survive a restart.

    A document is a JSON object. What comes out is a copy with `_id`, `_version` (1, 2, ...),
    `_created_at`, `_updated_at` (UTC ISO, microseconds, `+00:00`) added; what goes in is stored
    without them, so a read-change-put needs no stripping. All calls are synchronous and quick.

    where: field (dots walk into objects: `entity.id`) to wanted value. A value None wants null or
    absent; a list, tuple or set wants any of. The field may carry an operator: `"day >=": "..."`
    (= != < <= > >= like); != also finds what has no such field. order: `updated_at,id`,
    `-updated_at,id`, `id`, `-id`; ids made of digits sort as numbers.
    """

    def put(
        self, kind: str, id: str, doc: Mapping[str, Any], *, unique: str | None = None
    ) -> Document:
        """Insert or replace. A replaced document keeps its unique key when unique is None."""
        ...

    def get(self, kind: str, id: str) -> Document | None:
        """Always a strong read, also under the fault stale_search."""
        ...

    def by_unique(self, kind: str, unique: str) -> Document | None:
        """The live document that holds this unique key: a strong read."""
        ...

    def list(
        self,
        kind: str,
        *,
        updated_since: str | None = None,
        after_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        where: Mapping[str, object] | None = None,
        order: str = "updated_at,id",
    ) -> list[Document]:
        """A search. updated_since is inclusive; with after_id it is the keyset (since, id)."""
        ...

    def count(self, kind: str, where: Mapping[str, object] | None = None) -> int:
        """How many a search without limit would find."""
        ...

    def delete(self, kind: str, id: str) -> bool:
        """Remove from view; the row stays for the truth check. False when there was none."""
        ...

    def next_id(self, kind: str) -> int:
        """1, 2, 3, ... without end and without repeat, also after a restart."""
        ...

    def bulk_put(self, kind: str, rows: Iterable[Row]) -> int:
        """Many documents in one transaction. Ids of digits push next_id beyond them."""
        ...

    def index(self, kind: str, *fields: str) -> None:
        """Make `where` on these fields quick (one index over all of them, in order)."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing. No `await` inside."""
        ...


class Fault(Struct, frozen=True):
    """A named misfortune with its arguments, as asked by header or by rule."""

    name: str
    args: dict[str, str] = msgspec.field(default_factory=dict)

    def seconds(self, name: str, default_s: float) -> float:
        """The argument as seconds, when it is written in seconds."""
        return float(self.args.get(name, default_s))


class Faults(Protocol):
    """The sandbox applies the common faults around the simulator; it need not ask.

    For a fault only this vendor knows (an expired token, say), ask `current`.
    """

    def current(self) -> Fault | None:
        """The fault that strikes the request now being answered."""
        ...


class Kit(Struct, frozen=True, kw_only=True):
    """What the sandbox hands to a simulator. clock gives UTC now; random is seeded."""

    store: Store
    faults: Faults
    clock: Callable[[], datetime]
    random: random.Random


class Reply(Struct, frozen=True):
    """An answer made without the simulator's app."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


def plain_refusal(fault: str, status: int) -> Reply:
    """The answer of a vendor that has said nothing about its error bodies."""
    body = msgspec.json.encode({"error": fault})
    return Reply(status, body, {"content-type": "application/json"})


class Simulator(Struct, frozen=True, kw_only=True):
    """vendor: the folder's name, and the path it is served under.

    open: kit -> ASGI app; it sees paths without the vendor's prefix (`root_path` holds that).
    refusal: (fault, status) -> the vendor's own words for `rate_limited` (429), `server_error`
    (500..599) and `maintenance` (503, or what the vendor uses: the Reply's status wins).
    """

    vendor: str
    open: Callable[[Kit], ASGIApp]
    refusal: Callable[[str, int], Reply] = plain_refusal
