"""Implement the Exceptions port: whose desk, how much, and what people did; every act audited."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update

from chassis import clock, travel
from chassis.database import Database
from contracts.entities.work_item import WorkItem
from contracts.paging import Page
from contracts.ports.process.exceptions import Claim, Group, Resolution, Waiver
from contracts.problem import Fault, FieldError, Problem
from process_apis import audit, events
from process_apis.desk import groups
from process_apis.intake.worker import ask_again
from process_apis.pages import by_id
from process_apis.records import work_item_of
from process_apis.tables import LIVE_ITEM_STATES, work_item
from process_apis.work_items import forget_keys, item_fact

RESOLUTIONS = ("DATA_FIX", "CORRECTION", "WRITE_OFF")
REASON_MIN = 10
WAIVER_MAX_DAYS = 366


class ExceptionsPort:
    """The queue as people see it. redriven: called when entries must be judged again."""

    def __init__(self, database: Database, *, source: str, redriven: Callable[[], None]) -> None:
        self._database, self._source, self._redriven = database, source, redriven

    async def items(
        self,
        owner: str | None = None,
        code: str | None = None,
        state: str | None = None,
        severity: str | None = None,
        group_key: str | None = None,
        subject_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[WorkItem]:
        wanted = {
            "owner": owner, "code": code, "severity": severity, "group_key": group_key,
            "subject_id": subject_id,
        }  # fmt: skip
        return await self._database.read(lambda c: _page(c, wanted, state, cursor, limit))

    async def groups(self, owner: str | None = None) -> tuple[Group, ...]:
        return await self._database.read(lambda c: groups(c, owner))

    async def item(self, id: str) -> WorkItem | None:
        def look(connection: Connection) -> WorkItem | None:
            row = connection.execute(select(work_item).where(work_item.c.id == id)).first()
            return None if row is None else work_item_of(row)

        return await self._database.read(look)

    async def claim(self, id: str, body: Claim, idempotency_key: str = "") -> WorkItem:
        if not body.assignee:
            raise _wrong("assignee", "is empty")
        return await self._change(
            id, "exception.assigned", {"state": "ASSIGNED", "assignee": body.assignee}
        )

    async def resolve(self, id: str, body: Resolution, idempotency_key: str = "") -> WorkItem:
        if body.resolution not in RESOLUTIONS:
            raise _wrong("resolution", f"is none of {', '.join(RESOLUTIONS)}")
        if not body.reason.strip():
            raise _wrong("reason", "is empty")
        state = "WRITTEN_OFF" if body.resolution == "WRITE_OFF" else "RESOLVED"
        values = {"state": state, "resolution": body.resolution, "reason": body.reason}
        return await self._change(id, "exception.resolved", values)

    async def waive(self, id: str, body: Waiver, idempotency_key: str = "") -> WorkItem:
        if len(body.reason.strip()) < REASON_MIN:
            raise _wrong("reason", f"is shorter than {REASON_MIN} characters")
        values = {
            "state": "WAIVED", "resolution": "WAIVER", "reason": body.reason,
            "waived_until": _held_until(body.last_day),
        }  # fmt: skip
        return await self._change(id, "exception.resolved", values)

    async def _change(self, id: str, event: str, values: dict[str, Any]) -> WorkItem:
        caller = travel.caller()
        who = caller.actor or caller.subject
        item = await self._database.write(lambda c: self._changed(c, id, event, values, who))
        events.wake()
        self._redriven()
        return item

    def _changed(
        self, connection: Connection, id: str, event: str, values: dict[str, Any], who: str
    ) -> WorkItem:
        row = _live(connection, id)
        if values["state"] == "WAIVED" and row.severity == "BLOCK":
            raise Problem(Fault.CONFLICT, f"{row.code} blocks; it cannot be waived, only mended.")
        at = clock.now()
        closes = values["state"] not in LIVE_ITEM_STATES
        written = values | ({"resolved_at": at, "resolved_by": who} if closes else {})
        connection.execute(update(work_item).where(work_item.c.id == id).values(**written))
        changed = work_item_of(
            connection.execute(select(work_item).where(work_item.c.id == id)).one()
        )
        if closes:
            forget_keys(connection, [id])
            if row.subject_type == "time_entry":
                ask_again(connection, [row.subject_id])
        audit.append(
            connection, actor=who, action=f"work_item.{values['state'].lower()}", subject=id,
            reason=values.get("reason", ""),
            detail={"code": row.code, "subject": row.subject_id, "before": row.state,
                    "after": msgspec.to_builtins(values)},
        )  # fmt: skip
        events.append(connection, self._source, [item_fact(event, changed, at)])
        return changed


def _live(connection: Connection, id: str) -> Row[Any]:
    query = select(work_item).where(work_item.c.id == id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise Problem(Fault.NOT_FOUND, f"There is no work item {id}.")
    if row.state not in LIVE_ITEM_STATES:
        raise Problem(Fault.CONFLICT, f"The item is {row.state.lower().replace('_', ' ')} already.")
    return row


def _held_until(day: date) -> date:
    today = clock.now().date()
    if not today <= day <= today + timedelta(days=WAIVER_MAX_DAYS):
        raise _wrong("last_day", "lies in the past, or more than a year ahead")
    return day


def _wrong(field: str, reason: str) -> Problem:
    error = FieldError(f"/{field}", reason, "Correct it.")
    return Problem(Fault.INVALID, f"{field} {reason}.", errors=(error,))


def _page(
    connection: Connection,
    wanted: dict[str, str | None],
    state: str | None,
    cursor: str | None,
    limit: int,
) -> Page[WorkItem]:
    """Ids grow with time, so the oldest come first."""
    query = select(work_item)
    if state is None:
        query = query.where(work_item.c.state.in_(LIVE_ITEM_STATES))
    elif state != "ALL":
        query = query.where(work_item.c.state == state)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(work_item.c[name] == value)
    rows, after = by_id(connection, query, work_item.c.id, cursor, limit)
    return Page(tuple(work_item_of(row) for row in rows), after, after is not None)
