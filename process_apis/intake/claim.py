"""Claim a micro-batch: what waits in the inbox, and entries that are to be judged again.

Of several versions of one entry in a batch only the newest is judged; the others become history.
Several workers may claim at once on PostgreSQL: rows are skipped when locked, and people are
locked in sorted order, so that two turns never judge the same person's day side by side.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select, text

from contracts.entities.time_entry import TimeEntry
from process_apis import bulk
from process_apis.records import entry_of
from process_apis.tables import entry_version, inbox, time_entry

Accept = Callable[[int | None, str | None, int, str], str]
_PEOPLE = 0x70656F70  # the lock class of people
_LOCK = text(
    "SELECT pg_advisory_xact_lock(:class, hash) FROM "
    "(SELECT DISTINCT hashtext(person) AS hash FROM unnest(CAST(:people AS text[])) AS person "
    "ORDER BY 1) AS sorted"
)


class Case(Struct):
    """One entry in a turn. stored: its row before. fresh: a new version has come.

    history: versions of this batch that were overtaken in it, (version, hash, payload, received).
    """

    entry_id: str
    entry: TimeEntry
    version: int
    hash: bytes
    payload: bytes
    received_at: datetime
    person: str
    stored: Row[Any] | None
    fresh: bool
    seqs: list[int]
    history: list[tuple[int, bytes, bytes, datetime]]


class Claimed(Struct):
    """cases: to be judged. seqs: inbox rows that are settled by this turn, whatever comes of it.

    conflicts: same version, other content: (entry id, version, hash before, hash now).
    """

    cases: dict[str, Case]
    seqs: list[int]
    conflicts: list[tuple[str, int, str, str]]
    stale: int = 0
    duplicates: int = 0


def claim(
    connection: Connection,
    limit: int,
    *,
    accept: Accept,
    person: Callable[[TimeEntry], str],
) -> Claimed:
    """At most `limit` inbox rows and as many entries to judge again."""
    waiting = _waiting(connection, limit)
    again = _redriven(connection, limit)
    arrived = [(row, entry_of(row.payload)) for row in waiting]
    people = {person(entry) for _, entry in arrived} | {row.resource for row in again}
    if not arrived and not again:
        return Claimed(cases={}, seqs=[], conflicts=[])
    lock_people(connection, people)
    stored = load(connection, {row.entry_id for row in waiting} | {row.entry_id for row in again})
    claimed = Claimed(cases={}, seqs=[row.seq for row in waiting], conflicts=[])
    for row in again:
        again_row = stored[row.entry_id]
        if again_row.redrive:
            claimed.cases[row.entry_id] = case_of(again_row, person)
    for row, entry in arrived:
        _fold(claimed, row, entry, stored.get(row.entry_id), accept, person)
    return claimed


def load(connection: Connection, entry_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Stored entries by id."""
    query = select(time_entry).where(bulk.among(connection, time_entry.c.entry_id, entry_ids))
    return {row.entry_id: row for row in connection.execute(query)}


def case_of(row: Row[Any], person: Callable[[TimeEntry], str]) -> Case:
    """A stored entry that is judged again as it is."""
    entry = entry_of(row.payload)
    return Case(
        entry_id=row.entry_id,
        entry=entry,
        version=row.source_version,
        hash=bytes(row.content_hash),
        payload=row.payload,
        received_at=row.received_at,
        person=person(entry),
        stored=row,
        fresh=False,
        seqs=[],
        history=[],
    )


def lock_people(connection: Connection, people: Iterable[str]) -> None:
    """Until the end of the transaction, in one order for all workers. SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"class": _PEOPLE, "people": sorted(people)})


def days(connection: Connection, pairs: Sequence[tuple[str, date]]) -> list[Row[Any]]:
    """Stored live entries of (person, day) pairs."""
    if not pairs:
        return []
    if connection.dialect.name == "sqlite":
        listed = msgspec.json.encode(pairs).decode()
        sql = (
            "SELECT t.* FROM json_each(:pairs) AS p CROSS JOIN time_entry AS t "
            "ON t.resource = p.value ->> 0 AND t.work_date = p.value ->> 1 "
            "WHERE t.billing_state <> 'WITHDRAWN'"
        )
        query = text(sql).columns(*time_entry.columns)
        return list(connection.execute(query, {"pairs": listed}).all())
    sql = (
        "SELECT t.* FROM unnest(CAST(:people AS text[]), CAST(:days AS date[])) AS p (person, day) "
        "JOIN time_entry AS t ON t.resource = p.person AND t.work_date = p.day "
        "WHERE t.billing_state <> 'WITHDRAWN'"
    )
    query = text(sql).columns(*time_entry.columns)
    people, dates = [person for person, _ in pairs], [day for _, day in pairs]
    return list(connection.execute(query, {"people": people, "days": dates}).all())


def keep_history(connection: Connection, entry_ids: Sequence[str], at: datetime) -> None:
    """Copy stored versions aside before they are overwritten."""
    where = bulk.among(connection, time_entry.c.entry_id, entry_ids)
    picked = (
        time_entry.select()
        .with_only_columns(
            time_entry.c.entry_id, time_entry.c.source_version, time_entry.c.content_hash,
            time_entry.c.payload, time_entry.c.received_at,
        )
        .where(where)
    )  # fmt: skip
    rows = [
        (r.entry_id, r.source_version, bytes(r.content_hash), r.payload,
         bulk.form(connection).instant(r.received_at), bulk.form(connection).instant(at))
        for r in connection.execute(picked)
    ]  # fmt: skip
    bulk.insert(connection, entry_version, [column.name for column in entry_version.columns], rows)


def _waiting(connection: Connection, limit: int) -> Sequence[Any]:
    query = (
        select(
            inbox.c.seq, inbox.c.entry_id, inbox.c.source_version, inbox.c.content_hash,
            inbox.c.payload, inbox.c.received_at,
        )
        .where(inbox.c.state == "WAITING")
        .order_by(inbox.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    return connection.execute(query).all()


def _redriven(connection: Connection, limit: int) -> Sequence[Any]:
    query = (
        select(time_entry.c.entry_id, time_entry.c.resource)
        .where(time_entry.c.redrive)
        .order_by(time_entry.c.entry_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def _fold(
    claimed: Claimed,
    row: Row[Any],
    entry: TimeEntry,
    stored: Row[Any] | None,
    accept: Accept,
    person: Callable[[TimeEntry], str],
) -> None:
    before = claimed.cases.get(row.entry_id)
    digest = bytes(row.content_hash)
    if before is not None:
        verdict = accept(before.version, before.hash.hex(), row.source_version, digest.hex())
    elif stored is not None:
        kept = bytes(stored.content_hash).hex()
        verdict = accept(stored.source_version, kept, row.source_version, digest.hex())
    else:
        verdict = "ACCEPT"
    if verdict == "STALE":
        claimed.stale += 1
    elif verdict == "DUPLICATE":
        claimed.duplicates += 1
    elif verdict == "CONFLICT":
        held = before.hash if before is not None else bytes(stored.content_hash if stored else b"")
        claimed.conflicts.append((row.entry_id, row.source_version, held.hex(), digest.hex()))
    else:
        history, seqs = [], [row.seq]
        if before is not None and before.fresh:
            overtaken = (before.version, before.hash, before.payload, before.received_at)
            history, seqs = [*before.history, overtaken], [*before.seqs, row.seq]
        claimed.cases[row.entry_id] = Case(
            entry_id=row.entry_id,
            entry=entry,
            version=row.source_version,
            hash=digest,
            payload=row.payload,
            received_at=row.received_at,
            person=person(entry),
            stored=stored,
            fresh=True,
            seqs=seqs,
            history=history,
        )
