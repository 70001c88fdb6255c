"""This file exists to keep the keys that sign our access tokens, and to change them in time.

Owns   the table signing_key; private halves are sealed under a pepper, so a copy of the database
       signs nothing. A retired key stays published until its last token has expired.
Fails  ValueError when a pepper that sealed a key is gone.
Source RFC 7517, RFC 7638 (kid), RFC 9068 section 2.1 (typ), RFC 7516 (dir, A256GCM).
"""

import hmac
from typing import Any

import msgspec
from joserfc import jwe, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from chassis import clock
from gateway.control import audit
from gateway.identity.tables import signing_key
from gateway.keys import Peppers

PUBLISHED_AFTER_MS = 25 * 3_600_000
_SEAL = {"alg": "dir", "enc": "A256GCM"}


class SigningKey(Struct, frozen=True):
    """In force: signs what is issued now."""

    kid: str
    key: ECKey

    def token(self, claims: dict[str, Any]) -> str:
        """An access token."""
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.kid}
        return jwt.encode(header, claims, self.key, algorithms=["ES256"])


class SigningKeyView(Struct, frozen=True):
    kid: str
    created_ms: int
    retired_ms: int | None


def current(connection: Connection, peppers: Peppers) -> SigningKey:
    """The youngest; made when there is none."""
    wanted = select(signing_key).where(signing_key.c.retired_ms.is_(None))
    row = connection.execute(wanted.order_by(signing_key.c.created_ms.desc()).limit(1)).first()
    if row is None:
        return _make(connection, peppers)
    if row.pepper not in peppers.secrets:
        raise ValueError(f"signing key {row.kid}: the pepper {row.pepper} that sealed it is gone")
    try:
        opened = jwe.decrypt_compact(row.sealed, _sealing(peppers, row.pepper), ["dir", "A256GCM"])
    except JoseError as error:
        raise ValueError(f"signing key {row.kid}: sealed with another pepper") from error
    return SigningKey(row.kid, ECKey.import_key(msgspec.json.decode(opened.plaintext or b"")))


def rotate(
    connection: Connection, peppers: Peppers, *, actor: str, reason: str = ""
) -> SigningKeyView:
    """A new key signs from now on; tokens of the old ones stay good."""
    now_ms = _now_ms()
    alive = signing_key.c.retired_ms.is_(None)
    connection.execute(update(signing_key).where(alive).values(retired_ms=now_ms))
    made = _make(connection, peppers)
    audit.append(
        connection, actor=actor, action="signing_key.rotated", subject=made.kid, reason=reason
    )
    return SigningKeyView(made.kid, now_ms, None)


def views(connection: Connection) -> tuple[SigningKeyView, ...]:
    """Youngest first."""
    rows = connection.execute(select(signing_key).order_by(signing_key.c.created_ms.desc()))
    return tuple(SigningKeyView(row.kid, row.created_ms, row.retired_ms) for row in rows)


def published(connection: Connection) -> tuple[dict[str, Any], ...]:
    """Public JWKs of all keys whose tokens may still be good."""
    oldest_ms = _now_ms() - PUBLISHED_AFTER_MS
    rows = connection.execute(select(signing_key).order_by(signing_key.c.created_ms.desc()))
    return tuple(row.public for row in rows if row.retired_ms is None or row.retired_ms > oldest_ms)


def _make(connection: Connection, peppers: Peppers) -> SigningKey:
    key = ECKey.generate_key("P-256")
    kid = key.thumbprint()
    private = msgspec.json.encode(key.as_dict(private=True))
    sealed = jwe.encrypt_compact(
        {**_SEAL, "kid": kid}, private, _sealing(peppers, peppers.current), ["dir", "A256GCM"]
    )
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "ES256"}
    connection.execute(
        insert(signing_key).values(
            kid=kid, public=public, sealed=sealed.encode(), pepper=peppers.current,
            created_ms=_now_ms(),
        )
    )  # fmt: skip
    return SigningKey(kid, key)


def _sealing(peppers: Peppers, name: str) -> OctKey:
    return OctKey.import_key(hmac.digest(peppers.secrets[name], b"signing keys", "sha256"))


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)
