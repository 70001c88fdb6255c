"""Keep who did what and why, each entry bound to the one before by its hash.

An entry that is changed or removed later breaks every hash behind it; `broken_at` finds it.
"""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, text

from chassis import clock
from process_apis.columns import instant_text
from process_apis.tables import audit_entry

_FIRST = "0" * 64
_CHAIN_LOCK = 0x61756469  # any number that nobody else locks


def append(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Add one link. action: noun.verb, e.g. `work_item.waived`. detail: before and after."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CHAIN_LOCK})
    last = select(audit_entry.c.hash).order_by(audit_entry.c.seq.desc()).limit(1)
    previous = connection.execute(last).scalar() or _FIRST
    body = msgspec.json.encode(detail or {}, order="deterministic")
    at = clock.now()
    connection.execute(
        insert(audit_entry).values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            reason=reason,
            detail=body,
            prev_hash=previous,
            hash=_link(previous, instant_text(at), actor, action, subject, reason, body),
        )
    )


def broken_at(connection: Connection) -> int | None:
    """The number of the first entry that does not follow from the one before, None when sound."""
    previous = _FIRST
    for row in connection.execute(select(audit_entry).order_by(audit_entry.c.seq)):
        at = instant_text(row.at)
        expected = _link(previous, at, row.actor, row.action, row.subject, row.reason, row.detail)
        if row.prev_hash != previous or row.hash != expected:
            return int(row.seq)
        previous = row.hash
    return None


def _link(
    previous: str, at: str, actor: str, action: str, subject: str, reason: str, body: bytes
) -> str:
    parts = (previous, at, actor, action, subject, reason, body.decode())
    return hashlib.sha256(
        "\n".join(part.replace("\n", "\\n") for part in parts).encode()
    ).hexdigest()
