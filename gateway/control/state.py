"""This file exists to compare what files want with what is in force, and to make it so.

Owns   the shape of the wanted state, and the list of changes. Synchronous; called inside a
       transaction.
Fails  INVALID, naming each wrong thing by a pointer into the wanted state; CONFLICT when something
       that is in use should go. Then nothing is changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from chassis.problems import escaped, field_errors
from contracts.problem import Fault, FieldError, Problem
from gateway.control import audit, store
from gateway.control.applied import Kind, keep
from gateway.control.shapes import Change, ConsumerDraft, PlanDraft, Text
from gateway.control.tables import plan
from gateway.identity import issuers
from gateway.identity.issuers import IssuerDraft, IssuerView
from gateway.pipeline import PipeRefused, examine
from gateway.policy import Policy
from gateway.routes import Name, Route, Upstream
from gateway.snapshot import Snapshot

Tables = dict[Name, dict[str, Any]]


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section that is left out stays as it is. routes, upstreams and hosts are taken whole: what
    a file does not name is gone. Plans, consumers and issuers (by their address) that no file names
    stay, unless `prune`.
    """

    plans: Tables | None = None
    consumers: Tables | None = None
    upstreams: Tables | None = None
    routes: Tables | None = None
    hosts: tuple[str, ...] | None = None
    issuers: dict[str, dict[str, Any]] | None = None


class Wanted(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    state: State
    prune: bool = False
    reason: Text = ""


class Around(Struct, frozen=True):
    """policies: that routes may name. upstreams, routes: of our own, always there. issuers: where
    the keys of new and changed ones are, and which.
    """

    policies: Mapping[str, Policy]
    upstreams: frozenset[str]
    routes: frozenset[str]
    issuers: Mapping[str, tuple[str, list[dict[str, Any]]]]


def make_so(
    connection: Connection,
    wanted: Wanted,
    now: Snapshot,
    around: Around,
    actor: str,
) -> tuple[Change, ...]:
    """Do all of it; the changes that were made, none when everything was so already."""
    drafts = _drafts(wanted.state, now, around)
    changes = (*_plans(connection, drafts, wanted.prune), *_routing(now, drafts, around))
    changes = (*changes, *_issuers(connection, drafts, around, wanted.prune))
    order = {"upstream": 0, "hosts": 1, "route": 2, "plan": 3, "consumer": 4, "issuer": 5}
    doing = sorted((c for c in changes if c.verb != "removed"), key=lambda c: order[c.kind])
    going = sorted((c for c in changes if c.verb == "removed"), key=lambda c: -order[c.kind])
    for change in (*doing, *going):
        _do(connection, change, drafts, around, wanted.reason, actor)
    if any(change.kind in ("upstream", "hosts", "route") for change in changes):
        keep(connection, "upstream", drafts.upstreams)
        keep(connection, "route", drafts.routes)
        keep(connection, "hosts", None if drafts.hosts is None else {"hosts": drafts.hosts})
    return (*doing, *going)


def current(connection: Connection, now: Snapshot) -> State:
    """What is in force, as files would say it."""
    plans = connection.execute(select(plan).order_by(plan.c.name))
    return State(
        plans={row.name: _bare(store.plan_view(row)) for row in plans},
        consumers={view.name: _bare(view) for view in store.consumers_all(connection)},
        upstreams={upstream.name: _bare(upstream) for upstream in now.upstreams},
        routes={route.name: _bare(route) for route in now.routes},
        hosts=now.hosts,
        issuers={view.issuer: _trusted(view) for view in issuers.views(connection)},
    )


def issuers_to_ask(connection: Connection, wanted: Wanted) -> list[IssuerDraft]:
    """New and changed ones: their keys are fetched before anything is done."""
    wrong: list[FieldError] = []
    drafts = _issuer_drafts(wanted.state, wrong)
    _refuse(wrong)
    known = {view.issuer: _trusted(view) for view in issuers.views(connection)}
    return [
        draft
        for name, draft in (drafts or {}).items()
        if known.get(name) != _trusted(draft, known.get(name))
    ]


class _Drafts(Struct):
    plans: dict[str, PlanDraft] | None = None
    consumers: dict[str, ConsumerDraft] | None = None
    upstreams: dict[str, Upstream] | None = None
    routes: dict[str, Route] | None = None
    hosts: tuple[str, ...] | None = None
    issuers: dict[str, IssuerDraft] | None = None


def _drafts(state: State, now: Snapshot, around: Around) -> _Drafts:
    """Everything converted and looked at; INVALID with all that is wrong."""
    wrong: list[FieldError] = []
    drafts = _Drafts(
        plans=_converted(state.plans, "plans", PlanDraft, wrong, name=False),
        consumers=_converted(state.consumers, "consumers", ConsumerDraft, wrong, name=False),
        upstreams=_converted(state.upstreams, "upstreams", Upstream, wrong),
        routes=_converted(state.routes, "routes", Route, wrong),
        hosts=state.hosts,
        issuers=_issuer_drafts(state, wrong),
    )
    for section, tables in (
        ("plans", state.plans), ("consumers", state.consumers), ("issuers", state.issuers),
    ):  # fmt: skip
        wrong += [
            FieldError(f"/{section}/{escaped(name)}/reason", "is told once, when it is applied")
            for name, table in (tables or {}).items()
            if "reason" in table
        ]
    _examine(drafts, now, around, wrong)
    _consumers_there(drafts, now, wrong)
    _refuse(wrong)
    return drafts


def _refuse(wrong: list[FieldError]) -> None:
    if wrong:
        say = f"{wrong[0].pointer}: {wrong[0].reason}"
        raise Problem(Fault.INVALID, say, errors=tuple(wrong))


def _issuer_drafts(state: State, wrong: list[FieldError]) -> dict[str, IssuerDraft] | None:
    if state.issuers is None:
        return None
    told = {name: {"issuer": name, **table} for name, table in state.issuers.items()}
    return _converted(told, "issuers", IssuerDraft, wrong, name=False)


def _converted(
    tables: Tables | None, section: str, shape: type[Any], wrong: list[FieldError], *,
    name: bool = True,
) -> dict[str, Any] | None:  # fmt: skip
    if tables is None:
        return None
    found = {}
    for key, table in tables.items():
        given = {"name": key, **table} if name else table
        if errors := field_errors(given, shape, f"/{section}/{escaped(key)}"):
            wrong += errors
        else:
            found[key] = msgspec.convert(given, shape)
    return found


def _examine(drafts: _Drafts, now: Snapshot, around: Around, wrong: list[FieldError]) -> None:
    """What one table cannot know of another."""
    upstreams = (
        {upstream.name for upstream in now.upstreams}
        if drafts.upstreams is None
        else {*around.upstreams, *drafts.upstreams}
    )
    if drafts.routes == {}:
        wrong.append(FieldError("/routes", "names no route; leave the section out instead"))
    for name, route in (drafts.routes or {}).items():
        if route.name != name:
            wrong.append(FieldError(f"/routes/{name}/name", f"is {name}, and need not be said"))
        if route.upstream not in upstreams:
            wrong.append(
                FieldError(f"/routes/{name}/upstream", f"there is no upstream {route.upstream}")
            )
        try:
            examine(around.policies, route)
        except PipeRefused as refused:
            wrong.append(FieldError(f"/routes/{name}/policies", str(refused)))
    plans = {plan.name for plan in now.plans} | set(drafts.plans or {})
    wrong += [
        FieldError(f"/consumers/{name}/plans", f"there is no plan {wanted}")
        for name, draft in (drafts.consumers or {}).items()
        for wanted in draft.plans
        if wanted not in plans
    ]


def _consumers_there(drafts: _Drafts, now: Snapshot, wrong: list[FieldError]) -> None:
    """Whoever an issuer's tokens come as must be somebody."""
    there = {consumer.name: consumer.plans for consumer in now.consumers}
    there |= {name: draft.plans for name, draft in (drafts.consumers or {}).items()}
    for name, draft in (drafts.issuers or {}).items():
        at, who = f"/issuers/{escaped(name)}", draft.consumer
        if who not in there:
            wrong.append(FieldError(f"{at}/consumer", f"there is no consumer {who}"))
        elif draft.plan and draft.plan not in there[who]:
            say = f"{who} does not subscribe to the plan {draft.plan}"
            wrong.append(FieldError(f"{at}/plan", say))


def _plans(connection: Connection, drafts: _Drafts, prune: bool) -> list[Change]:
    changes: list[Change] = []
    if drafts.plans is not None:
        rows = connection.execute(select(plan).order_by(plan.c.name))
        before = {row.name: _bare(store.plan_view(row)) for row in rows}
        after = {name: _bare(draft) for name, draft in drafts.plans.items()}
        changes += _between("plan", before, after, whole=prune)
    if drafts.consumers is not None:
        before = {view.name: _bare(view) for view in store.consumers_all(connection)}
        after = {
            name: before.get(name, {"owner": "", "contact": "", "tenant": ""})
            | {key: value for key, value in _bare(draft).items() if value is not None}
            for name, draft in drafts.consumers.items()
        }
        changes += _between("consumer", before, after, whole=prune)
    return changes


def _routing(now: Snapshot, drafts: _Drafts, around: Around) -> list[Change]:
    changes: list[Change] = []
    for kind, in_force, wanted in (
        ("upstream", now.upstreams, drafts.upstreams),
        ("route", now.routes, drafts.routes),
    ):
        if wanted is not None:
            before = {thing.name: _bare(thing) for thing in in_force}
            after = {name: _bare(thing) for name, thing in wanted.items()}
            # What comes from the settings stays there; a file may only stand before it.
            own = around.upstreams if kind == "upstream" else around.routes
            before = {k: v for k, v in before.items() if k not in own or k in after}
            changes += _between(kind, before, after, whole=True)  # type: ignore[arg-type]
    if drafts.hosts is not None and drafts.hosts != now.hosts:
        changes.append(
            Change("hosts", "hosts", "changed", {"hosts": now.hosts}, {"hosts": drafts.hosts})
        )
    return changes


def _issuers(
    connection: Connection, drafts: _Drafts, around: Around, prune: bool
) -> Iterable[Change]:
    if drafts.issuers is None:
        return ()
    before = {view.issuer: _trusted(view) for view in issuers.views(connection)}
    after = {
        name: _trusted(draft, before.get(name))
        | ({"jwks_uri": around.issuers[name][0]} if name in around.issuers else {})
        for name, draft in drafts.issuers.items()
    }
    return _between("issuer", before, after, whole=prune)


def _trusted(
    thing: IssuerView | IssuerDraft, before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What files say of an issuer. Where its keys are is found, unless it is said."""
    plain = msgspec.to_builtins(thing)
    said = ("audience", "consumer", "plan", "scopes", "types", "jwks_uri")
    told = {name: plain[name] for name in said}
    told["types"] = [kind.lower() for kind in told["types"]]
    if told["jwks_uri"] is None and before is not None:
        told["jwks_uri"] = before["jwks_uri"]
    return told


def _between(
    kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any], *, whole: bool
) -> Iterable[Change]:
    for name, values in after.items():
        if name not in before:
            yield Change(kind, name, "added", {}, values)
        elif before[name] != values:
            yield Change(kind, name, "changed", before[name], values)
    if whole:
        for name, values in before.items():
            if name not in after:
                yield Change(kind, name, "removed", values, {})


def _do(
    connection: Connection,
    change: Change,
    drafts: _Drafts,
    around: Around,
    reason: str,
    actor: str,
) -> None:
    replace = msgspec.structs.replace
    if change.kind == "plan" and drafts.plans is not None:
        if change.verb == "removed":
            store.remove_plan(connection, change.name, reason, actor)
        else:
            draft = replace(drafts.plans[change.name], reason=reason)
            store.put_plan(connection, change.name, draft, actor)
    elif change.kind == "consumer" and drafts.consumers is not None:
        if change.verb == "removed":
            store.remove_consumer(connection, change.name, reason, actor)
        else:
            who = replace(drafts.consumers[change.name], reason=reason)
            store.put_consumer(connection, change.name, who, actor)
    elif change.kind == "issuer" and drafts.issuers is not None:
        if change.verb == "removed":
            issuers.remove(connection, change.name, reason, actor)
        else:
            trusted = replace(drafts.issuers[change.name], reason=reason)
            uri, keys = around.issuers[change.name]
            issuers.put(connection, trusted, uri, keys, actor)
    else:
        verb = "removed" if change.verb == "removed" else "set"
        audit.append(
            connection, actor=actor, action=f"{change.kind}.{verb}", subject=change.name,
            reason=reason, before=change.before, after=change.after,
        )  # fmt: skip


def _bare(thing: Struct) -> dict[str, Any]:
    """Plain data without the name, which is the table's, and the reason, which is the change's."""
    plain: dict[str, Any] = msgspec.to_builtins(thing)
    return {key: value for key, value in plain.items() if key not in ("name", "reason")}
