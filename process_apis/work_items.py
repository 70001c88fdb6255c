"""Open, renew and close work items in bulk, so that one mended cause closes its whole group.

At most one live item per (subject, version, code): the table's partial unique index holds it.
Source  domain.md B.5 (exception), C.2 (queue mechanics).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, bindparam, select, update

from contracts.catalogue import CATALOGUE
from contracts.entities.work_item import Finding, WorkItem
from contracts.ids import uuid7
from contracts.money import Money
from process_apis import bulk
from process_apis.events import Fact, fact
from process_apis.records import work_item_of
from process_apis.tables import LIVE_ITEM_STATES, time_entry, unblock_key, work_item

_COLUMNS = (
    "id", "code", "severity", "owner", "state", "stage", "subject_type", "subject_id",
    "subject_version", "group_key", "root", "hint", "context", "unblock_keys", "at_risk_minor",
    "at_risk_currency", "opened_at", "due_at",
)  # fmt: skip
# Only people, or a new version, close these: no evaluation finds them again.
_STANDING = frozenset({
    "SRC_VERSION_CONFLICT", "SCHEMA_INVALID", "OWNERSHIP_VIOLATION", "CORRECTION_AFTER_BILLING",
})  # fmt: skip
_encode = msgspec.json.Encoder(order="deterministic").encode


class Subject(Struct, frozen=True):
    """What an item is about. type: time_entry, invoice, system or deal."""

    type: str
    id: str
    version: int


class Change(Struct):
    """The wanted findings of one subject against its live rows. conflict-free by construction."""

    subject: Subject
    findings: Sequence[Finding]
    at_risk: Money | None
    live: Sequence[Row[Any]] = ()


def live_of(
    connection: Connection, subject_type: str, ids: Iterable[str]
) -> dict[str, list[Row[Any]]]:
    """Live items of many subjects, by subject id."""
    found: dict[str, list[Row[Any]]] = {}
    wanted = list(ids)
    if not wanted:
        return found
    asked = {"of": bulk.params(connection, wanted), "type": subject_type}
    for row in connection.execute(_live(bulk.plain(connection)), asked):
        found.setdefault(row.subject_id, []).append(row)
    return found


@cache
def _live(sqlite: bool) -> Select[Any]:
    return select(work_item).where(
        bulk.within(sqlite, work_item.c.subject_id, "of"),
        work_item.c.subject_type == bindparam("type"),
        work_item.c.state.in_(LIVE_ITEM_STATES),
    )


def settle(connection: Connection, changes: Sequence[Change], at: datetime) -> list[Fact]:
    """Make the live items of each subject equal to its findings; what happened, as facts.

    Items of older versions become SUPERSEDED, those whose finding is gone RESOLVED (AUTO).
    """
    opened: list[WorkItem] = []
    closed: list[tuple[str, str, Row[Any]]] = []
    renewed: list[tuple[Row[Any], Finding, Money | None]] = []
    for change in changes:
        wanted: dict[str, Finding] = {}
        for finding in change.findings:
            wanted.setdefault(finding.code, finding)
        for row in change.live:
            if row.subject_version != change.subject.version:
                closed.append(("SUPERSEDED", "", row))
            elif row.code in wanted:
                renewed.append((row, wanted.pop(row.code), change.at_risk))
            elif row.code not in _STANDING:
                closed.append(("RESOLVED", "AUTO", row))
        opened.extend(
            new_item(change.subject, finding, change.at_risk, at) for finding in wanted.values()
        )
    facts = _close(connection, closed, at)
    _renew(connection, renewed)
    return facts + open_items(connection, opened)


def new_item(subject: Subject, finding: Finding, at_risk: Money | None, at: datetime) -> WorkItem:
    """An item as it is opened; hours and stage come from the catalogue."""
    known = CATALOGUE[finding.code]
    return WorkItem(
        id=uuid7(at),
        code=finding.code,
        severity=finding.severity,
        owner=finding.owner,
        state="OPEN",
        stage=known.stage,
        subject_type=subject.type,
        subject_id=subject.id,
        subject_version=subject.version,
        group_key=finding.group_key,
        root=finding.root,
        unblock_keys=finding.unblock_keys,
        hint=finding.hint or known.hint,
        context=finding.context,
        amount_at_risk=at_risk,
        assignee="",
        attempts=1,
        opened_at=at,
        due_at=at + timedelta(hours=known.sla_hours),
    )


def open_items(connection: Connection, items: Sequence[WorkItem]) -> list[Fact]:
    """Write items that no live item stands in the way of (an IntegrityError otherwise)."""
    instant = bulk.form(connection).instant
    rows = [
        (i.id, i.code, i.severity, i.owner, i.state, i.stage, i.subject_type, i.subject_id,
         i.subject_version, i.group_key, i.root, i.hint, _encode(i.context),
         _encode(i.unblock_keys), i.amount_at_risk.minor if i.amount_at_risk else None,
         i.amount_at_risk.currency if i.amount_at_risk else "", instant(i.opened_at),
         instant(i.due_at))
        for i in items
    ]  # fmt: skip
    bulk.insert(connection, work_item, _COLUMNS, rows)
    keys = [(key, item.id) for item in items for key in dict.fromkeys(item.unblock_keys)]
    bulk.insert(connection, unblock_key, ("key", "work_item_id"), keys)
    return [item_fact("exception.opened", item, item.opened_at) for item in items]


def item_fact(type: str, item: WorkItem, at: datetime) -> Fact:
    """The item as an event. Its id holds the moment, so that one item may be assigned twice."""
    return fact(
        f"work_item:{item.id}:{type}:{item.attempts}:{at.timestamp():.6f}",
        type,
        item.id,
        at,
        item,
        partitionkey=item.subject_id,
    )


def redrive(connection: Connection, keys: Iterable[str]) -> int:
    """Ask for another evaluation of every entry a live item blocks on one of these keys."""
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return 0
    blocked = (
        select(work_item.c.subject_id)
        .join(unblock_key, unblock_key.c.work_item_id == work_item.c.id)
        .where(
            bulk.among(connection, unblock_key.c.key, wanted),
            work_item.c.state.in_(LIVE_ITEM_STATES),
            work_item.c.subject_type == "time_entry",
        )
    )
    return connection.execute(
        update(time_entry)
        .where(time_entry.c.entry_id.in_(blocked), ~time_entry.c.redrive)
        .values(redrive=True)
    ).rowcount


def _close(
    connection: Connection, closed: Sequence[tuple[str, str, Row[Any]]], at: datetime
) -> list[Fact]:
    instant = bulk.form(connection).instant(at)
    bulk.update(
        connection,
        work_item,
        "id",
        ("state", "resolution", "resolved_at"),
        [(state, resolution, instant, row.id) for state, resolution, row in closed],
    )
    forget_keys(connection, [row.id for _, _, row in closed])
    return [
        item_fact(
            "exception.resolved",
            msgspec.structs.replace(
                work_item_of(row), state=state, resolution=resolution, resolved_at=at
            ),
            at,
        )
        for state, resolution, row in closed
    ]


def _renew(
    connection: Connection, renewed: Sequence[tuple[Row[Any], Finding, Money | None]]
) -> None:
    rows: list[tuple[Any, ...]] = []
    changed: list[str] = []
    keys: list[tuple[str, str]] = []
    for row, finding, risk in renewed:
        listed = _encode(finding.unblock_keys)
        rows.append(
            (row.attempts + 1, finding.group_key, finding.root, _encode(finding.context), listed,
             risk.minor if risk else None, risk.currency if risk else "", finding.severity, row.id)
        )  # fmt: skip
        if listed != row.unblock_keys:
            changed.append(row.id)
            keys.extend((key, row.id) for key in dict.fromkeys(finding.unblock_keys))
    columns = (
        "attempts", "group_key", "root", "context", "unblock_keys", "at_risk_minor",
        "at_risk_currency", "severity",
    )  # fmt: skip
    bulk.update(connection, work_item, "id", columns, rows)
    forget_keys(connection, changed)
    bulk.insert(connection, unblock_key, ("key", "work_item_id"), keys)


def forget_keys(connection: Connection, item_ids: Sequence[str]) -> None:
    """Closed items wait for nothing."""
    if item_ids:
        connection.execute(
            unblock_key.delete().where(bulk.among(connection, unblock_key.c.work_item_id, item_ids))
        )
