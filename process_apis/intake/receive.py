"""Take batches of time-entry events into the durable inbox, each (source, id) once.

A whole batch is decoded in one go; only when that fails, item by item, to name the bad ones.
A redelivery with the same content is dropped; with other content it goes in under a name of its
own, so that evaluation sees the version conflict.
Source  CloudEvents 1.0 (JSON batch); domain.md B.0, I.21.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection, select

from chassis import problems
from contracts.entities.time_entry import TimeEntry
from contracts.ports.process.time_entries import Refused
from contracts.problem import Fault, Problem
from process_apis import bulk
from process_apis.counters import add
from process_apis.tables import inbox, time_entry

BATCH_MAX = 5_000
TYPES = frozenset(f"firmwire.time_entry.{verb}.v1" for verb in ("approved", "changed", "withdrawn"))
_COLUMNS = (
    "source", "event_id", "entry_id", "source_version", "content_hash", "payload", "received_at",
)  # fmt: skip


class Envelope(Struct, frozen=True):
    """What we read of an incoming CloudEvent; its extensions may be anything."""

    id: str
    source: str
    type: str
    data: TimeEntry
    specversion: str = "1.0"


class Arrival(Struct, frozen=True):
    """One entry on its way into the inbox. hash: of the canonical JSON in payload."""

    source: str
    event_id: str
    entry_id: str
    version: int
    hash: bytes
    payload: bytes


_batches = msgspec.json.Decoder(list[Envelope])
_raw_batches = msgspec.json.Decoder(list[Raw])
_one = msgspec.json.Decoder(Envelope)
_encode = msgspec.json.Encoder().encode


def read(body: bytes | Raw) -> tuple[list[Arrival], list[Refused]]:
    """Good items and bad ones of a batch. Not a JSON array of 1 to BATCH_MAX items: a Problem."""
    refused: list[Refused] = []
    try:
        numbered = list(enumerate(_batches.decode(body)))
        size = len(numbered)
    except msgspec.ValidationError:
        items = _items(body)
        size = len(items)
        numbered = list(_each(items[: BATCH_MAX + 1], refused))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error) from error
    if not 1 <= size <= BATCH_MAX:
        raise Problem(Fault.INVALID, f"Send 1 to {BATCH_MAX} events at once; there are {size}.")
    good = []
    for index, event in numbered:
        wrong = _wrong(index, event)
        if wrong is None:
            good.append(arrival(event.source, event.id, _meant(event)))
        else:
            refused.append(wrong)
    return good, sorted(refused, key=lambda item: item.index)


def arrival(source: str, event_id: str, entry: TimeEntry) -> Arrival:
    """An entry as it goes into the inbox."""
    payload = _encode(entry)
    digest = hashlib.blake2b(payload, digest_size=16).digest()
    return Arrival(source, event_id, str(entry.ref), entry.source_version, digest, payload)


def store(connection: Connection, arrivals: Sequence[Arrival], at: datetime) -> tuple[int, int]:
    """Accepted and dropped. What is accepted is durable once the caller commits."""
    fresh, dropped = _sorted_out(connection, arrivals)
    received_at = bulk.form(connection).instant(at)
    rows = [
        (a.source, a.event_id, a.entry_id, a.version, a.hash, a.payload, received_at) for a in fresh
    ]
    accepted = bulk.insert_new(connection, inbox, _COLUMNS, rows)
    late = len(fresh) - accepted  # another process took the same event meanwhile
    _count(connection, dropped, late)
    return accepted, len(dropped) + late


def _sorted_out(
    connection: Connection, arrivals: Sequence[Arrival]
) -> tuple[list[Arrival], list[tuple[Arrival, int]]]:
    """New arrivals; dropped ones, each with the highest version known to be before it."""
    known = _known(connection, arrivals)
    versions = _versions(connection, arrivals) if known else {}
    fresh: list[Arrival] = []
    dropped: list[tuple[Arrival, int]] = []
    for item in arrivals:
        key = (item.source, item.event_id)
        if known.get(key, item.hash) != item.hash:
            item = _renamed(item)
            key = (item.source, item.event_id)
        if key in known:
            dropped.append((item, versions.get(item.entry_id, item.version)))
            continue
        known[key] = item.hash
        versions[item.entry_id] = max(versions.get(item.entry_id, 0), item.version)
        fresh.append(item)
    return fresh, dropped


def _known(connection: Connection, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], bytes]:
    """Hashes of the events of this batch that are in the inbox already, also renamed ones."""
    by_source: dict[str, list[str]] = {}
    for item in arrivals:
        by_source.setdefault(item.source, []).extend((item.event_id, _renamed(item).event_id))
    found: dict[tuple[str, str], bytes] = {}
    for source, ids in by_source.items():
        query = select(inbox.c.event_id, inbox.c.content_hash).where(
            inbox.c.source == source, bulk.among(connection, inbox.c.event_id, ids)
        )
        for event_id, digest in connection.execute(query):
            found[source, event_id] = bytes(digest)
    return found


def _versions(connection: Connection, arrivals: Sequence[Arrival]) -> dict[str, int]:
    query = select(time_entry.c.entry_id, time_entry.c.source_version).where(
        bulk.among(connection, time_entry.c.entry_id, {item.entry_id for item in arrivals})
    )
    return {entry_id: version for entry_id, version in connection.execute(query)}


def _renamed(item: Arrival) -> Arrival:
    event_id = f"{item.event_id}#{item.hash.hex()[:12]}"
    return msgspec.structs.replace(item, event_id=event_id)


def _count(connection: Connection, dropped: Sequence[tuple[Arrival, int]], late: int) -> None:
    stale = sum(1 for item, newest in dropped if item.version < newest)
    add(connection, {"intake:stale": stale, "intake:duplicates": len(dropped) - stale + late})


def _items(body: bytes | Raw) -> list[Raw]:
    try:
        return _raw_batches.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Problem:
    return Problem(Fault.MALFORMED, "Send a JSON array of CloudEvents.", because=str(error))


def _each(items: Sequence[Raw], refused: list[Refused]) -> Any:
    for index, item in enumerate(items):
        try:
            yield index, _one.decode(item)
        except (msgspec.DecodeError, RecursionError) as error:
            wrong = problems.field_error(str(error))
            refused.append(
                Refused(
                    index=index,
                    pointer=f"/{index}{wrong.pointer}",
                    reason=wrong.reason,
                    hint=wrong.hint,
                )
            )


def _wrong(index: int, event: Envelope) -> Refused | None:
    if event.type not in TYPES:
        return Refused(
            index=index, pointer=f"/{index}/type", reason=f"{event.type!r} is not taken here",
            hint=f"One of: {', '.join(sorted(TYPES))}.",
        )  # fmt: skip
    for field, value in (
        ("id", event.id),
        ("source", event.source),
        ("data/ref/id", event.data.ref.id),
        ("data/ref/system", event.data.ref.system),
    ):
        if not value:
            pointer = f"/{index}/{field}"
            return Refused(index=index, pointer=pointer, reason="is empty", hint="Fill it in.")
    return None


def _meant(event: Envelope) -> TimeEntry:
    """A withdrawal is a tombstone, however its source writes it."""
    if event.type == "firmwire.time_entry.withdrawn.v1" and event.data.status == "APPROVED":
        return msgspec.structs.replace(event.data, deleted=True)
    return event.data
