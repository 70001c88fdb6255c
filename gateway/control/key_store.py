"""This file exists to make, find, rotate, shorten and end API keys, each change audited in place.

Owns   the statements on the table api_key. Synchronous; called inside a transaction.
Fails  NOT_FOUND, CONFLICT, INVALID. A plain key is seen only by the caller that made it.
"""

from datetime import datetime
from ipaddress import ip_network
from typing import Any

from msgspec import structs
from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from chassis import clock, versions
from contracts.ids import uuid7
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway import keys
from gateway.control import audit, version_store
from gateway.control.rows import Found, instant, invalid, like, maybe, ms, named, page
from gateway.control.shapes import KeyDraft, KeyMade, KeyState, KeyView, Rotation
from gateway.control.subscriptions import plan_for
from gateway.control.tables import api_key, consumer, plan
from gateway.snapshot import within

LEAKED = "found in public"


def create_key(
    connection: Connection, draft: KeyDraft, peppers: keys.Peppers, actor: str
) -> KeyMade:
    """A new key. Its scopes must lie within its plan."""
    if named(connection, consumer, draft.consumer) is None:
        raise invalid("/consumer", f"there is no consumer {draft.consumer}")
    its = named(connection, plan, plan_for(connection, draft.consumer, draft.plan))
    assert its is not None
    for index, scope in enumerate(draft.scopes):
        if not within(scope, frozenset(its.scopes)):
            raise invalid(f"/scopes/{index}", f"the plan {its.name} does not hold {scope}")
    for index, network in enumerate(draft.networks):
        try:
            ip_network(network)
        except ValueError as error:
            raise invalid(f"/networks/{index}", str(error)) from error
    if draft.expires_at is not None:
        _in_future(draft.expires_at, "/expires_at")
    draft = structs.replace(draft, version=_version(connection, draft.version, its))
    made = insert_key(connection, peppers, draft, replaces=None)
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
    return _changed(connection, before, "key.revoked", reason, actor, revoked_ms=ms(clock.now()))


def expire_key(
    connection: Connection, id: str, at: datetime | None, reason: str, actor: str
) -> KeyView:
    """End a key at an instant, or now. An end only ever comes closer."""
    before = _key(connection, id)
    if before.revoked_ms is not None:
        raise Problem(Fault.CONFLICT, "The key is revoked; it has no end to move.")
    now = clock.now()
    if at is not None:
        _in_future(at, "/at")
    ends_ms = ms(at or now)
    if before.expires_ms is not None and before.expires_ms < ends_ms:
        raise Problem(
            Fault.CONFLICT, "The key ends sooner than that; make or rotate a key for a longer one."
        )
    if before.expires_ms == ends_ms:
        return key_view(before)
    return _changed(connection, before, "key.shortened", reason, actor, expires_ms=ends_ms)


def pin_key(connection: Connection, id: str, version: str, reason: str, actor: str) -> KeyView:
    """Let a key speak another version from now on; empty follows its plan."""
    before = _key(connection, id)
    if version:
        version_store.known(version, "/version", lives=version_store.lives(connection))
    if before.version_pin == version:
        return key_view(before)
    return _changed(connection, before, "key.pinned", reason, actor, version_pin=version)


def rotate_key(
    connection: Connection, id: str, rotation: Rotation, peppers: keys.Peppers, actor: str
) -> KeyMade:
    """A successor with the same rights and expiry; the old key works on for the overlap only."""
    old = _key(connection, id)
    seen = key_view(old)
    if seen.state != "active":
        raise Problem(Fault.CONFLICT, f"The key is {seen.state}; only an active one is rotated.")
    ends_ms = ms(clock.now()) + rotation.overlap_s * 1000
    if old.expires_ms is not None:
        ends_ms = min(ends_ms, old.expires_ms)
    connection.execute(update(api_key).where(api_key.c.id == id).values(expires_ms=ends_ms))
    draft = KeyDraft(
        consumer=old.consumer,
        environment=seen.environment,
        scopes=tuple(old.scopes),
        networks=tuple(old.networks),
        expires_at=seen.expires_at,
        label=old.label,
        version=old.version_pin,
        plan=old.plan,
    )
    made = insert_key(connection, peppers, draft, replaces=id)
    audit.append(
        connection, actor=actor, action="key.rotated", subject=id, reason=rotation.reason,
        before=seen, after=made.key,
    )  # fmt: skip
    return made


def alive(connection: Connection, secret: str, peppers: keys.Peppers) -> str | None:
    """The id of this key when it is one of ours and still works."""
    row = _by_secret(connection, secret, peppers)
    return row.id if row is not None and key_view(row).state == "active" else None


def end_leaked(
    connection: Connection, secret: str, peppers: keys.Peppers, found_at: str, grace_s: int
) -> None:
    """End the key that somebody found in public, now or after a grace.

    Whoever holds a key may end it: that is worth more than asking who they are.
    """
    row = _by_secret(connection, secret, peppers)
    if row is None:
        return
    reason = f"{LEAKED}: {found_at}" if found_at else LEAKED
    if not grace_s:
        revoke_key(connection, row.id, reason, "leak-report")
        return
    ends_ms = ms(clock.now()) + grace_s * 1000
    if row.expires_ms is None or row.expires_ms > ends_ms:
        _changed(connection, row, "key.shortened", reason, "leak-report", expires_ms=ends_ms)


def key_of(connection: Connection, id: str) -> KeyView:
    """One key; NOT_FOUND."""
    return key_view(_key(connection, id))


def find_key(connection: Connection, id: str) -> KeyView | None:
    """By its id, or by the letters shown of it when only one key begins like that."""
    same = api_key.c.id == id if id.startswith("key_") else api_key.c.display == id[:12]
    rows = connection.execute(select(api_key).where(same).limit(2)).all()
    return key_view(rows[0]) if len(rows) == 1 else None


def keys_page(
    connection: Connection,
    *,
    limit: int,
    after: str | None = None,
    owner: str | None = None,
    state: KeyState | None = None,
    environment: keys.Environment | None = None,
    search: str = "",
) -> Page[KeyView]:
    """In order of creation. search: in id, consumer, label and the letters shown of the key."""
    wanted = select(api_key).order_by(api_key.c.id).limit(limit + 1)
    if owner is not None:
        wanted = wanted.where(api_key.c.consumer == owner)
    if state is not None:
        wanted = wanted.where(_in_state(state))
    if environment is not None:
        begins = keys.beginning(environment)
        wanted = wanted.where(api_key.c.display.startswith(begins, autoescape=True))
    if search:
        columns = (api_key.c.id, api_key.c.consumer, api_key.c.label, api_key.c.display)
        # A whole key that was pasted is found by what we may show of it.
        text = search if not search.startswith("fw_") else search[: keys.DISPLAY_CHARS]
        wanted = wanted.where(or_(*(c.ilike(like(text), escape="/") for c in columns)))
    if after is not None:
        wanted = wanted.where(api_key.c.id > after)
    found = [key_view(row) for row in connection.execute(wanted)]
    return page(found, limit, lambda view: view.id)


def successors_of(connection: Connection, id: str) -> tuple[KeyView, ...]:
    """What replaced a key when it was rotated."""
    wanted = select(api_key).where(api_key.c.replaces == id).order_by(api_key.c.id)
    return tuple(key_view(row) for row in connection.execute(wanted))


def ending(connection: Connection, before: datetime, limit: int) -> tuple[KeyView, ...]:
    """Active keys that end soon, the soonest first."""
    wanted = select(api_key).where(_in_state("active"), api_key.c.expires_ms < ms(before))
    found = connection.execute(wanted.order_by(api_key.c.expires_ms).limit(limit))
    return tuple(key_view(row) for row in found)


def active_count(connection: Connection) -> int:
    """How many keys work now."""
    wanted = select(func.count()).select_from(api_key).where(_in_state("active"))
    return int(connection.execute(wanted).scalar_one())


def key_view(row: Found) -> KeyView:
    """Never the digest."""
    expired = row.expires_ms is not None and row.expires_ms <= ms(clock.now())
    state: KeyState = (
        "revoked" if row.revoked_ms is not None else "expired" if expired else "active"
    )
    return KeyView(
        row.id, row.consumer, row.display, state, tuple(row.scopes), tuple(row.networks),
        row.label, instant(row.created_ms), maybe(row.expires_ms), maybe(row.revoked_ms),
        row.replaces, maybe(row.last_used_ms),
        "test" if keys.is_test(row.display) else "live", row.version_pin,
        row.plan,
    )  # fmt: skip


def _by_secret(connection: Connection, secret: str, peppers: keys.Peppers) -> Found | None:
    given = secret.encode()
    if not keys.well_formed(given):
        return None
    digests = [keys.digest(pepper, given) for pepper in peppers.secrets.values()]
    return connection.execute(select(api_key).where(api_key.c.digest.in_(digests))).one_or_none()


def _in_state(state: KeyState) -> ColumnElement[bool]:
    now_ms = ms(clock.now())
    alive = or_(api_key.c.expires_ms.is_(None), api_key.c.expires_ms > now_ms)
    if state == "revoked":
        return api_key.c.revoked_ms.is_not(None)
    if state == "expired":
        return and_(api_key.c.revoked_ms.is_(None), api_key.c.expires_ms <= now_ms)
    return and_(api_key.c.revoked_ms.is_(None), alive)


def _changed(
    connection: Connection, before: Found, action: str, reason: str, actor: str, **values: Any
) -> KeyView:
    connection.execute(update(api_key).where(api_key.c.id == before.id).values(**values))
    after = key_view(_key(connection, before.id))
    audit.append(
        connection, actor=actor, action=action, subject=before.id, reason=reason,
        before=key_view(before), after=after,
    )  # fmt: skip
    return after


def insert_key(
    connection: Connection, peppers: keys.Peppers, draft: KeyDraft, *, replaces: str | None
) -> KeyMade:
    """As drafted; what it may was judged before, and whoever calls this keeps the record."""
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
            created_ms=ms(now),
            expires_ms=None if draft.expires_at is None else ms(draft.expires_at),
            replaces=replaces,
            version_pin=draft.version or "",
            plan=draft.plan,
        )
    )
    return KeyMade(secret, key_view(_key(connection, id)))


def _version(connection: Connection, wanted: str | None, its: Found) -> str:
    """The pin of a new key: as told; else none when its plan has a version; else today's head."""
    if wanted is None:
        return "" if its.version_default else versions.head()
    if wanted:
        version_store.known(wanted, "/version", lives=version_store.lives(connection))
    return wanted


def _in_future(at: datetime, pointer: str) -> None:
    if at.tzinfo is None:
        raise invalid(pointer, "must name its offset, e.g. end with Z")
    if at <= clock.now():
        raise invalid(pointer, "lies in the past")


def _key(connection: Connection, id: str) -> Found:
    found = connection.execute(select(api_key).where(api_key.c.id == id)).one_or_none()
    if found is None:
        raise Problem(Fault.NOT_FOUND, "There is no such key.")
    return found
