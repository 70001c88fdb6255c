"""This file exists to keep the people who sign in here: their roles, and passwords where local.

Owns   the table person. Passwords as argon2id; hashing is slow on purpose, so few at a time, and
       never inside a transaction. The same time is spent on a name nobody has.
Fails  NOT_FOUND, CONFLICT, INVALID; FORBIDDEN for whoever would make somebody stronger.
Source RFC 9106 (argon2); NIST SP 800-63B section 5.1.1 (length, not composition).
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import BoundedSemaphore
from typing import Annotated, Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Meta, Struct
from sqlalchemy import Connection, Row, insert, or_, select, update

from chassis import clock
from contracts.ids import uuid7
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control import audit
from gateway.control.rows import instant, invalid, like, maybe, ms, named, page
from gateway.control.shapes import Text
from gateway.identity import sessions
from gateway.identity.roles import Admin, Role, demand_not_stronger
from gateway.identity.tables import person
from gateway.routes import Name

PASSWORD_CHARS = 12
_HASHER = PasswordHasher()
_FEW = BoundedSemaphore(2)  # each takes 64 MiB
_TURN_S = 3.0
_NOBODYS = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZWJvZHllbHNlc3NhbHQ"
    "$Zm9yLXRoZS1zYW1lLXRpbWUtdG8tYmUtc3BlbnQtaGVyZSE"
)


class PersonDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """subject: their `sub`, or verified e-mail address, at the identity provider; then without a
    password here. password: left out, one is made and shown once.
    """

    name: Name
    role: Role
    subject: Annotated[str, Meta(max_length=200)] = ""
    password: Annotated[str, Meta(max_length=200)] = ""
    reason: Text = ""


class PersonView(Struct, frozen=True):
    name: str
    role: Role
    subject: str
    created_at: datetime
    disabled_at: datetime | None
    seen_at: datetime | None


class PersonMade(Struct, frozen=True):
    """password: one made here, shown this once."""

    password: str
    person: PersonView


class Password(Struct, frozen=True, forbid_unknown_fields=True):
    """Left out, one is made."""

    password: Annotated[str, Meta(max_length=200)] = ""
    reason: Text = ""


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    reason: Text = ""


def hashed(password: str) -> str:
    """Slow. INVALID for one that is too short."""
    if len(password) < PASSWORD_CHARS:
        raise invalid("/password", f"at least {PASSWORD_CHARS} characters")
    with _few():
        return _HASHER.hash(password)


def fresh() -> str:
    """A password nobody guesses."""
    return secrets.token_urlsafe(18)


def create(
    connection: Connection, draft: PersonDraft, kept: str | None, issuer: str, by: Admin
) -> PersonView:
    """kept: the hashed password, if any."""
    demand_not_stronger(by, draft.role)
    if named(connection, person, draft.name) is not None:
        raise Problem(Fault.CONFLICT, f"There is somebody called {draft.name} already.")
    now = clock.now()
    connection.execute(
        insert(person).values(
            id=f"person_{uuid7(now).replace('-', '')}", name=draft.name, role=draft.role,
            password=kept, issuer=issuer if draft.subject else None,
            subject=draft.subject or None, created_ms=ms(now),
        )
    )  # fmt: skip
    made = person_of(connection, draft.name)
    audit.append(
        connection, actor=by.name, action="admin.created", subject=draft.name,
        reason=draft.reason, after=made,
    )  # fmt: skip
    return made


def set_role(connection: Connection, name: str, told: NewRole, by: Admin) -> PersonView:
    """From the next request on. Not one's own: nobody is locked out by a slip of the hand."""
    row = _row(connection, name)
    demand_not_stronger(by, row.role)
    demand_not_stronger(by, told.role)
    if row.id == by.id:
        raise Problem(Fault.CONFLICT, "Your own role is somebody else's to change.")
    before = _view(row)
    connection.execute(update(person).where(person.c.id == row.id).values(role=told.role))
    after = person_of(connection, name)
    audit.append(
        connection, actor=by.name, action="admin.role_set", subject=name, reason=told.reason,
        before=before, after=after,
    )  # fmt: skip
    return after


def disable(connection: Connection, name: str, reason: str, by: Admin) -> PersonView:
    """Out at once, everywhere."""
    row = _row(connection, name)
    demand_not_stronger(by, row.role)
    before = _view(row)
    values = {"disabled_ms": row.disabled_ms or ms(clock.now())}
    connection.execute(update(person).where(person.c.id == row.id).values(**values))
    sessions.end_all(connection, row.id)
    after = person_of(connection, name)
    audit.append(
        connection, actor=by.name, action="admin.disabled", subject=name, reason=reason,
        before=before, after=after,
    )  # fmt: skip
    return after


def set_password(
    connection: Connection, name: str, kept: str, reason: str, by: Admin
) -> PersonView:
    """Ends every session of theirs."""
    row = _row(connection, name)
    demand_not_stronger(by, row.role)
    connection.execute(update(person).where(person.c.id == row.id).values(password=kept))
    sessions.end_all(connection, row.id)
    audit.append(
        connection, actor=by.name, action="admin.password_set", subject=name, reason=reason
    )
    return person_of(connection, name)


def kept_password(connection: Connection, name: str) -> tuple[str, str]:
    """Id and hash to verify; for nobody, a hash nothing fits."""
    wanted = select(person).where(person.c.name == name, person.c.disabled_ms.is_(None))
    row = connection.execute(wanted).one_or_none()
    return ("", _NOBODYS) if row is None or not row.password else (row.id, row.password)


def password_holds(kept: str, given: str) -> bool:
    """Slow, whatever the outcome."""
    try:
        with _few():
            return _HASHER.verify(kept, given)
    except (VerificationError, InvalidHashError):
        return False


def by_provider(connection: Connection, issuer: str, subjects: tuple[str, ...]) -> str | None:
    """The id of who the identity provider vouches for, by any of these names there."""
    wanted = select(person.c.id).where(
        person.c.issuer == issuer, person.c.subject.in_(subjects), person.c.disabled_ms.is_(None)
    )
    found = connection.execute(wanted).scalars().all()
    return found[0] if len(found) == 1 else None


def person_of(connection: Connection, name: str) -> PersonView:
    """NOT_FOUND."""
    return _view(_row(connection, name))


def people_page(
    connection: Connection, limit: int, after: str | None, *, search: str = ""
) -> Page[PersonView]:
    """By name. search: in name, role and subject."""
    wanted = select(person).order_by(person.c.name).limit(limit + 1)
    if search:
        fields = (person.c.name, person.c.role, person.c.subject)
        wanted = wanted.where(or_(*(c.ilike(like(search), escape="/") for c in fields)))
    if after is not None:
        wanted = wanted.where(person.c.name > after)
    found = [_view(row) for row in connection.execute(wanted)]
    return page(found, limit, lambda view: view.name)


@contextmanager
def _few() -> Iterator[None]:
    """UNAVAILABLE rather than every thread waiting for its turn to hash."""
    if not _FEW.acquire(timeout=_TURN_S):
        raise Problem(Fault.UNAVAILABLE, "Too many are signing in.", retry_after_s=5)
    try:
        yield
    finally:
        _FEW.release()


def _row(connection: Connection, name: str) -> Row[Any]:
    row = named(connection, person, name)
    if row is None:
        raise Problem(Fault.NOT_FOUND, f"There is nobody called {name}.")
    return row


def _view(row: Row[Any]) -> PersonView:
    return PersonView(
        row.name, row.role, row.subject or "", instant(row.created_ms), maybe(row.disabled_ms),
        maybe(row.seen_ms),
    )  # fmt: skip
