"""This file exists to let a partner make keys for the sandbox by itself, and end them.

Owns   what such a key may: what the key that asked may, from where it may, no longer than that one
       and at most 90 days. The rows are control.key_store's. Synchronous; inside a transaction.
Fails  FORBIDDEN for whoever may not make one, NO_SANDBOX where it would open nothing, CONFLICT when
       there are enough, NOT_FOUND for a key that is none, or none of theirs.
"""

from datetime import timedelta

from msgspec import Struct
from sqlalchemy import Connection, select

from chassis import clock
from contracts.problem import Fault, Problem
from gateway import keys
from gateway.control import audit, key_store
from gateway.control.shapes import KeyDraft, KeyMade, KeyView, Text
from gateway.control.tables import consumer
from gateway.snapshot import Snapshot

ACTIVE_MOST = 5
LIFE = timedelta(days=90)


class SandboxKeyDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """label: a note to tell keys apart."""

    label: Text = ""


def key_shown(connection: Connection, owner: str, id: str) -> KeyView | None:
    """The key behind a caller; None for a token, whoever its issuer says it is."""
    found = key_store.find_key(connection, id) if id.startswith("key_") else None
    return found if found is not None and found.consumer == owner else None


def asking(connection: Connection, owner: str, id: str) -> KeyView:
    """The key that was shown, when it may make and end others; FORBIDDEN."""
    found = key_shown(connection, owner, id)
    if found is None or found.state != "active":
        raise Problem(Fault.FORBIDDEN, "Sandbox keys are made and ended with an API key.")
    if found.environment == "test":
        say = "A sandbox key makes and ends no keys: use a live key of yours."
        raise Problem(Fault.FORBIDDEN, say)
    return found


def make(
    connection: Connection, by: KeyView, draft: SandboxKeyDraft, peppers: keys.Peppers
) -> KeyMade:
    """A key like the one that asks, for sandboxes only."""
    # Who asks twice at once waits here: on SQLite the transaction itself sees to that.
    connection.execute(
        select(consumer.c.name).where(consumer.c.name == by.consumer).with_for_update()
    ).one()
    active = key_store.keys_page(
        connection, limit=ACTIVE_MOST, owner=by.consumer, state="active", environment="test"
    ).items
    if len(active) >= ACTIVE_MOST:
        raise _enough(active)
    ends = clock.now() + LIFE
    made = key_store.insert_key(
        connection,
        peppers,
        KeyDraft(
            consumer=by.consumer,
            plan=by.plan,
            environment="test",
            scopes=by.scopes,
            networks=by.networks,
            expires_at=ends if by.expires_at is None else min(ends, by.expires_at),
            label=draft.label,
            version=by.version,
        ),
        replaces=None,
    )
    audit.append(
        connection, actor=_actor(by), action="key.created", subject=made.key.id,
        reason=f"sandbox key, asked for with {by.id}", after=made.key,
    )  # fmt: skip
    return made


def end(connection: Connection, by: KeyView, id: str) -> KeyView:
    """Revoke one of the consumer's own sandbox keys; twice is once."""
    found = key_shown(connection, by.consumer, id)
    if found is None or found.environment != "test":
        raise Problem(Fault.NOT_FOUND, "You have no such sandbox key.")
    return key_store.revoke_key(connection, id, f"asked for with {by.id}", _actor(by))


def sandboxed(snapshot: Snapshot, own_routes: frozenset[str]) -> bool:
    """A test key gets further than to the gateway itself."""
    there = {one.name for one in snapshot.upstreams if one.sandbox_origins}
    return any(
        route.upstream in there and not route.public and route.name not in own_routes
        for route in snapshot.routes
    )


def _enough(active: tuple[KeyView, ...]) -> Problem:
    """Which to end: the one that was not used for longest."""
    idle = min(active, key=lambda key: key.last_used_at or key.created_at)
    told = "; ".join(f"{key.id} ({key.label or key.display})" for key in active)
    return Problem(
        Fault.CONFLICT,
        f"At most {ACTIVE_MOST} sandbox keys are active at once. Revoke one first, e.g. the one "
        f"unused for longest: DELETE /portal/v1/test-keys/{idle.id}. Active are {told}.",
    )


def _actor(by: KeyView) -> str:
    return f"partner:{by.consumer}"
