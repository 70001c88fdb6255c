"""Judge a claimed batch by the pure rules, each entry among the others of its person's day.

Entries of the same day that did not arrive themselves are judged again when the day as a whole
has become, or has stopped being, what is wrong with them.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from contracts.entities.time_entry import TimeEntry
from process_apis import bulk
from process_apis.intake import claim, hours
from process_apis.intake.claim import Case, Claimed
from process_apis.journeys.approved_time_to_invoice.rules import (
    Outcome,
    Peer,
    Snapshot,
    case_of,
    evaluate,
    peer_of,
)
from process_apis.records import entry_of
from process_apis.tables import work_item

DAY_CODES = frozenset({"DAY_OVER_24H", "DUPLICATE_ENTRY"})
_BY_HAND = ("DATA_FIX", "CORRECTION")
_SETTLED = ("BILLED", "ON_DRAFT")
Day = tuple[str, date]


def judge(
    connection: Connection, claimed: Claimed, snapshot: Snapshot, today: date
) -> dict[str, Outcome]:
    """Outcomes by entry id. Neighbours that must be judged again join `claimed.cases`."""
    cases = claimed.cases
    changed = {day for case in cases.values() for day in _days_of(case)}
    neighbours = _neighbours(connection, changed, cases)
    peers = _peers(cases.values(), neighbours, snapshot)
    outcomes = _judged(connection, cases.values(), cases.values(), peers, snapshot, today)
    joined = _joining(cases, outcomes, neighbours, lambda entry: snapshot.person(entry.resource))
    if joined:
        cases.update((case.entry_id, case) for case in joined)
        outcomes |= _judged(connection, joined, cases.values(), peers, snapshot, today)
    return outcomes


def _days_of(case: Case) -> list[Day]:
    """The day it lies on now, and the day it lay on before."""
    days = [(case.person, case.entry.work_date)]
    stored = case.stored
    if stored is not None and stored.work_date is not None:
        before = (stored.resource, stored.work_date)
        if before != days[0]:
            days.append(before)
    return days


def _neighbours(
    connection: Connection, days: Iterable[Day], cases: Mapping[str, Case]
) -> dict[Day, list[Row[Any]]]:
    """Stored live entries of these days that are not in the batch themselves."""
    found: dict[Day, list[Row[Any]]] = {}
    for row in claim.days(connection, sorted(days)):
        if row.entry_id not in cases:
            found.setdefault((row.resource, row.work_date), []).append(row)
    return found


def _peers(
    cases: Iterable[Case], neighbours: Mapping[Day, list[Row[Any]]], snapshot: Snapshot
) -> dict[Day, list[Peer]]:
    """Only of days with more than one entry: an entry alone has nobody to be compared with."""
    live: dict[Day, list[TimeEntry]] = {}
    for case in cases:
        if hours.live(case.entry):
            live.setdefault((case.person, case.entry.work_date), []).append(case.entry)
    by_day = {
        day: [peer_of(entry, snapshot) for entry in entries]
        for day, entries in live.items()
        if len(entries) > 1 or day in neighbours
    }
    for day, rows in neighbours.items():
        for row in rows:
            peer = peer_of(entry_of(row.payload), snapshot, billed=row.billing_state == "BILLED")
            by_day.setdefault(day, []).append(peer)
    return by_day


def _judged(
    connection: Connection,
    wanted: Iterable[Case],
    batch: Iterable[Case],
    peers: Mapping[Day, list[Peer]],
    snapshot: Snapshot,
    today: date,
) -> dict[str, Outcome]:
    """Outcomes of the wanted. batch: all whose hours change with this turn."""
    listed = list(wanted)
    known = {case.entry_id: case_of(case.entry, snapshot) for case in batch}
    worked = [hours.Worked(c.entry, c.person, c.stored, known[c.entry_id]) for c in batch]
    minutes = hours.others(connection, worked)
    waived = _waived(connection, [case for case in listed if case.stored is not None], today)
    nothing: frozenset[str] = frozenset()
    return {
        case.entry_id: evaluate(
            case.entry,
            snapshot,
            peers=peers.get((case.person, case.entry.work_date), ()),
            today=today,
            worked_minutes=minutes.get(case.entry_id),
            waived=waived.get((case.entry_id, case.version), nothing),
            case=known[case.entry_id],
        )
        for case in listed
    }


def _waived(
    connection: Connection, cases: list[Case], today: date
) -> dict[tuple[str, int], frozenset[str]]:
    """Codes that people let pass for a version of an entry: waived and still so, or a warning

    or a duplicate that somebody looked at and closed.
    """
    if not cases:
        return {}
    query = select(work_item.c.subject_id, work_item.c.subject_version, work_item.c.code).where(
        bulk.among(connection, work_item.c.subject_id, [case.entry_id for case in cases]),
        work_item.c.subject_type == "time_entry",
        or_(
            and_(work_item.c.state == "WAIVED", work_item.c.waived_until >= today),
            and_(work_item.c.resolution.in_(_BY_HAND), _may_stand()),
        ),
    )
    found: dict[tuple[str, int], frozenset[str]] = {}
    for subject, version, code in connection.execute(query):
        key = (subject, version)
        found[key] = found.get(key, frozenset()) | {code}
    return found


def _may_stand() -> ColumnElement[bool]:
    return or_(work_item.c.severity == "WARN", work_item.c.code == "DUPLICATE_ENTRY")


def _joining(
    cases: Mapping[str, Case],
    outcomes: Mapping[str, Outcome],
    neighbours: Mapping[Day, list[Row[Any]]],
    person: Callable[[TimeEntry], str],
) -> list[Case]:
    """Neighbours to judge again: the day is wrong now, or a correction may have mended it."""
    if not neighbours:
        return []
    wrong: set[Day] = set()
    corrected: set[Day] = set()
    for case in cases.values():
        if any(f.code in DAY_CODES for f in outcomes[case.entry_id].findings):
            wrong.add((case.person, case.entry.work_date))
        if case.stored is not None and case.fresh:
            corrected.update(_days_of(case))
    return [
        claim.case_of(row, person)
        for day, rows in neighbours.items()
        for row in rows
        if row.billing_state not in _SETTLED
        and (day in wrong or (day in corrected and row.billing_state == "EXCEPTION"))
    ]
