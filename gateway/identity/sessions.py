"""This file exists to know the admin behind a token or a cookie, and to begin and end sessions.

Owns   the table session (hashes of cookies). A session lives HOURS at most, and IDLE minutes
       without a request; its cookie is new at every sign-in.
Fails  never: nobody is None, for whatever reason.
"""

import hashlib
import hmac
import secrets
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, delete, insert, or_, select, update

from chassis import clock
from gateway.control.tables import admin_token
from gateway.identity.roles import Admin
from gateway.identity.tables import person, session

LIFE_MS = 12 * 3_600_000
IDLE_MS = 60 * 60_000
TOUCH_MS = 60_000


class Opened(Struct, frozen=True):
    """cookie: for the browser, known to nobody else. csrf: what its forms send back."""

    cookie: str
    csrf: str


def cookie_name(*, secure: bool) -> str:
    """`__Host-` makes a browser keep it to this host, the whole path, and TLS."""
    return "__Host-firmwire-session" if secure else "firmwire-session"


def admin_of(connection: Connection, *, bearer: str = "", cookie: str = "") -> Admin | None:
    """The admin behind an admin token or a session's cookie; None when it is nobody (now)."""
    if bearer:
        return _by_token(connection, admin_token.c.digest == hashed(bearer))
    found = _live(connection, cookie)
    if found is None:
        return None
    if found.token is not None:
        behind = _by_token(connection, admin_token.c.id == found.token)
        return None if behind is None else Admin(behind.id, behind.name, behind.role, found.csrf)
    wanted = select(person).where(person.c.id == found.person, person.c.disabled_ms.is_(None))
    who = connection.execute(wanted).one_or_none()
    return None if who is None else Admin(who.id, who.name, who.role, found.csrf)


def due(connection: Connection, cookie: str) -> bool:
    """True when it is time to `touch` the session."""
    found = _live(connection, cookie)
    return found is not None and found.seen_ms < _now_ms() - TOUCH_MS


def touch(connection: Connection, cookie: str) -> None:
    """It was used: the idle time begins anew."""
    mine = session.c.digest == hashed(cookie)
    connection.execute(update(session).where(mine).values(seen_ms=_now_ms()))


def begin(
    connection: Connection, *, person_id: str | None = None, token_id: str | None = None
) -> Opened:
    """A new session for one of the two."""
    now_ms = _now_ms()
    opened = Opened(secrets.token_urlsafe(32), secrets.token_urlsafe(24))
    connection.execute(
        insert(session).values(
            digest=hashed(opened.cookie), person=person_id, token=token_id, csrf=opened.csrf,
            created_ms=now_ms, seen_ms=now_ms, expires_ms=now_ms + LIFE_MS,
        )
    )  # fmt: skip
    if person_id is not None:
        seen = update(person).where(person.c.id == person_id)
        connection.execute(seen.values(seen_ms=now_ms))
    return opened


def end(connection: Connection, cookie: str) -> None:
    """Signed out; twice is once."""
    live = (session.c.digest == hashed(cookie)) & session.c.ended_ms.is_(None)
    connection.execute(update(session).where(live).values(ended_ms=_now_ms()))


def end_all(connection: Connection, person_id: str) -> None:
    """Every session of a person: a password changed, an admin was disabled."""
    live = (session.c.person == person_id) & session.c.ended_ms.is_(None)
    connection.execute(update(session).where(live).values(ended_ms=_now_ms()))


def sweep(connection: Connection) -> None:
    """Forget those that are over."""
    over = or_(session.c.ended_ms.is_not(None), session.c.expires_ms < _now_ms())
    connection.execute(delete(session).where(over))


def csrf_holds(admin: Admin, given: str) -> bool:
    """True when a form sent back what the session's page held; a token needs none."""
    return not admin.csrf or hmac.compare_digest(admin.csrf.encode(), given.encode())


def hashed(secret: str) -> bytes:
    """SHA-256 is enough: 256 random bits leave nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


def _live(connection: Connection, cookie: str) -> Row[Any] | None:
    if not cookie:
        return None
    now_ms = _now_ms()
    wanted: Select[Any] = select(session).where(
        session.c.digest == hashed(cookie),
        session.c.ended_ms.is_(None),
        session.c.expires_ms > now_ms,
        session.c.seen_ms > now_ms - IDLE_MS,
    )
    return connection.execute(wanted).one_or_none()


def _by_token(connection: Connection, which: Any) -> Admin | None:
    wanted = select(admin_token).where(
        which,
        admin_token.c.revoked_ms.is_(None),
        or_(admin_token.c.expires_ms.is_(None), admin_token.c.expires_ms > _now_ms()),
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else Admin(row.id, row.id, row.role)


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)
