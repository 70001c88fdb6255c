"""This file exists to keep what people granted to clients: codes, refresh tokens, and their end.

Owns   the tables oauth_grant, oauth_code, refresh_token, revoked_token, seen_assertion. A grant
       is a family: using a code or a refresh token twice ends all that came of it.
Fails  never: what is not good is None.
Source RFC 6749 section 4.1.2, RFC 9700 section 4.14 (rotation and reuse).
"""

import secrets
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Table, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from chassis import clock
from gateway.identity.sessions import hashed
from gateway.identity.tables import code, grant, refresh_token, revoked_token, seen_assertion

CODE_MS = 60_000

Reused = Callable[[], None]
"""Told when a second use has ended a grant."""


class Held(Struct, frozen=True):
    """A code or refresh token just used, as authlib asks for it."""

    grant: str
    client: str
    person: str
    scopes: tuple[str, ...]
    redirect_uri: str = ""
    code_challenge: str = ""
    code_challenge_method: str = "S256"
    bound: str = ""

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.scopes)

    def check_client(self, client: Any) -> bool:
        return bool(client.get_client_id() == self.client)


def begin(
    connection: Connection,
    *,
    client: str,
    person: str,
    scopes: tuple[str, ...],
    life_ms: int,
    redirect_uri: str,
    challenge: str,
) -> str:
    """What a person agreed to; the code that stands for it."""
    now_ms, id, made = _now_ms(), f"g_{secrets.token_urlsafe(16)}", secrets.token_urlsafe(32)
    connection.execute(
        insert(grant).values(
            id=id, client=client, person=person, scopes=list(scopes), created_ms=now_ms,
            expires_ms=now_ms + life_ms,
        )
    )  # fmt: skip
    connection.execute(
        insert(code).values(
            digest=hashed(made), grant=id, redirect_uri=redirect_uri, challenge=challenge,
            expires_ms=now_ms + CODE_MS,
        )
    )  # fmt: skip
    return made


def use_code(connection: Connection, given: str, client: str, reused: Reused) -> Held | None:
    """Once, by the client it was made for. The second time ends the grant."""
    row = _row(connection, code, given)
    if row is None or row.client != client or not _first_use(connection, code, row, reused):
        return None
    if row.expires_ms <= _now_ms() or _over(row):
        return None
    return Held(
        row.grant, row.client, row.person, tuple(row.scopes), row.redirect_uri, row.challenge
    )


def new_refresh(connection: Connection, grant_id: str, bound: str) -> str:
    """The next of a family; it lives as long as the grant. bound: to a key's thumbprint."""
    made = f"fwrt_{secrets.token_urlsafe(32)}"
    ends = select(grant.c.expires_ms).where(grant.c.id == grant_id).scalar_subquery()
    connection.execute(
        insert(refresh_token).values(
            digest=hashed(made), grant=grant_id, bound=bound, created_ms=_now_ms(),
            expires_ms=ends,
        )
    )  # fmt: skip
    return made


def use_refresh(connection: Connection, given: str, client: str, reused: Reused) -> Held | None:
    """Once. The second time somebody else has it: all of the family ends."""
    row = _row(connection, refresh_token, given)
    if row is None or row.client != client:
        return None
    if not _first_use(connection, refresh_token, row, reused):
        return None
    if row.expires_ms <= _now_ms() or _over(row):
        return None
    return Held(row.grant, row.client, row.person, tuple(row.scopes), bound=row.bound)


def find_refresh(connection: Connection, given: str) -> tuple[Held, bool] | None:
    """Without using it; and whether it would still be good."""
    row = _row(connection, refresh_token, given)
    if row is None:
        return None
    good = row.used_ms is None and row.expires_ms > _now_ms() and not _over(row)
    return Held(row.grant, row.client, row.person, tuple(row.scopes), bound=row.bound), good


def end(connection: Connection, grant_id: str) -> None:
    """Revoked: every token of it is dead."""
    alive = (grant.c.id == grant_id) & grant.c.revoked_ms.is_(None)
    connection.execute(update(grant).where(alive).values(revoked_ms=_now_ms()))


def revoke_token(connection: Connection, jti: str, expires_ms: int) -> None:
    """One access token; twice is once."""
    if connection.execute(select(revoked_token).where(revoked_token.c.jti == jti)).first() is None:
        connection.execute(insert(revoked_token).values(jti=jti, expires_ms=expires_ms))


def revoked(connection: Connection, token_ms: int) -> tuple[str, ...]:
    """What the data plane must refuse though its expiry has not come: tokens, and grants.

    token_ms: how long an access token lives; a grant that ended longer ago has none left.
    """
    now_ms = _now_ms()
    tokens = select(revoked_token.c.jti).where(revoked_token.c.expires_ms > now_ms)
    ended = select(grant.c.id).where(grant.c.revoked_ms > now_ms - token_ms)
    found = [*connection.execute(tokens).scalars(), *connection.execute(ended).scalars()]
    return tuple(sorted(found))


def is_revoked(connection: Connection, jti: str) -> bool:
    """By its own id or its grant's."""
    own = select(revoked_token.c.jti).where(revoked_token.c.jti == jti)
    family = select(grant.c.id).where(
        grant.c.id == jti.partition(".")[0], grant.c.revoked_ms.is_not(None)
    )
    return any(connection.execute(one).first() is not None for one in (own, family))


def first_time(connection: Connection, client: str, jti: str, expires_ms: int) -> bool:
    """True once for each id a client signs an assertion with."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(seen_assertion).values(client=client, jti=jti, expires_ms=expires_ms)
            )
    except IntegrityError:
        return False
    return True


def sweep(connection: Connection) -> None:
    """Forget what could no longer matter."""
    now_ms = _now_ms()
    for table in (revoked_token, seen_assertion):
        connection.execute(delete(table).where(table.c.expires_ms < now_ms))
    old = or_(grant.c.expires_ms < now_ms, grant.c.revoked_ms < now_ms - 86_400_000)
    gone = select(grant.c.id).where(old)
    for table in (code, refresh_token):
        connection.execute(delete(table).where(table.c.grant.in_(gone)))
    connection.execute(delete(grant).where(old))


def _row(connection: Connection, table: Table, given: str) -> Row[Any] | None:
    wanted = (
        select(table, grant.c.client, grant.c.person, grant.c.scopes, grant.c.revoked_ms)
        .join(grant, grant.c.id == table.c.grant)
        .where(table.c.digest == hashed(given))
    )
    return connection.execute(wanted).one_or_none()


def _first_use(connection: Connection, table: Table, row: Row[Any], reused: Reused) -> bool:
    """One of two at the same time is first; the other ends the grant."""
    unused = (table.c.digest == row.digest) & table.c.used_ms.is_(None)
    if connection.execute(update(table).where(unused).values(used_ms=_now_ms())).rowcount == 1:
        return True
    end(connection, row.grant)
    reused()
    return False


def _over(row: Row[Any]) -> bool:
    return row.revoked_ms is not None


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)
