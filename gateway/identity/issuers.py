"""This file exists to know the keys of the issuers we trust, without any caller waiting for them.

Owns   the table trusted_issuer, and the only calls to other issuers: their key sets, every few
       minutes and when a data plane met a key it does not know; one at a time, and not too often.
Fails  INVALID for an address we would not ask. An issuer that is down or answers nonsense keeps
       the keys it had.
Source RFC 7517 section 5, RFC 8725 section 3.10 (SSRF), RFC 9068 section 4.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Connection, Row, delete, insert, select, update

from chassis import clock
from chassis.database import Database
from chassis.fetch import Address, Unfetched, fetch
from chassis.log import log
from contracts.problem import Fault, Problem
from gateway.control import audit
from gateway.control.publish import Publisher
from gateway.control.rows import instant, invalid, maybe, ms, named
from gateway.control.shapes import Scope, Text
from gateway.control.subscriptions import plan_for
from gateway.control.tables import consumer
from gateway.identity import grants, sessions
from gateway.identity.jose import keys_of
from gateway.identity.tables import issuer
from gateway.routes import Name

REFRESH_S = 300.0
AGAIN_S = 10.0
WAIT_S = 5.0
JWKS_BYTES = 200_000
KEYS_MOST = 50
_LOG = log("gateway.issuers")
Url = Annotated[str, Meta(pattern=r"^https?://[^\s#]{1,400}$")]


class IssuerDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """issuer: as its tokens say. audience: what they must be meant for. consumer: as whom they
    come; plan: for which of its plans, the default when left out. jwks_uri: found by discovery when
    left out. types: `typ` of its tokens, lower case.
    """

    issuer: Url
    audience: Annotated[str, Meta(min_length=1, max_length=400)]
    consumer: Name
    jwks_uri: Url | None = None
    scopes: tuple[Scope, ...] = ()
    types: Annotated[tuple[str, ...], Meta(min_length=1)] = ("at+jwt",)
    plan: str = ""
    reason: Text = ""


class IssuerView(Struct, frozen=True):
    """keys: ids of the keys we would believe."""

    issuer: str
    audience: str
    consumer: str
    jwks_uri: str
    scopes: tuple[str, ...]
    types: tuple[str, ...]
    keys: tuple[str, ...]
    created_at: datetime
    fetched_at: datetime | None
    plan: str = ""


class IssuerRemoval(Struct, frozen=True, forbid_unknown_fields=True):
    issuer: str
    reason: Text = ""


class _KeySet(Struct, frozen=True):
    keys: tuple[dict[str, Any], ...]


class _Discovered(Struct, frozen=True):
    issuer: str
    jwks_uri: str


class Keeper:
    """One a control plane. loopback: whether this machine's own addresses may be asked."""

    def __init__(self, database: Database, publisher: Publisher, *, loopback: bool) -> None:
        self._database = database
        self._publisher = publisher
        self._loopback = loopback
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._asked_s: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled. What can no longer matter is forgotten on the way."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._round()
            except Exception as error:  # house: except one bad round must not end all that follow
                _LOG.error("issuers.round_failed", because=repr(error), exc_info=error)

    async def _round(self) -> None:
        await self._database.write(grants.sweep)
        await self._database.write(sessions.sweep)
        for name in await self._database.read(names):
            await self.refresh(name)

    async def discovered(self, draft: IssuerDraft) -> tuple[str, list[dict[str, Any]]]:
        """Where its keys are, and which; INVALID when they cannot be had."""
        uri = draft.jwks_uri
        if uri is None:
            found = await self._got(
                f"{draft.issuer.rstrip('/')}/.well-known/openid-configuration", _Discovered
            )
            if found.issuer != draft.issuer:
                raise invalid("/issuer", f"it calls itself {found.issuer}")
            uri = found.jwks_uri
        keys = await self._keys(uri)
        if not keys_of(keys):
            raise invalid("/jwks_uri", "no key there that we would believe")
        return uri, keys

    def noticed(self, name: str) -> None:
        """A data plane met a key it does not know."""
        last_s = self._asked_s.get(name)
        if name in self._asking or (last_s and clock.monotonic() - last_s < AGAIN_S):
            return
        task = asyncio.get_running_loop().create_task(self.refresh(name))
        task.add_done_callback(lambda _: None)

    async def refresh(self, name: str) -> bool:
        """True when there are new keys. Whoever asks meanwhile waits for the same answer."""
        task = self._asking.get(name)
        if task is None:
            self._asked_s[name] = clock.monotonic()
            task = asyncio.get_running_loop().create_task(self._refresh(name))
            self._asking[name] = task
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _refresh(self, name: str) -> bool:
        row = await self._database.read(lambda c: _row(c, name))
        if row is None:
            return False
        try:
            keys = await self._keys(row.jwks_uri)
        except Problem as problem:
            _LOG.warning("issuer.keys_stale", issuer=name, because=problem.because or problem.say)
            return False
        if not keys_of(keys) or keys == row.keys:
            return False
        await self._publisher.change(lambda c: _keep(c, name, keys))
        _LOG.info("issuer.keys_changed", issuer=name, keys=sorted(keys_of(keys)))
        return True

    async def _keys(self, uri: str) -> list[dict[str, Any]]:
        return list((await self._got(uri, _KeySet)).keys[:KEYS_MOST])

    async def _got(self, uri: str, shape: type[Any]) -> Any:
        try:
            body = await fetch(uri, self._judge, wait_s=WAIT_S, most_bytes=JWKS_BYTES)
            return msgspec.json.decode(body, type=shape)
        except Unfetched as error:
            raise invalid("/issuer", str(error)) from error
        except msgspec.DecodeError as error:
            raise invalid("/jwks_uri", f"{uri} answers no such document") from error

    def _judge(self, scheme: str, addresses: Sequence[Address]) -> str:
        """https, and no address that means this machine or its neighbours on the wire."""
        if self._loopback and all(each.is_loopback for each in addresses):
            return ""
        if scheme != "https":
            return "only https is asked"
        near = (
            a.is_loopback or a.is_link_local or a.is_multicast or a.is_unspecified
            for a in addresses
        )
        return "an address of this machine or its neighbourhood is not asked" if any(near) else ""


def put(
    connection: Connection, draft: IssuerDraft, uri: str, keys: list[dict[str, Any]], actor: str
) -> IssuerView:
    """Make or replace."""
    if named(connection, consumer, draft.consumer) is None:
        raise invalid("/consumer", f"there is no consumer {draft.consumer}")
    plan_for(connection, draft.consumer, draft.plan)
    now_ms = ms(clock.now())
    values = {
        "audience": draft.audience, "jwks_uri": uri, "consumer": draft.consumer,
        "scopes": list(draft.scopes), "types": [kind.lower() for kind in draft.types],
        "keys": keys, "fetched_ms": now_ms, "plan": draft.plan,
    }  # fmt: skip
    before = _row(connection, draft.issuer)
    if before is None:
        connection.execute(insert(issuer).values(issuer=draft.issuer, created_ms=now_ms, **values))
    else:
        mine = issuer.c.issuer == draft.issuer
        connection.execute(update(issuer).where(mine).values(**values))
    after = issuer_of(connection, draft.issuer)
    audit.append(
        connection, actor=actor, action="issuer.set", subject=draft.issuer, reason=draft.reason,
        before=_view(before) if before else None, after=after,
    )  # fmt: skip
    return after


def remove(connection: Connection, name: str, reason: str, actor: str) -> IssuerView:
    """Its tokens are dead with it."""
    before = issuer_of(connection, name)
    connection.execute(delete(issuer).where(issuer.c.issuer == name))
    audit.append(
        connection, actor=actor, action="issuer.removed", subject=name, reason=reason,
        before=before,
    )  # fmt: skip
    return before


def issuer_of(connection: Connection, name: str) -> IssuerView:
    """NOT_FOUND."""
    row = _row(connection, name)
    if row is None:
        raise Problem(Fault.NOT_FOUND, f"There is no trusted issuer {name}.")
    return _view(row)


def views(connection: Connection) -> tuple[IssuerView, ...]:
    """By name."""
    rows = connection.execute(select(issuer).order_by(issuer.c.issuer))
    return tuple(_view(row) for row in rows)


def names(connection: Connection) -> tuple[str, ...]:
    return tuple(connection.execute(select(issuer.c.issuer)).scalars())


def _keep(connection: Connection, name: str, keys: list[dict[str, Any]]) -> None:
    mine = update(issuer).where(issuer.c.issuer == name)
    connection.execute(mine.values(keys=keys, fetched_ms=ms(clock.now())))


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(issuer).where(issuer.c.issuer == name)).one_or_none()


def _view(row: Row[Any]) -> IssuerView:
    return IssuerView(
        row.issuer, row.audience, row.consumer, row.jwks_uri, tuple(row.scopes), tuple(row.types),
        tuple(sorted(keys_of(row.keys))), instant(row.created_ms), maybe(row.fetched_ms),
        row.plan,
    )  # fmt: skip
