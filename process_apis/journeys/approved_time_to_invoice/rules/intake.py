"""Stage 0: which versions of a record are taken, and who may write which field.

Source  domain.md B.0 (accept iff newer; same version with another body is a conflict).
"""

from collections.abc import Iterable
from typing import Literal

from contracts.entities.work_item import Finding
from process_apis.journeys.approved_time_to_invoice.rules.case import finding

Acceptance = Literal["ACCEPT", "DUPLICATE", "STALE", "CONFLICT"]


def accept(
    stored_version: int | None, stored_hash: str | None, version: int, hash: str
) -> Acceptance:
    """What to do with a version that came in. hash: of the content. Nothing stored: None."""
    if stored_version is None or version > stored_version:
        return "ACCEPT"
    if version < stored_version:
        return "STALE"
    return "DUPLICATE" if hash == stored_hash else "CONFLICT"


def version_conflict(entry_id: str, version: int, stored_hash: str, hash: str) -> Finding:
    """The item for a CONFLICT."""
    root = f"time_entry:{entry_id}"
    return finding(
        "SRC_VERSION_CONFLICT", root, version=version, stored_hash=stored_hash, hash=hash
    )


def schema_invalid(entry_id: str, field: str, reason: str) -> Finding:
    """The item for a payload that does not fit the contract."""
    return finding("SCHEMA_INVALID", f"time_entry:{entry_id}", field=field, reason=reason)


def ownership_violation(
    entity: str, code: str, owner: str, writer: str, fields: Iterable[str]
) -> Finding | None:
    """None when the writer owns the record, or changed nothing."""
    changed = sorted(fields)
    if writer == owner or not changed:
        return None
    root = f"{entity}:{code}"
    return finding("OWNERSHIP_VIOLATION", root, owner=owner, writer=writer, fields=changed)
