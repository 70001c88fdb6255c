"""One turn of evaluation: claim, judge, book, queue, tell; all of it in the caller's transaction.

A crash at any point leaves the batch in the inbox as if nothing had begun. The order of locks is
the tier's (README.md): inbox, people, ledger and invoices, event log, counters.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import Finding
from contracts.ids import uuid7
from contracts.money import Money
from contracts.ports.process.time_entries import BillingState
from process_apis import bulk, events, work_items
from process_apis.billing.telling import Telling
from process_apis.events import Fact
from process_apis.intake import book as booking
from process_apis.intake import claim
from process_apis.intake.billed import after_billing, stands, warnings
from process_apis.intake.book import Booking
from process_apis.intake.claim import Case, Claimed
from process_apis.intake.judge import judge
from process_apis.journeys.approved_time_to_invoice.rules import (
    Outcome,
    Snapshot,
    accept,
    version_conflict,
)
from process_apis.journeys.approved_time_to_invoice.rules.case import finding
from process_apis.tables import entry_version, inbox, time_entry
from process_apis.work_items import Change, Subject

STATES: dict[str, BillingState] = {
    "NONE": "WITHDRAWN", "EXCEPTION": "EXCEPTION", "HELD": "HELD",
    "NON_BILLABLE": "NON_BILLABLE", "READY": "READY",
}  # fmt: skip


def state_of(outcome: Outcome, entry: TimeEntry) -> BillingState:
    """NONE means not judged: time that still waits for its approval, or was withdrawn."""
    if outcome.billing_state == "NONE" and entry.status in ("DRAFT", "SUBMITTED"):
        return "WITHDRAWN" if entry.deleted else "RECEIVED"
    return STATES[outcome.billing_state]


_INSERTED = (
    "entry_id", "source_version", "content_hash", "payload", "billing_state", "contract",
    "project", "resource", "work_date", "minutes", "amount_minor", "currency", "received_at",
    "evaluated_at", "snapshot_version", "redrive",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode
Recalculate = Callable[[Connection, Sequence[str], Snapshot, datetime, Telling], None]


class Evaluated(Struct, frozen=True):
    """Data of `time_entry.evaluated`: where the entry stands now. approved_at: by its approver."""

    entry_id: str
    source_version: int
    billing_state: str
    work_date: date
    resource: str
    project: str
    contract: str
    client: str
    minutes: int
    amount: Money | None
    exceptions: tuple[str, ...]
    approved_at: datetime | None
    received_at: datetime
    evaluated_at: datetime


class Turn(Struct, frozen=True):
    """What a turn did. settled: inbox rows. judged: entries. events: facts written."""

    settled: int
    judged: int
    events: int


def turn(
    connection: Connection,
    snapshot: Snapshot,
    *,
    source: str,
    at: datetime,
    limit: int,
    recalculate: Recalculate,
) -> Turn:
    """Judge at most `limit` inbox rows and as many entries again. source: of our events.

    recalculate: sums drafts anew that lost rows, and tells what came of them.
    """
    with bulk.uncollected():
        return _turn(connection, snapshot, source, at, limit, recalculate)


def _turn(
    connection: Connection,
    snapshot: Snapshot,
    source: str,
    at: datetime,
    limit: int,
    recalculate: Recalculate,
) -> Turn:
    claimed = claim.claim(
        connection, limit, accept=accept, person=lambda e: snapshot.person(e.resource)
    )
    if not claimed.cases and not claimed.seqs:
        return Turn(0, 0, 0)
    outcomes = judge(connection, claimed, snapshot, at.date())
    return _Writing(connection, claimed, outcomes, source, at, snapshot).done(recalculate)


class _Writing:
    """The writes of one turn, gathered case by case and sent table by table."""

    def __init__(
        self,
        connection: Connection,
        claimed: Claimed,
        outcomes: dict[str, Outcome],
        source: str,
        at: datetime,
        snapshot: Snapshot,
    ) -> None:
        self.connection, self.claimed, self.outcomes = connection, claimed, outcomes
        self.at, self.snapshot = at, snapshot
        self.snapshot_version = int(snapshot.version or 0)
        self.form = bulk.form(connection)
        self.stamp = self.form.instant(at)
        self.id = uuid7(at)
        self.books = booking.books(connection, claimed.cases.values())
        self.booking = Booking(new=[], reversed=[], restated=[], pulled=[])
        self.inserted: list[tuple[Any, ...]] = []
        self.updated: list[tuple[Any, ...]] = []
        self.history: list[Case] = []
        self.deferred: list[int] = []
        self.changes: list[Change] = []
        self.facts: list[Fact] = []
        self.telling = Telling(source)

    def done(self, recalculate: Recalculate) -> Turn:
        stored = [case.entry_id for case in self.claimed.cases.values() if case.stored is not None]
        live = work_items.live_of(self.connection, "time_entry", stored)
        for case in self.claimed.cases.values():
            self._case(case, self.outcomes[case.entry_id], live.get(case.entry_id, ()))
        self._conflicts()
        self._entries()
        drafts = booking.pull(self.connection, self.booking.pulled)
        self._ledger()
        if drafts:
            recalculate(self.connection, drafts, self.snapshot, self.at, self.telling)
        self._inbox()
        queue = work_items.settle(self.connection, self.changes, self.at)
        self.telling.tell([*self.facts, *queue])
        told = self.telling.done(self.connection)
        return Turn(len(self.claimed.seqs), len(self.claimed.cases), told)

    def _case(self, case: Case, outcome: Outcome, live: Sequence[Any]) -> None:
        book = self.books.get(case.entry_id)
        findings: Sequence[Finding] = outcome.findings
        if book is not None and book.standing == "IN_FLIGHT" and case.fresh:
            self._defer(case, live)
            return
        if book is not None and (
            book.standing in ("IN_FLIGHT", "BILLED")
            or (book.standing == "ON_DRAFT" and not case.fresh)
        ):
            state = stands(book)
            findings = after_billing(case, outcome, book) if case.fresh else warnings(findings)
        else:
            state = state_of(outcome, case.entry)
            booking.plan(outcome, book, self.booking)
        self._entry(case, outcome, state)
        self._told(case, outcome, state, findings)
        if findings or live:
            subject = Subject("time_entry", case.entry_id, case.version)
            self.changes.append(Change(subject, findings, outcome.amount_at_risk, live))

    def _defer(self, case: Case, live: Sequence[Any]) -> None:
        """The invoice is on its way: the new version waits in the inbox (domain.md B.6, 3)."""
        self.deferred.extend(case.seqs)
        wait = finding("CORRECTION_PENDING_POST", f"time_entry:{case.entry_id}")
        already = any(row.code == wait.code and row.subject_version == case.version for row in live)
        if not already:
            subject = Subject("time_entry", case.entry_id, case.version)
            self.changes.append(Change(subject, [wait], None))

    def _entry(self, case: Case, outcome: Outcome, state: str) -> None:
        amount = outcome.amount
        entry = case.entry
        values = (
            case.version, case.hash, case.payload, state, outcome.contract, outcome.project,
            case.person, self.form.day(entry.work_date), entry.minutes,
            None if amount is None else amount.minor, "" if amount is None else amount.currency,
            self.form.instant(case.received_at), self.stamp, self.snapshot_version, False,
        )  # fmt: skip
        if case.stored is None:
            self.inserted.append((case.entry_id, *values))
        else:
            self.updated.append((*values, case.entry_id))
            if case.fresh:
                self.history.append(case)
            self.telling.count(f"entries:{case.stored.billing_state}", -1)
        self.telling.count(f"entries:{state}", 1)

    def _told(self, case: Case, outcome: Outcome, state: str, findings: Sequence[Finding]) -> None:
        stored, amount = case.stored, outcome.amount
        if stored is not None and not case.fresh:
            minor = None if amount is None else amount.minor
            if (stored.billing_state, stored.amount_minor) == (state, minor):
                return
        entry = case.entry
        data = Evaluated(
            case.entry_id, case.version, state, entry.work_date, outcome.resource or case.person,
            outcome.project, outcome.contract, outcome.client, entry.minutes, amount,
            tuple(f.code for f in findings),
            None if entry.approval is None else entry.approval.decided_at,
            case.received_at, self.at,
        )  # fmt: skip
        self.facts.append(
            Fact(
                f"{self.id}-{len(self.facts)}",
                "firmwire.time_entry.evaluated.v1",
                case.entry_id,
                self.at,
                _encode(data),
                outcome.partition,
            )
        )

    def _conflicts(self) -> None:
        """The stored version again with other content: an item, and nothing is taken."""
        claimed = self.claimed
        self.telling.count("intake:stale", claimed.stale)
        self.telling.count("intake:duplicates", claimed.duplicates)
        self.telling.count("intake:conflicts", len(claimed.conflicts))
        if not claimed.conflicts:
            return
        ids = {entry_id for entry_id, *_ in claimed.conflicts}
        live = work_items.live_of(self.connection, "time_entry", ids)
        opened = []
        for entry_id, version, held, came in dict.fromkeys(claimed.conflicts):
            found = version_conflict(entry_id, version, held, came)
            taken = {(row.subject_version, row.code) for row in live.get(entry_id, ())}
            if (version, found.code) not in taken:
                subject = Subject("time_entry", entry_id, version)
                opened.append(work_items.new_item(subject, found, None, self.at))
        unique = {item.subject_id: item for item in opened}
        self.facts.extend(work_items.open_items(self.connection, list(unique.values())))

    def _entries(self) -> None:
        ids = [case.entry_id for case in self.history]
        if ids:
            claim.keep_history(self.connection, ids, self.at)
        overtaken = [
            (case.entry_id, version, digest, payload, self.form.instant(received), self.stamp)
            for case in self.claimed.cases.values()
            if case.history
            for version, digest, payload, received in case.history
        ]
        names = [column.name for column in entry_version.columns]
        bulk.insert(self.connection, entry_version, names, overtaken)
        bulk.insert(self.connection, time_entry, _INSERTED, self.inserted)
        bulk.update(self.connection, time_entry, "entry_id", _INSERTED[1:], self.updated)
        if ids:
            work_items.redrive(self.connection, [f"time_entry:{entry_id}" for entry_id in ids])

    def _ledger(self) -> None:
        plan = self.booking
        ids = bulk.ids(self.at, len(plan.new) + len(plan.reversed))
        booking.write(self.connection, plan, ids, self.stamp)
        for row in plan.reversed:
            reversal = {"reversed": row, "cause": "CORRECTION"}
            self.facts.append(
                events.fact(
                    f"bt:{row.id}:reversed",
                    "bt.reversed",
                    row.id,
                    self.at,
                    reversal,
                    partitionkey=row.source_id,
                )
            )

    def _inbox(self) -> None:
        waits = set(self.deferred)
        settled = [seq for seq in self.claimed.seqs if seq not in waits]
        _set_inbox(self.connection, settled, "DONE", empty=True)
        _set_inbox(self.connection, self.deferred, "DEFERRED", empty=False)


def _set_inbox(connection: Connection, seqs: Sequence[int], state: str, *, empty: bool) -> None:
    if seqs:
        values: dict[str, Any] = {"state": state}
        if empty:
            values["payload"] = b""
        connection.execute(
            inbox.update().where(bulk.among(connection, inbox.c.seq, seqs)).values(**values)
        )
