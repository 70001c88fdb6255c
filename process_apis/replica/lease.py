"""One replica polls a feed at a time: its row says who, and until when.

Nothing depends on clocks being right: a page is committed only while its poller still holds the
feed, seen in the same transaction. A wrong clock costs a page read twice, never one taken twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, text, update

from process_apis import bulk
from process_apis.tables import sync_cursor

LEASE_S = 30.0  # the longest a feed stands still when its poller dies
_TAKE = text(
    "INSERT INTO sync_cursor (system, port, stream, held_by, held_until) "
    "VALUES (:system, :port, :stream, :owner, :until) "
    "ON CONFLICT (system, port, stream) DO UPDATE "
    "SET held_by = excluded.held_by, held_until = excluded.held_until "
    "WHERE sync_cursor.held_by IN ('', excluded.held_by) OR sync_cursor.held_until < :now OR :force"
)
Place = tuple[str, str, str]


def take(
    connection: Connection, place: Place, owner: str, at: datetime, *, force: bool = False
) -> bool:
    """True when the feed is the owner's now. force: also from one who holds it still."""
    instant = bulk.form(connection).instant
    system, port, stream = place
    values = {
        "system": system, "port": port, "stream": stream, "owner": owner,
        "until": instant(at + timedelta(seconds=LEASE_S)), "now": instant(at), "force": force,
    }  # fmt: skip
    return connection.execute(_TAKE, values).rowcount > 0


def renew(connection: Connection, place: Place, owner: str, at: datetime) -> bool:
    """True while the feed is the owner's; it stays so until the transaction ends. Call it first."""
    held = update(sync_cursor).where(*_at(place), sync_cursor.c.held_by == owner)
    until = at + timedelta(seconds=LEASE_S)
    return connection.execute(held.values(held_until=until)).rowcount > 0


def release(connection: Connection, owner: str) -> None:
    """Others need not wait for one who leaves in order."""
    held = update(sync_cursor).where(sync_cursor.c.held_by == owner)
    connection.execute(held.values(held_by="", held_until=None))


def _at(place: Place) -> Sequence[ColumnElement[bool]]:
    columns, (system, port, stream) = sync_cursor.c, place
    return columns.system == system, columns.port == port, columns.stream == stream
