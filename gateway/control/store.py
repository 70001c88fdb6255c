"""This file exists to read and change plans, consumers and keys, each change audited in place.

Owns   the statements on the control plane's tables. Synchronous; called inside a transaction.
Fails  NOT_FOUND, CONFLICT, INVALID. A plain key is seen only by the caller that made it.
"""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, insert, select, update

from chassis import clock
from contracts.ids import uuid7
from contracts.paging import Page
from contracts.problem import Fault, FieldError, Problem
from gateway import keys
from gateway.control import audit
from gateway.control.shapes import (
    AuditView,
    ConsumerDraft,
    ConsumerView,
    KeyDraft,
    KeyMade,
    KeyView,
    PlanDraft,
    PlanView,
    Rotation,
)
from gateway.control.tables import api_key, audit_entry, consumer, plan
from gateway.snapshot import within

Found = Row[Any]


def put_plan(connection: Connection, name: str, draft: PlanDraft, actor: str) -> PlanView:
    """Make or replace."""
    values = {
        "scopes": list(draft.scopes),
        "rate_per_s": draft.rate_per_s,
        "burst": draft.burst,
        "quota_per_month": draft.quota_per_month,
    }
    before = _one(connection, plan, name)
    _put(connection, plan, name, values, exists=before is not None)
    after = plan_view(_one(connection, plan, name))
    audit.append(
        connection, actor=actor, action="plan.set", subject=name, reason=draft.reason,
        before=plan_view(before) if before else None, after=after,
    )  # fmt: skip
    return after


def put_consumer(
    connection: Connection, name: str, draft: ConsumerDraft, actor: str
) -> ConsumerView:
    """Make or replace."""
    if _one(connection, plan, draft.plan) is None:
        raise _invalid("/plan", f"there is no plan {draft.plan}")
    before = _one(connection, consumer, name)
    values = {"plan": draft.plan, "owner": draft.owner}
    _put(connection, consumer, name, values, exists=before is not None)
    after = consumer_view(_one(connection, consumer, name))
    audit.append(
        connection, actor=actor, action="consumer.set", subject=name, reason=draft.reason,
        before=consumer_view(before) if before else None, after=after,
    )  # fmt: skip
    return after


def create_key(
    connection: Connection, draft: KeyDraft, peppers: keys.Peppers, actor: str
) -> KeyMade:
    """A new key. Its scopes must lie within its consumer's plan."""
    owner = _one(connection, consumer, draft.consumer)
    if owner is None:
        raise _invalid("/consumer", f"there is no consumer {draft.consumer}")
    granted = frozenset(_one(connection, plan, owner.plan).scopes)  # type: ignore[union-attr]
    for index, scope in enumerate(draft.scopes):
        if not within(scope, granted):
            raise _invalid(f"/scopes/{index}", f"the plan {owner.plan} does not hold {scope}")
    for index, network in enumerate(draft.networks):
        try:
            ip_network(network)
        except ValueError as error:
            raise _invalid(f"/networks/{index}", str(error)) from error
    now = clock.now()
    if draft.expires_at is not None:
        if draft.expires_at.tzinfo is None:
            raise _invalid("/expires_at", "must name its offset, e.g. end with Z")
        if draft.expires_at <= now:
            raise _invalid("/expires_at", "lies in the past")
    made = _insert_key(connection, peppers, draft, replaces=None)
    audit.append(
        connection, actor=actor, action="key.created", subject=made.key.id,
        reason=draft.reason, after=made.key,
    )  # fmt: skip
    return made


def revoke_key(connection: Connection, id: str, reason: str, actor: str) -> KeyView:
    """Dead from now on. Revoking twice is the same as once."""
    before = _key(connection, id)
    if before.revoked_ms is not None:
        return key_view(before)
    connection.execute(
        update(api_key).where(api_key.c.id == id).values(revoked_ms=_ms(clock.now()))
    )
    after = key_view(_key(connection, id))
    audit.append(
        connection, actor=actor, action="key.revoked", subject=id, reason=reason,
        before=key_view(before), after=after,
    )  # fmt: skip
    return after


def rotate_key(
    connection: Connection, id: str, rotation: Rotation, peppers: keys.Peppers, actor: str
) -> KeyMade:
    """A successor with the same rights and expiry; the old key works on for the overlap only."""
    old = _key(connection, id)
    seen = key_view(old)
    if seen.state != "active":
        raise Problem(Fault.CONFLICT, f"The key is {seen.state}; only an active one is rotated.")
    now_ms = _ms(clock.now())
    ends_ms = now_ms + rotation.overlap_s * 1000
    if old.expires_ms is not None:
        ends_ms = min(ends_ms, old.expires_ms)
    connection.execute(update(api_key).where(api_key.c.id == id).values(expires_ms=ends_ms))
    draft = KeyDraft(
        consumer=old.consumer,
        environment="test" if old.display.startswith("fw_test_") else "live",
        scopes=tuple(old.scopes),
        networks=tuple(old.networks),
        expires_at=seen.expires_at,
        label=old.label,
    )
    made = _insert_key(connection, peppers, draft, replaces=id)
    audit.append(
        connection, actor=actor, action="key.rotated", subject=id, reason=rotation.reason,
        before=seen, after=made.key,
    )  # fmt: skip
    return made


def keys_page(
    connection: Connection, owner: str | None, limit: int, after: str | None
) -> Page[KeyView]:
    """In order of creation."""
    wanted = select(api_key).order_by(api_key.c.id).limit(limit + 1)
    if owner is not None:
        wanted = wanted.where(api_key.c.consumer == owner)
    if after is not None:
        wanted = wanted.where(api_key.c.id > after)
    found = [key_view(row) for row in connection.execute(wanted)]
    return _page(found, limit, lambda view: view.id)


def plans_page(connection: Connection, limit: int, after: str | None) -> Page[PlanView]:
    found = [plan_view(row) for row in _named(connection, plan, limit, after)]
    return _page(found, limit, lambda view: view.name)


def consumers_page(connection: Connection, limit: int, after: str | None) -> Page[ConsumerView]:
    found = [consumer_view(row) for row in _named(connection, consumer, limit, after)]
    return _page(found, limit, lambda view: view.name)


def audit_page(connection: Connection, limit: int, before: int | None) -> Page[AuditView]:
    """Newest first."""
    wanted = select(audit_entry).order_by(audit_entry.c.seq.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(audit_entry.c.seq < before)
    found = [
        AuditView(
            row.seq, _instant(row.at_ms), row.actor, row.action, row.subject, row.reason,
            msgspec.json.decode(row.before), msgspec.json.decode(row.after), row.hash,
        )
        for row in connection.execute(wanted)
    ]  # fmt: skip
    return _page(found, limit, lambda view: str(view.seq))


def plan_view(row: Found | None) -> PlanView:
    assert row is not None
    return PlanView(row.name, tuple(row.scopes), row.rate_per_s, row.burst, row.quota_per_month)


def consumer_view(row: Found | None) -> ConsumerView:
    assert row is not None
    return ConsumerView(row.name, row.plan, row.owner)


def key_view(row: Found) -> KeyView:
    """Never the digest."""
    expired = row.expires_ms is not None and row.expires_ms <= _ms(clock.now())
    state = "revoked" if row.revoked_ms is not None else "expired" if expired else "active"
    return KeyView(
        row.id, row.consumer, row.display, state, tuple(row.scopes), tuple(row.networks),
        row.label, _instant(row.created_ms), _maybe(row.expires_ms), _maybe(row.revoked_ms),
        row.replaces,
    )  # fmt: skip


def _insert_key(
    connection: Connection, peppers: keys.Peppers, draft: KeyDraft, *, replaces: str | None
) -> KeyMade:
    secret = keys.mint(draft.environment)
    pepper, hashed = peppers.digest(secret.encode())
    now = clock.now()
    id = f"key_{uuid7(now).replace('-', '')}"
    connection.execute(
        insert(api_key).values(
            id=id,
            consumer=draft.consumer,
            display=keys.display(secret),
            digest=hashed,
            pepper=pepper,
            scopes=list(draft.scopes),
            networks=list(draft.networks),
            label=draft.label,
            created_ms=_ms(now),
            expires_ms=None if draft.expires_at is None else _ms(draft.expires_at),
            replaces=replaces,
        )
    )
    return KeyMade(secret, key_view(_key(connection, id)))


def _key(connection: Connection, id: str) -> Found:
    found = connection.execute(select(api_key).where(api_key.c.id == id)).one_or_none()
    if found is None:
        raise Problem(Fault.NOT_FOUND, "There is no such key.")
    return found


def _one(connection: Connection, table: Table, name: str) -> Found | None:
    return connection.execute(select(table).where(table.c.name == name)).one_or_none()


def _named(connection: Connection, table: Table, limit: int, after: str | None) -> list[Found]:
    wanted = select(table).order_by(table.c.name).limit(limit + 1)
    if after is not None:
        wanted = wanted.where(table.c.name > after)
    return list(connection.execute(wanted))


def _put(
    connection: Connection, table: Table, name: str, values: dict[str, Any], *, exists: bool
) -> None:
    if exists:
        connection.execute(update(table).where(table.c.name == name).values(**values))
    else:
        connection.execute(insert(table).values(name=name, **values))


def _page(found: list[Any], limit: int, cursor: Any) -> Page[Any]:
    more = len(found) > limit
    shown = tuple(found[:limit])
    return Page(shown, cursor(shown[-1]) if more else None, more)


def _invalid(pointer: str, reason: str) -> Problem:
    wrong = FieldError(pointer, reason)
    return Problem(Fault.INVALID, f"{pointer}: {reason}", errors=(wrong,))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else _instant(ms)
