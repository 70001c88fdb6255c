"""How much others of one person and project have been worked, for assignments that plan hours.

The stored sum of each (person, project) is one walk of an index; what the batch itself changes is
added in memory. Nobody is asked about work whose assignment plans nothing.
Source  domain.md C.2 stage 4 (ASSIGNMENT_HOURS_EXCEEDED).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, text

from contracts.entities.time_entry import TimeEntry
from process_apis.journeys.approved_time_to_invoice.rules import case as rules

_SUMS_SQLITE = text(
    "SELECT t.resource, t.project, sum(t.minutes) FROM json_each(:pairs) AS p "
    "CROSS JOIN time_entry AS t ON t.resource = p.value ->> 0 AND t.project = p.value ->> 1 "
    "WHERE t.billing_state <> 'WITHDRAWN' GROUP BY 1, 2"
)
_SUMS = text(
    "SELECT t.resource, t.project, sum(t.minutes) "
    "FROM unnest(CAST(:people AS text[]), CAST(:projects AS text[])) AS p (person, project) "
    "JOIN time_entry AS t ON t.resource = p.person AND t.project = p.project "
    "WHERE t.billing_state <> 'WITHDRAWN' GROUP BY 1, 2"
)
Pair = tuple[str, str]


class Worked(NamedTuple):
    """An entry as it will be. person: its key. stored: its row until now, if any.

    case: what the rules know of its person, project and assignment.
    """

    entry: TimeEntry
    person: str
    stored: Row[Any] | None
    case: rules.Case


def live(entry: TimeEntry) -> bool:
    """Time that counts: not withdrawn, and on its way to approval or through it."""
    return not entry.deleted and entry.status in ("APPROVED", "SUBMITTED")


def others(connection: Connection, worked: Sequence[Worked]) -> dict[str, int]:
    """Minutes of the other live entries of (person, project), by entry id; planned work only."""
    planned: list[tuple[Worked, Pair]] = []
    for each in worked:
        case = each.case
        if case.assignment is not None and case.assignment.planned_minutes and case.project:
            planned.append((each, (each.person, case.project.code)))
    if not planned:
        return {}
    totals = _stored(connection, {pair for _, pair in planned})
    for each in worked:  # all of them: an entry may have left a pair it stood in before
        row = each.stored
        if row is not None and row.billing_state != "WITHDRAWN":
            before = (row.resource, row.project)
            if before in totals:
                totals[before] -= row.minutes
    for each, pair in planned:
        if live(each.entry):
            totals[pair] += each.entry.minutes
    return {
        str(each.entry.ref): totals[pair] - (each.entry.minutes if live(each.entry) else 0)
        for each, pair in planned
    }


def _stored(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, int]:
    listed = sorted(pairs)
    totals = dict.fromkeys(listed, 0)
    if connection.dialect.name == "sqlite":
        rows = connection.execute(_SUMS_SQLITE, {"pairs": msgspec.json.encode(listed).decode()})
    else:
        people, projects = [pair[0] for pair in listed], [pair[1] for pair in listed]
        rows = connection.execute(_SUMS, {"people": people, "projects": projects})
    totals.update({(person, project): int(minutes) for person, project, minutes in rows})
    return totals
