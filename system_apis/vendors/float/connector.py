"""Answer the Scheduling port from Float's API v3.

Touches  the vendor, only through chassis.outbound. Keeps the last reading of each list. Float has
         no idempotency, so every create looks first, one at a time for each reference.
Fails    VENDOR_THROTTLED, VENDOR_DOWN, VENDOR_MAINTENANCE (nothing happened), VENDOR_SILENT (it
         may have happened: the same call again finds it), VENDOR_REJECTED.
Source   vendor documentation, independent client as in the shared vendor facts, 2026-11.
"""

import asyncio
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.master import MasterRecord
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.scheduling import BookingDraft, ScheduledProjectDraft, Scheduling
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.drift import Drift
from system_apis.fields import field_names
from system_apis.sweep import Row, Sweeps
from system_apis.vendors.float import auth, feeds, mapping, wire

STREAMS = ("alias", "allocation")
_SHAPES: dict[str, type[Struct]] = {
    "people": wire.Person,
    "projects": wire.Project,
    "tasks": wire.Task,
}
# `modified` has whole seconds.
_OVERLAP = timedelta(minutes=5)
_JSON = msgspec.json.Encoder(decimal_format="number")


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: the API's origin. contact: an e-mail address for Float's support to write to.

    gets_per_min: what Float grants a company for reading; writes have a quota of half of that.
    """

    base_url: str
    token: Secret
    contact: str = "integration@firm.example"
    deadline_s: float = 30.0
    concurrency: int = 4
    gets_per_min: int = 200


class Float:
    """One team."""

    def __init__(self, settings: Settings, instance: str) -> None:
        self._instance = instance
        self._door = Outbound(
            settings.base_url,
            peer=instance,
            deadline_s=settings.deadline_s,
            limits=Limits(
                concurrency=settings.concurrency,
                rate_per_s=settings.gets_per_min / 60,
                burst=max(1, settings.gets_per_min // 4),
            ),
            headers=auth.headers(settings.token.reveal(), settings.contact),
        )
        documented = Quota(per_window=settings.gets_per_min, window_s=60)
        self.allowance = Allowance(self._door.limiter, documented)
        known = {name: field_names(shape) | wire.SEEN[name] for name, shape in _SHAPES.items()}
        self._drift = Drift(instance, known)
        self._lists = feeds.Lists(self._door, instance, self._drift)
        self._sweeps = Sweeps(_OVERLAP)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def aclose(self) -> None:
        await self._door.aclose()

    async def health(self) -> Health:
        began = clock.monotonic()
        try:
            query = {"page": 1, "per-page": 1}
            reply = await self._door.send("GET", f"{feeds.API}/people", query=query)
            feeds.refuse(self._instance, reply)
        except Problem as problem:
            if problem.fault is Fault.VENDOR_MAINTENANCE:
                return Health(state="MAINTENANCE", latency_ms=0, say=problem.say)
            if problem.fault is Fault.VENDOR_THROTTLED:
                return Health(state="DEGRADED", latency_ms=0, say=problem.say)
            return Health(state="DOWN", latency_ms=0, say=problem.say)
        took_ms = int((clock.monotonic() - began) * 1000)
        return Health(state="UP", latency_ms=took_ms, drifted_fields=self._drift.fields)

    async def quota(self) -> Quota:
        """As documented: Float's answers do not tell."""
        return self.allowance.known()

    async def streams(self) -> tuple[str, ...]:
        return STREAMS

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        if stream == "alias":
            given = await self._sweeps.page("alias", self._people_and_projects, cursor, limit)
            found = tuple(self._alias(row, given.at) for row in given.rows)
            return Page(found, given.cursor, given.more)
        if stream != "allocation":
            raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")
        given = await self._sweeps.page("tasks", self._tasks, cursor, limit)
        items: list[MasterRecord] = []
        for rows, gone in ((given.rows, False), (given.gone, True)):
            for row in rows:
                task = self._lists.shaped("tasks", row.record, wire.Task)
                try:
                    items.append(mapping.allocation(self._instance, task, given.at, gone=gone))
                except ValueError as error:
                    raise feeds.unusable("tasks", error) from error
        return Page(tuple(items), given.cursor, given.more)

    async def _people_and_projects(self) -> list[Row]:
        return await self._lists.whole("people") + await self._lists.whole("projects")

    async def _tasks(self) -> list[Row]:
        return await self._lists.whole("tasks")

    def _alias(self, row: Row, at: datetime) -> MasterRecord:
        if row.id.startswith("people:"):
            person = self._lists.shaped("people", row.record, wire.Person)
            return mapping.person(self._instance, person, at)
        project = self._lists.shaped("projects", row.record, wire.Project)
        return mapping.project(self._instance, project, at)

    async def put_scheduled_project(self, reference: str, body: ScheduledProjectDraft) -> Placed:
        async with self._turn(f"projects:{reference}"):
            found = await self._marked("projects", reference)
            return found or await self._create("projects", mapping.project_body(body))

    async def booking_by_reference(self, reference: str) -> Placed | None:
        return await self._marked("tasks", reference)

    async def put_booking(self, reference: str, body: BookingDraft) -> Placed:
        try:
            new = mapping.booking_body(reference, body)
        except ValueError as error:
            raise Problem(
                Fault.VENDOR_REJECTED, f"{self._instance} knows people and projects by number."
            ) from error
        async with self._turn(f"tasks:{reference}"):
            found = await self._marked("tasks", reference)
            return found or await self._create("tasks", new)

    async def release_booking(self, id: str) -> None:
        if not id.isdecimal():
            return
        reply = await self._door.send("DELETE", f"{feeds.API}/tasks/{id}", safe=True)
        if reply.status != 404:
            feeds.refuse(self._instance, reply)

    async def _marked(self, name: str, reference: str) -> Placed | None:
        """Float cannot search notes, so the whole list is read: strong, and not cheap."""
        for row in await self._lists.whole(name, bulk=False):
            texts = [*(row.record.get("tags") or ()), row.record.get("notes") or ""]
            if mapping.ours(*texts) == reference:
                id = str(row.record[feeds.KEYS[name]])
                return Placed(ref=Ref(self._instance, id), created=False)
        return None

    async def _create(self, name: str, body: dict[str, object]) -> Placed:
        reply = await self._door.send(
            "POST",
            f"{feeds.API}/{name}",
            body=_JSON.encode(body),
            headers={"content-type": "application/json"},
        )
        feeds.refuse(self._instance, reply)
        id = str(reply.json(dict[str, object])[feeds.KEYS[name]])
        return Placed(ref=Ref(self._instance, id), created=True)

    def _turn(self, key: str) -> asyncio.Lock:
        """One look and create at a time, else two would both find nothing."""
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock


CONNECTOR = Connector(
    vendor="float", provides={"scheduling": Scheduling}, settings=Settings, open=Float
)
