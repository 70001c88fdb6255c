"""This file exists to keep who changed what and why, each entry bound to the one before.

Owns   the table audit_entry. Changing or removing an entry breaks every hash after it.
Fails  whatever the database raises: a change that cannot be audited is not made.
"""

import hashlib
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, insert, or_, select

from chassis import clock
from contracts.paging import Page
from gateway.control.rows import instant, like, ms, page
from gateway.control.shapes import AuditView
from gateway.control.tables import audit_entry, published

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
    connection.execute(select(published).with_for_update())  # one chain, also of several replicas
    last = select(audit_entry.c.hash).order_by(audit_entry.c.seq.desc()).limit(1)
    row: dict[str, Any] = {
        "at_ms": ms(clock.now()),
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


def entries(
    connection: Connection,
    *,
    limit: int,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    search: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[AuditView]:
    """Newest first. action: whole, or its beginning, e.g. `key`. search: in subject and reason."""
    columns = audit_entry.c
    wanted = select(audit_entry).order_by(columns.seq.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(columns.seq < before)
    if actor is not None:
        wanted = wanted.where(columns.actor == actor)
    if action is not None:
        below = columns.action.startswith(f"{action}.", autoescape=True)
        wanted = wanted.where(or_(columns.action == action, below))
    if subject is not None:
        wanted = wanted.where(columns.subject == subject)
    wanted = _matching(_between(wanted, since, until), search)
    found = [
        AuditView(
            row.seq, instant(row.at_ms), row.actor, row.action, row.subject, row.reason,
            msgspec.json.decode(row.before), msgspec.json.decode(row.after), row.hash,
        )
        for row in connection.execute(wanted)
    ]  # fmt: skip
    return page(found, limit, lambda view: str(view.seq))


def _between(wanted: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        wanted = wanted.where(audit_entry.c.at_ms >= ms(since))
    if until is not None:
        wanted = wanted.where(audit_entry.c.at_ms < ms(until))
    return wanted


def _matching(wanted: Select[Any], search: str) -> Select[Any]:
    if not search:
        return wanted
    columns = (audit_entry.c.subject, audit_entry.c.reason, audit_entry.c.actor)
    return wanted.where(or_(*(c.ilike(like(search), escape="/") for c in columns)))


def _link(row: dict[str, Any]) -> str:
    parts = [row["previous_hash"], row["at_ms"], row["actor"], row["action"], row["subject"],
             row["reason"], row["before"].decode(), row["after"].decode()]  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
