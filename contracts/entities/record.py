"""What every record that comes from a vendor system carries, and how it names other records.

A reference is a Ref. `Ref("", code)` names a record by its canonical code; any other Ref is a
foreign id that the replica resolves through the cross-reference table. The canonical id of
master data is its business code (docs/adr/0003); transactions of ours have a UUID version 7.
"""

from datetime import datetime

from msgspec import Struct

from contracts.ids import Ref


class Record(Struct, frozen=True, kw_only=True, tag_field="entity"):
    """ref: where it came from. source_version: grows with every change of the record at its source.

    deleted: a tombstone; records are never removed.
    """

    ref: Ref
    source_version: int
    source_updated_at: datetime
    deleted: bool = False


def coded(code: str) -> Ref:
    """A reference by canonical code."""
    return Ref("", code)


class Alias(Record, frozen=True, kw_only=True, tag="alias"):
    """A system's own id for a record another system owns.

    of: the entity's tag, e.g. `resource`. code: canonical code when the source knows it.
    email: for people, matched exactly when code is absent. name: for the eye only, never matched.
    """

    of: str
    code: str | None = None
    email: str | None = None
    name: str = ""


class CrossReference(Struct, frozen=True, kw_only=True):
    """One live foreign id of a record. match: AUTO_EXACT or MANUAL; only these feed money.

    external_id: the other system's id. code: ours. Also used for ERP maps, where entity is
    `item`, `tax_code` or `gl_dimension` and code is our key.
    """

    entity: str
    code: str
    system: str
    external_id: str
    match: str = "MANUAL"
    matched_by: str = ""
