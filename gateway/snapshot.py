"""This file exists to carry everything a data plane must know in one immutable, numbered struct.

Owns   the shape Snapshot; its checks; the last good one on disk.
Fails  SnapshotRefused: a snapshot that would let somebody in by accident, or that is not whole.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Raw, Struct, structs

from gateway import lifecycle
from gateway.keys import write_private
from gateway.lifecycle import Life
from gateway.metering.limit import Adjusted, Limit, repeated
from gateway.routes import METHODS, Name, Route, Table, Upstream
from gateway.steps import Steps, finished, slices


class SnapshotRefused(ValueError):
    """The snapshot must not be served; the one before stays in force."""


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """limits: all in force at once; a plan without a rate leaves that to the route.

    version_default: for keys without a pin of their own, and for tokens; head when empty.
    origins: of the pages that may call with it from a browser; none means any the route allows.
    routes: it is for, by name; none means all that its scopes open.
    """

    name: Name
    scopes: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    version_default: str = ""
    origins: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


class Consumer(Struct, frozen=True, forbid_unknown_fields=True):
    """Who calls: a partner, a portal, a job. plans: it subscribes to, the first is the default."""

    name: Name
    plans: Annotated[tuple[Name, ...], Meta(min_length=1)]


class Key(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """digest: HMAC of the key under pepper. scopes: only those also in the plan count.

    expires_s: Unix seconds, 0 for never. networks: CIDR, none means everywhere.
    version_pin: the version it speaks unless a request says otherwise. plan: one of its consumer's,
    empty for the default; so it is with an issuer and a client. test: for sandboxes only.
    """

    id: str
    digest: bytes
    pepper: str
    consumer: Name
    scopes: tuple[str, ...]
    expires_s: int = 0
    networks: tuple[str, ...] = ()
    version_pin: str = ""
    plan: str = ""
    test: bool = False


class Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose access tokens count. keys: public JWKs. types: of the tokens, lower case.

    consumer: as whom they come; empty for our own issuer, whose tokens name a client.
    scopes: at most these; none means all of the plan's.
    """

    issuer: str
    audience: str
    keys: tuple[dict[str, Any], ...]
    types: tuple[str, ...] = ("at+jwt",)
    consumer: str = ""
    scopes: tuple[str, ...] = ()
    plan: str = ""


class Client(Struct, frozen=True, forbid_unknown_fields=True):
    """A client of our own issuer. bound: its tokens must be: `mtls`, `dpop`, or nothing."""

    id: str
    consumer: Name
    scopes: tuple[str, ...] = ()
    bound: Literal["", "mtls", "dpop"] = ""
    plan: str = ""


class Snapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """version grows with every change. hosts: names we answer to; none means any.

    revoked: ids of tokens, and of whole grants, that would still be good by their expiry.
    adjusted: counters that were reset, limits that were raised for a while.
    """

    version: int
    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    plans: tuple[Plan, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    keys: tuple[Key, ...] = ()
    hosts: tuple[str, ...] = ()
    versions: tuple[Life, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    clients: tuple[Client, ...] = ()
    revoked: tuple[str, ...] = ()
    adjusted: tuple[Adjusted, ...] = ()


def within(scope: str, granted: frozenset[str]) -> bool:
    """True when a plan's scopes hold this one, itself or as `tier:*`."""
    return scope in granted or f"{scope.partition(':')[0]}:*" in granted


class Held:
    """Which consumer is on which plans. Made at every swap; nearly all are on one."""

    __slots__ = ("_defaults", "_further")

    def __init__(self, snapshot: Snapshot) -> None:
        plans = {plan.name: plan for plan in snapshot.plans}
        self._defaults = {one.name: plans[one.plans[0]] for one in snapshot.consumers}
        self._further = {
            (one.name, name): plans[name]
            for one in snapshot.consumers
            if len(one.plans) > 1
            for name in one.plans
        }

    def plan(self, consumer: str, wanted: str) -> Plan | None:
        """The one of this name, "" is the default; None for one that the consumer is not on."""
        default = self._defaults.get(consumer)
        if not wanted or default is None or default.name == wanted:
            return default
        return self._further.get((consumer, wanted))


def scopes_of(scopes: tuple[str, ...], plan: Plan) -> frozenset[str]:
    """What a key may: its own scopes as far as the plan holds them; all of the plan's for none."""
    granted = frozenset(plan.scopes)
    if not scopes:
        return granted
    return frozenset(scope for scope in scopes if within(scope, granted))


def encode(snapshot: Snapshot) -> bytes:
    """The wire and disk form: a checksum line, then MessagePack (half of what JSON costs)."""
    body = msgspec.msgpack.encode(snapshot)
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


class Field:
    """One field of a Snapshot: how to read it. item: of what it is a list, when that is a shape."""

    def __init__(self, field: structs.FieldInfo) -> None:
        self.whole = msgspec.msgpack.Decoder(field.type)
        of = get_args(field.type)[:1] if get_origin(field.type) is tuple else ()
        shape = bool(of) and isinstance(of[0], type) and issubclass(of[0], Struct)
        self.item = msgspec.msgpack.Decoder(of[0]) if shape else None


_FIELDS = {field.name: Field(field) for field in structs.fields(Snapshot)}
_REQUIRED = frozenset(field.name for field in structs.fields(Snapshot) if field.required)
_PIECES = msgspec.msgpack.Decoder(dict[str, Raw])
_ITEMS = msgspec.msgpack.Decoder(list[Raw])


class Reader:
    """Reads one snapshot after the other: what comes again as it was is the same object again."""

    def __init__(self) -> None:
        self._known: dict[str, dict[bytes, Any]] = {}

    def steps(self, raw: bytes) -> Steps[Snapshot]:
        """Raises SnapshotRefused when it is cut, altered or not of this shape."""
        seal, _, body = raw.partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != seal:
            raise SnapshotRefused("the checksum does not fit: the snapshot is cut or altered")
        yield
        known: dict[str, dict[bytes, Any]] = {}
        values: dict[str, Any] = {}
        name = ""
        try:
            pieces = _PIECES.decode(body)
            for name, piece in pieces.items():
                yield
                field = _FIELDS.get(name)
                if field is None:
                    raise SnapshotRefused(f"{name} is not part of a snapshot")
                if field.item is None:
                    values[name] = field.whole.decode(piece)
                else:
                    before, known[name] = self._known.get(name, {}), {}
                    values[name] = yield from _items(piece, field.item, before, known[name])
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise SnapshotRefused(f"{name}: {error}" if name else str(error)) from error
        if missing := _REQUIRED - values.keys():
            raise SnapshotRefused(f"{', '.join(missing)} is missing")
        self._known = known
        return Snapshot(**values)


def _items(
    piece: Raw,
    decoder: msgspec.msgpack.Decoder[Any],
    before: dict[bytes, Any],
    known: dict[bytes, Any],
) -> Steps[tuple[Any, ...]]:
    found = []
    for part in slices(_ITEMS.decode(piece)):
        yield
        for raw in part:
            said = bytes(raw)
            item = before.get(said)
            if item is None:
                item = decoder.decode(said)
            known[said] = item
            found.append(item)
    return tuple(found)


def decode(raw: bytes) -> Snapshot:
    """Raises SnapshotRefused when it is cut, altered or not of this shape; `check` looks within."""
    return finished(Reader().steps(raw))


def check(snapshot: Snapshot) -> None:
    """Everything named exists, and no route is open by omission."""
    finished(checks(snapshot))


def checks(snapshot: Snapshot) -> Steps[None]:
    """`check` in steps."""
    upstreams = {upstream.name for upstream in snapshot.upstreams}
    plans = {plan.name for plan in snapshot.plans}
    for route in snapshot.routes:
        if route.upstream not in upstreams:
            raise SnapshotRefused(f"route {route.name}: no upstream {route.upstream}")
        if not route.policies:
            raise SnapshotRefused(f"route {route.name} names no policies: denied by default")
        if wrong := set(route.methods) - set(METHODS):
            raise SnapshotRefused(f"route {route.name}: methods {sorted(wrong)}")
    for plan in snapshot.plans:
        if twice := repeated(plan.limits):
            raise SnapshotRefused(f"plan {plan.name}: two limits are named {twice}")
    routes = {route.name for route in snapshot.routes}
    for plan in snapshot.plans:
        if unknown := set(plan.routes) - routes:
            raise SnapshotRefused(f"plan {plan.name}: no route {', '.join(sorted(unknown))}")
    for consumer in snapshot.consumers:
        if unknown := set(consumer.plans) - plans:
            raise SnapshotRefused(f"consumer {consumer.name}: no plan {', '.join(sorted(unknown))}")
    yield
    yield from _subscriptions(snapshot)
    try:
        for life in snapshot.versions:
            lifecycle.check(life)
        Table((route, route.name) for route in snapshot.routes)
    except ValueError as error:
        raise SnapshotRefused(str(error)) from error


def _subscriptions(snapshot: Snapshot) -> Steps[None]:
    """Whoever may call is of a consumer, and for one of its plans."""
    held = Held(snapshot)
    for part in slices(snapshot.keys):
        yield
        for key in part:
            if held.plan(key.consumer, key.plan) is None:
                raise _not_held(held, f"key {key.id}", key.consumer, key.plan)
    for client in snapshot.clients:
        if held.plan(client.consumer, client.plan) is None:
            raise _not_held(held, f"client {client.id}", client.consumer, client.plan)
    for issuer in snapshot.issuers:
        if issuer.consumer and held.plan(issuer.consumer, issuer.plan) is None:
            raise _not_held(held, f"issuer {issuer.issuer}", issuer.consumer, issuer.plan)


def _not_held(held: Held, who: str, consumer: str, plan: str) -> SnapshotRefused:
    if held.plan(consumer, "") is None:
        return SnapshotRefused(f"{who}: no consumer {consumer}")
    return SnapshotRefused(f"{who}: {consumer} does not subscribe to the plan {plan}")


class Shelf:
    """The last good snapshot in a file, so that a data plane starts without its control plane."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self, raw: bytes) -> None:
        """Whole or not at all."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._file, raw)

    def last(self) -> Snapshot | None:
        """None when there is none, or none that can be trusted."""
        try:
            return decode(self._file.read_bytes())
        except (FileNotFoundError, SnapshotRefused):
            return None
