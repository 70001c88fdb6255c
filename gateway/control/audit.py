"""This file exists to keep who changed what and why, each entry bound to the one before.

Owns   the table audit_entry. Changing or removing an entry breaks every hash after it.
Fails  whatever the database raises: a change that cannot be audited is not made.
"""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from chassis import clock
from gateway.control.tables import audit_entry

_FIRST = "0" * 64


def append(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str,
    before: Any = None,
    after: Any = None,
) -> None:
    """One entry in the caller's transaction. before, after: structs or dicts without secrets."""
    last = select(audit_entry.c.hash).order_by(audit_entry.c.seq.desc()).limit(1)
    row: dict[str, Any] = {
        "at_ms": int(clock.now().timestamp() * 1000),
        "actor": actor,
        "action": action,
        "subject": subject,
        "reason": reason,
        "before": msgspec.json.encode(before if before is not None else {}),
        "after": msgspec.json.encode(after if after is not None else {}),
        "previous_hash": connection.execute(last).scalar() or _FIRST,
    }
    connection.execute(insert(audit_entry).values(**row, hash=_link(row)))


def broken_at(connection: Connection) -> int | None:
    """The first entry that does not follow from the one before; None when the chain is sound."""
    previous = _FIRST
    for found in connection.execute(select(audit_entry).order_by(audit_entry.c.seq)).mappings():
        if found["previous_hash"] != previous or found["hash"] != _link(dict(found)):
            return int(found["seq"])
        previous = found["hash"]
    return None


def _link(row: dict[str, Any]) -> str:
    parts = [row["previous_hash"], row["at_ms"], row["actor"], row["action"], row["subject"],
             row["reason"], row["before"].decode(), row["after"].decode()]  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
