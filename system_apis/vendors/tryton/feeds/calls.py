"""This file exists to call Tryton: its refusals, strong reads, and the feed of time.

Touches  the vendor, reading only. Keeps the user's context (company), which never changes.
Fails    VENDOR_REJECTED (with the work-item code), CONFLICT, STALE, VENDOR_AUTH,
         VENDOR_THROTTLED (a lock or too many logins: nothing happened), VENDOR_SILENT,
         VENDOR_CONFUSED, INVALID (cursor).
Source   shared vendor facts: most refusals come with status 200 and an `error` inside.
"""

from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.outbound import Outbound, Reply
from contracts.problem import Fault, Problem, Vendor
from system_apis.vendors.tryton import mapping, wire

T = TypeVar("T", bound=wire.Row)
Domain = list[Any]

PAGE_MAX = 500
OVERLAP = timedelta(seconds=30)
"""A transaction that commits late carries the time at which it began."""

_STATUSES = {
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_REJECTED,
    404: Fault.VENDOR_AUTH,  # no such database
    429: Fault.VENDOR_THROTTLED,
}
_KINDS = {
    "ConcurrencyException": Fault.STALE,
    "LoginException": Fault.VENDOR_AUTH,
    "RateLimitException": Fault.VENDOR_THROTTLED,
}


class Cursor(Struct, frozen=True):
    """since: records changed from then on. after: the last id given in the reading going on.

    newest: the latest change seen in it. began: by our clock, when it began.
    """

    since: datetime | None = None
    after: int = 0
    newest: datetime | None = None
    began: datetime | None = None


class Reader:
    """Calls through one Outbound."""

    def __init__(self, door: Outbound, instance: str, database: str) -> None:
        self._door, self._instance, self._path = door, instance, f"/{database}/rpc/"
        self._context: dict[str, Any] = {}

    async def call(
        self, method: str, *params: Any, safe: bool = False, bulk: bool = False, **context: Any
    ) -> Any:
        """One remote call. safe: it may be sent twice. context: more of it, for this call."""
        own = await self.context()
        words = [*params, own | context]
        return await self._send(f"model.{method}", words, safe=safe, bulk=bulk)

    async def context(self) -> dict[str, Any]:
        """The company we work in, from our user's preferences."""
        if not self._context:
            known = await self._send("model.res.user.get_preferences", [True, {}], safe=True)
            if not known.get("company"):
                raise Problem(Fault.VENDOR_AUTH, f"{self._instance}: our user has no company.")
            kept = ("company", "companies", "language")
            self._context = {name: known[name] for name in kept if name in known}
        return self._context

    async def company_id(self) -> int:
        """Whose books we see."""
        return int((await self.context())["company"])

    async def alive(self) -> None:
        """One cheap read that needs a session."""
        await self._send("model.res.user.get_preferences", [True, {}], safe=True)

    async def _send(self, method: str, params: list[Any], *, safe: bool, bulk: bool = False) -> Any:
        body = {"id": 1, "method": method, "params": wire.dressed(params)}
        reply = await self._door.send("POST", self._path, json=body, safe=safe, bulk=bulk)
        return answer(self._instance, reply)

    async def rows(
        self,
        shape: type[T],
        *domain: Any,
        limit: int | None = None,
        bulk: bool = True,
        inactive: bool = False,
    ) -> list[T]:
        """Records that fit, in the order of their ids; a strong read. inactive: those too."""
        more = {"active_test": False} if inactive else {}
        found = await self.call(
            f"{wire.MODELS[shape]}.search_read", list(domain), 0, limit, [["id", "ASC"]],
            wire.fields_of(shape), safe=True, bulk=bulk, **more,
        )  # fmt: skip
        try:
            return wire.shaped(found, shape)
        except msgspec.ValidationError as error:
            because = f"{wire.MODELS[shape]}: {error}"
            raise Problem(
                Fault.VENDOR_CONFUSED, "A record of the vendor is unusable.", because=because
            ) from error

    async def one(self, shape: type[T], id: str | int) -> T | None:
        """A record by its id; None when there is none."""
        if not str(id).isdecimal():
            return None
        found = await self.rows(shape, ["id", "=", int(id)], limit=1, bulk=False, inactive=True)
        return found[0] if found else None

    async def first(self, model: str, *domain: Any) -> int | None:
        """The lowest id that fits."""
        found = await self.call(
            f"{model}.search", list(domain), 0, 1, [["id", "ASC"]], safe=True
        )  # fmt: skip
        return int(found[0]) if found else None

    async def acknowledge(self, warning: str) -> None:
        """Say yes to a warning, once: Tryton forgets it when it has asked again."""
        await self.call("res.user.warning.skip", warning, False)

    async def works(self) -> dict[int, wire.Work]:
        """Every project and task."""
        mine = ["company", "=", await self.company_id()]
        return {w.id: w for w in await self.rows(wire.Work, mine)}

    async def works_of(self, lines: list[wire.Line]) -> dict[int, wire.Work]:
        """The works these lines were written for, and all above them."""
        wanted = {id for line in lines if (id := mapping.work_id(line))}
        found: dict[int, wire.Work] = {}
        while wanted:
            for w in await self.rows(wire.Work, ["id", "in", sorted(wanted)]):
                found[w.id] = w
            wanted = {w.parent for w in found.values() if w.parent} - found.keys()
        return found

    async def changed_lines(
        self, cursor: str | None, limit: int
    ) -> tuple[list[wire.Line], str, bool]:
        """The next page of timesheet lines that changed.

        A reading walks by id, so a line that changes meanwhile is neither moved nor lost: the
        next reading begins where the newest change was when this one began.
        """
        at = read(cursor)
        began = at.began or clock.now()
        domain: Domain = [["id", ">", at.after], ["company", "=", await self.company_id()]]
        if at.since:
            since = at.since - OVERLAP
            never = [["write_date", "=", None], ["create_date", ">=", since]]
            domain.append(["OR", [["write_date", ">=", since]], never])
        size = max(1, min(limit, PAGE_MAX))
        rows = await self.rows(wire.Line, *domain, limit=size + 1)
        here = rows[:size]
        newest = max((r.changed for r in here), default=at.newest)
        newest = max(newest, at.newest) if newest and at.newest else newest
        if len(rows) > size:
            return here, written(Cursor(at.since, here[-1].id, newest, began)), True
        took = clock.now() - began  # a difference, so it does not matter whose clock is right
        since_next = max(newest - took, at.since or newest - took) if newest else at.since
        return here, written(Cursor(since_next)), False


def read(cursor: str | None) -> Cursor:
    """A cursor from its text; INVALID when it is none of ours."""
    if not cursor:
        return Cursor()
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError as error:
        raise Problem(Fault.INVALID, "The cursor is not one of ours.") from error


def written(cursor: Cursor) -> str:
    """A cursor as text."""
    return msgspec.json.encode(cursor).decode()


def answer(instance: str, reply: Reply) -> Any:
    """The result, or the Problem that Tryton's words mean, whatever the status says."""
    if not reply.ok:
        raise _by_status(instance, reply)
    try:
        said = wire.undressed(reply.body)
    except (ValueError, TypeError, KeyError) as error:
        because = f"{error!r} {reply.body[:200]!r}"
        raise Problem(Fault.VENDOR_CONFUSED, "The answer is unusable.", because=because) from error
    if "error" in said:
        raise _by_words(instance, reply.status, said["error"])
    if "result" not in said:
        raise Problem(Fault.VENDOR_CONFUSED, "The answer is none.", because=repr(said)[:200])
    return said["result"]


def _by_status(instance: str, reply: Reply) -> Problem:
    """A lock that was not to be had rolled everything back; other 5xx leave it open."""
    words = reply.body[:400].decode(errors="replace")
    fault = _STATUSES.get(reply.status, Fault.VENDOR_SILENT)
    if reply.status == 503:
        low = words.lower()
        fault = Fault.VENDOR_THROTTLED if "lock" in low else Fault.VENDOR_SILENT
        fault = Fault.VENDOR_MAINTENANCE if "maintenance" in low else fault
    return Problem(
        fault, f"{instance}: {fault.title.lower()}.", because=f"{reply.status} {words}",
        retry_after_s=reply.retry_after_s(), vendor=Vendor(system=instance, status=reply.status),
    )  # fmt: skip


def _by_words(instance: str, status: int, error: Any) -> Problem:
    """An error inside a 200: the transaction was rolled back, so nothing has happened."""
    parts = error if isinstance(error, list) else [error]
    kind = str(parts[0])
    inner = parts[1] if len(parts) > 1 else ""
    words = "\n".join(str(part) for part in inner[:2]) if isinstance(inner, list) else str(inner)
    words = words if kind in ("UserError", "UserWarning", *_KINDS) else f"{kind} {words}"
    fault = _KINDS.get(kind, Fault.VENDOR_REJECTED)
    if "duplicate key value" in words or "must be unique" in words:
        fault = Fault.CONFLICT
    vendor = Vendor(
        system=instance, status=status, code=kind[:60], message=words[:500],
        exception_code=mapping.exception_code(words) if fault is Fault.VENDOR_REJECTED else "",
    )  # fmt: skip
    say = words.strip().split("\n")[0][:200] or "refused."
    return Problem(fault, f"{instance}: {say}", because=repr(error)[:300], vendor=vendor)
