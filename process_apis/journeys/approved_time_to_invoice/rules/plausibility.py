"""Stage 3: can these hours have been worked. Also ASSIGNMENT_HOURS_EXCEEDED of stage 4.

Fires DUPLICATE_*, MINUTES_INVALID, ENTRY_OVER_24H, DAY_OVER_*, TIME_OVERLAP, FUTURE_DATED,
ENTRY_TOO_OLD, LEAVE_CONFLICT. Today is the UTC date: a worker ahead of UTC is at most one day
on, and one day of grace is given. Every entry of an impossible day is flagged, none is picked.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from contracts.entities.party import Leave
from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import Finding
from process_apis.journeys.approved_time_to_invoice.rules.case import ONE_DAY, Case, finding
from process_apis.journeys.approved_time_to_invoice.rules.snapshot import Snapshot
from process_apis.journeys.approved_time_to_invoice.rules.verdict import Peer

DAY_MINUTES = 1440


def narrative_hash(narrative: str) -> str:
    """Of the words, whatever the case and the blanks; empty without words."""
    words = " ".join(narrative.split()).casefold()
    return hashlib.sha256(words.encode()).hexdigest()[:16] if words else ""


def peer_of(entry: TimeEntry, snapshot: Snapshot, billed: bool = False) -> Peer:
    """An entry as its neighbours see it. Keep it no longer than the snapshot's cross-references."""
    project = snapshot.resolve("project", entry.project) or str(entry.project)
    task = ""
    if entry.task is not None:
        known = snapshot.task(entry.task, project)
        task = known.code if known is not None else str(entry.task)
    return Peer(
        source_id=str(entry.ref),
        version=entry.source_version,
        project=project,
        task=task,
        minutes=entry.minutes,
        start_at=entry.start_at,
        end_at=entry.end_at,
        narrative_hash=narrative_hash(entry.narrative),
        created_at=entry.created_at,
        billed=billed,
    )


def judge(entry: TimeEntry, case: Case, peers: Sequence[Peer], today: date) -> list[Finding]:
    """Findings of stage 3."""
    found: list[Finding] = []
    root = f"time_entry:{entry.ref}"
    _minutes(entry, case, root, found)
    if entry.work_date > today + ONE_DAY:
        seen = entry.work_date.isoformat()
        found.append(finding("FUTURE_DATED", root, work_date=seen, today=today.isoformat()))
    if case.flag == "BILLABLE" and case.contract is not None:
        age, allowed = (today - entry.work_date).days, case.contract.late_time_days
        if age > allowed:
            keys = (root, f"contract:{case.contract.code}")
            found.append(finding("ENTRY_TOO_OLD", root, *keys, age_days=age, allowed=allowed))
    _leave(entry, case, found)
    _day(entry, case, peers, found)
    return found


def _minutes(entry: TimeEntry, case: Case, root: str, found: list[Finding]) -> None:
    minutes, billed = entry.minutes, entry.billable_minutes
    step = case.snapshot.policies.minutes_step.get(entry.ref.system, 1)
    wrong_cut = billed is not None and not 0 <= billed <= max(minutes, 0)
    if minutes <= 0 or minutes % step or wrong_cut:
        seen: dict[str, Any] = {"minutes": minutes, "billable_minutes": billed, "step": step}
        found.append(finding("MINUTES_INVALID", root, **seen))
    if minutes > DAY_MINUTES:
        found.append(finding("ENTRY_OVER_24H", root, minutes=minutes))


def _leave(entry: TimeEntry, case: Case, found: list[Finding]) -> None:
    if case.resource is None:
        return
    scope = f"{case.resource.code}/{entry.work_date.isoformat()}"
    for leave in case.snapshot.scoped(Leave, scope):
        if leave.full_day:
            keys = (f"leave:{leave.code}", f"leave:@{scope}")
            found.append(finding("LEAVE_CONFLICT", keys[0], *keys, kind=leave.kind))


def _day(entry: TimeEntry, case: Case, peers: Sequence[Peer], found: list[Finding]) -> None:
    own: Peer | None = None
    others: list[Peer] = []
    id, total = str(entry.ref), entry.minutes
    for peer in peers:
        if peer.source_id == id:
            own = peer
        else:
            others.append(peer)
            total += peer.minutes
    policies = case.snapshot.policies
    country = case.resource.country if case.resource is not None else ""
    limit = policies.day_limit_by_country.get(country, policies.day_limit_minutes)
    if total > DAY_MINUTES or total > limit:
        person = case.snapshot.person(entry.resource)
        root = f"day:{person}/{entry.work_date.isoformat()}"
        if total > DAY_MINUTES and others:
            entries = sorted(peer.source_id for peer in others)
            found.append(finding("DAY_OVER_24H", root, minutes=total, entries=entries))
        elif total > limit:
            found.append(finding("DAY_OVER_LIMIT", root, minutes=total, limit=limit))
    if others:
        if own is None or own.version != entry.source_version:
            own = peer_of(entry, case.snapshot)
        _neighbours(own, others, policies.duplicate_window_s, found)


def _neighbours(own: Peer, peers: list[Peer], window_s: int, found: list[Finding]) -> None:
    root = f"time_entry:{own.source_id}"
    kinds: dict[str, list[str]] = {}
    for peer in peers:
        kind = _likeness(own, peer, window_s)
        if kind:
            kinds.setdefault(kind, []).append(peer.source_id)
        elif _overlap(own, peer):
            kinds.setdefault("TIME_OVERLAP", []).append(peer.source_id)
    for code, others in sorted(kinds.items()):
        # Both halves of a pair share the root, so that they are one group.
        first = f"time_entry:{min((own.source_id, *others))}"
        keys = (root, *(f"time_entry:{other}" for other in sorted(others)))
        found.append(finding(code, first, *keys, others=sorted(others)))


def _likeness(own: Peer, peer: Peer, window_s: int) -> str:
    same = (own.project, own.task, own.minutes) == (peer.project, peer.task, peer.minutes)
    if not same:
        return ""
    if own.start_at and own.end_at and peer.start_at and peer.end_at:
        alike = (own.start_at, own.end_at) == (peer.start_at, peer.end_at)
        return "DUPLICATE_ENTRY" if alike else ""
    if own.narrative_hash and peer.narrative_hash:
        return "DUPLICATE_ENTRY" if own.narrative_hash == peer.narrative_hash else ""
    if own.created_at and peer.created_at:
        apart_s = abs((own.created_at - peer.created_at).total_seconds())
        return "DUPLICATE_SUSPECT" if apart_s < window_s else ""
    return ""


def _overlap(own: Peer, peer: Peer) -> bool:
    if not (own.start_at and own.end_at and peer.start_at and peer.end_at):
        return False
    return own.start_at < peer.end_at and peer.start_at < own.end_at


def hours_exceeded(entry: TimeEntry, case: Case, worked_minutes: int | None) -> list[Finding]:
    """More than 110 % of the assignment's planned minutes, this entry included."""
    assignment = case.assignment
    if worked_minutes is None or assignment is None or not assignment.planned_minutes:
        return []
    total, planned = worked_minutes + entry.minutes, assignment.planned_minutes
    if total * 10 <= planned * 11:
        return []
    root = f"assignment:{assignment.code}"
    return [finding("ASSIGNMENT_HOURS_EXCEEDED", root, minutes=total, planned=planned)]
