"""Keep records and cross-references in tables; every change carries the replica's own number."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from contracts.entities.master import MasterRecord
from contracts.entities.record import Alias, CrossReference
from contracts.ids import uuid7
from process_apis import bulk
from process_apis.journeys.approved_time_to_invoice.rules import entity_of
from process_apis.tables import cross_reference, master_record

MAPS = frozenset({"item", "tax_code", "gl_dimension"})
BY_HAND = "MANUAL"
_records = msgspec.json.Decoder(MasterRecord)
_encode = msgspec.json.Encoder().encode
_UPSERT = (
    "INSERT INTO master_record (entity, key, code, source_version, payload, updated_at, deleted, "
    "change_no) VALUES ({marks}) ON CONFLICT (entity, key) DO UPDATE SET code = excluded.code, "
    "source_version = excluded.source_version, payload = excluded.payload, "
    "updated_at = excluded.updated_at, deleted = excluded.deleted, change_no = excluded.change_no"
)
_XREF_COLUMNS = (
    "id", "entity", "system", "external_id", "code", "match", "matched_by", "valid_from",
    "change_no",
)  # fmt: skip


def key_of(record: MasterRecord) -> tuple[str, str]:
    """(entity, key) of a record; an alias is told apart by what it is an alias of."""
    if isinstance(record, Alias):
        return "alias", f"{record.of}:{record.ref}"
    return entity_of(record), str(record.ref)


def newer(connection: Connection, records: Iterable[MasterRecord]) -> list[MasterRecord]:
    """Those whose version is above the stored one; of several of one record the newest."""
    wanted: dict[tuple[str, str], MasterRecord] = {}
    for record in records:
        key = key_of(record)
        held = wanted.get(key)
        if held is None or record.source_version > held.source_version:
            wanted[key] = record
    stored: dict[tuple[str, str], int] = {}
    for entity in {entity for entity, _ in wanted}:
        keys = [key for owner, key in wanted if owner == entity]
        query = select(master_record.c.key, master_record.c.source_version).where(
            master_record.c.entity == entity, bulk.among(connection, master_record.c.key, keys)
        )
        stored |= {(entity, key): version for key, version in connection.execute(query)}
    return [
        record
        for key, record in wanted.items()
        if key not in stored or record.source_version > stored[key]
    ]


def put_records(
    connection: Connection, records: Sequence[MasterRecord], change_no: int, at: datetime
) -> None:
    """Insert or replace."""
    if not records:
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    stamp = bulk.form(connection).instant(at)
    rows = [
        (*key_of(record), getattr(record, "code", None) or "", record.source_version,
         _encode(record), stamp, record.deleted, change_no)
        for record in records
    ]  # fmt: skip
    connection.exec_driver_sql(_UPSERT.format(marks=", ".join([mark] * 8)), rows)


def put_references(
    connection: Connection, references: Sequence[CrossReference], change_no: int, at: datetime
) -> int:
    """Make these live; what they contradict ends now. What is matched by hand outranks a match

    made by the machine, which leaves it alone. How many were new.
    """
    wanted = {_place(reference): reference for reference in references}
    live = _live(connection, wanted.values())
    ended: list[str] = []
    fresh: list[CrossReference] = []
    for place, reference in wanted.items():
        row = live.get(place)
        if row is not None:
            same = (row.code, row.external_id) == (reference.code, reference.external_id)
            if same and (row.match == reference.match or row.match == BY_HAND):
                continue
            if row.match == BY_HAND and reference.match != BY_HAND:
                continue
            ended.append(row.id)
        fresh.append(reference)
    stamp = bulk.form(connection).instant(at)
    bulk.update(
        connection, cross_reference, "id", ("valid_to", "change_no"),
        [(stamp, change_no, id) for id in ended],
    )  # fmt: skip
    rows = [
        (uuid7(at), r.entity, r.system, r.external_id, r.code, r.match, r.matched_by, stamp,
         change_no)
        for r in fresh
    ]  # fmt: skip
    bulk.insert(connection, cross_reference, _XREF_COLUMNS, rows)
    return len(fresh)


def records_since(connection: Connection, change_no: int) -> list[MasterRecord]:
    """Records changed after a number, in order of change."""
    query = select(master_record.c.payload).where(master_record.c.change_no > change_no)
    if change_no <= 0:
        query = query.where(~master_record.c.deleted)
    ordered = query.order_by(master_record.c.change_no, master_record.c.entity)
    return [_records.decode(payload) for payload in connection.execute(ordered).scalars()]


def references_since(connection: Connection, change_no: int) -> list[CrossReference]:
    """Live cross-references people or settings made. Those the machine made follow from records."""
    query = select(cross_reference).where(
        cross_reference.c.change_no > change_no,
        cross_reference.c.valid_to.is_(None),
        cross_reference.c.match == BY_HAND,
    )
    ordered = query.order_by(cross_reference.c.change_no)
    return [reference_of(row) for row in connection.execute(ordered)]


def reference_of(row: Row[Any]) -> CrossReference:
    """A whole row of `cross_reference`."""
    return CrossReference(
        entity=row.entity,
        code=row.code,
        system=row.system,
        external_id=row.external_id,
        match=row.match,
        matched_by=row.matched_by,
    )


def _place(reference: CrossReference) -> tuple[str, str, str]:
    """What may be live only once: the foreign id, or in an ERP map our code."""
    own = reference.code if reference.entity in MAPS else reference.external_id
    return reference.entity, reference.system, own


def _live(
    connection: Connection, references: Iterable[CrossReference]
) -> dict[tuple[str, str, str], Row[Any]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for reference in references:
        entity, system, own = _place(reference)
        groups.setdefault((entity, system), []).append(own)
    found: dict[tuple[str, str, str], Row[Any]] = {}
    for (entity, system), owns in groups.items():
        column = cross_reference.c.code if entity in MAPS else cross_reference.c.external_id
        query = select(cross_reference).where(
            cross_reference.c.entity == entity,
            cross_reference.c.system == system,
            cross_reference.c.valid_to.is_(None),
            bulk.among(connection, column, owns),
        )
        for row in connection.execute(query):
            found[_place(reference_of(row))] = row
    return found
