"""This file exists to read and change plans and consumers, each change audited in place.

Owns   the statements on the control plane's tables. Synchronous; called inside a transaction.
Fails  NOT_FOUND, CONFLICT, INVALID.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, Table, delete, func, or_, select

from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control import audit, subscriptions, version_store
from gateway.control.rows import Found, invalid, like, named, page, put
from gateway.control.shapes import ConsumerDraft, ConsumerView, PlanDraft, PlanView
from gateway.control.tables import adjusted, api_key, consumer, plan, subscription
from gateway.identity.tables import client as oauth_client
from gateway.identity.tables import issuer as trusted_issuer
from gateway.metering.limit import Limit


def put_plan(connection: Connection, name: str, draft: PlanDraft, actor: str) -> PlanView:
    """Make or replace."""
    values = {
        "scopes": list(draft.scopes),
        "limits": [msgspec.to_builtins(limit) for limit in draft.limits],
        "version_default": draft.version_default,
        "origins": list(draft.origins),
        "routes": list(draft.routes),
    }
    if draft.version_default:
        version_store.known(
            draft.version_default, "/version_default", lives=version_store.lives(connection)
        )
    before = named(connection, plan, name)
    put(connection, plan, name, values, exists=before is not None)
    after = plan_view(named(connection, plan, name))
    audit.append(
        connection, actor=actor, action="plan.set", subject=name, reason=draft.reason,
        before=plan_view(before) if before else None, after=after,
    )  # fmt: skip
    return after


def put_consumer(
    connection: Connection, name: str, draft: ConsumerDraft, actor: str
) -> ConsumerView:
    """Make or replace. What names no plan follows the first one; CONFLICT while a plan that is
    left out is named."""
    for index, wanted in enumerate(draft.plans):
        if named(connection, plan, wanted) is None:
            raise invalid(f"/plans/{index}", f"there is no plan {wanted}")
    row = named(connection, consumer, name)
    before = consumer_of(connection, name) if row is not None else None
    if before is not None and (gone := set(before.plans) - set(draft.plans)):
        subscriptions.demand_unused(connection, name, sorted(gone))
    told = {"owner": draft.owner, "contact": draft.contact, "tenant": draft.tenant}
    values = {"plan": draft.plans[0]} | {k: v for k, v in told.items() if v is not None}
    put(connection, consumer, name, values, exists=before is not None)
    subscriptions.put_further(connection, name, draft.plans[1:])
    after = consumer_of(connection, name)
    audit.append(
        connection, actor=actor, action="consumer.set", subject=name, reason=draft.reason,
        before=before, after=after,
    )  # fmt: skip
    return after


def subscribe(
    connection: Connection, name: str, wanted: str, reason: str, actor: str
) -> ConsumerView:
    """One plan more; the default stays. Twice is once."""
    now = consumer_of(connection, name)
    if wanted in now.plans:
        return now
    draft = ConsumerDraft(plans=(*now.plans, wanted), reason=reason)
    return put_consumer(connection, name, draft, actor)


def unsubscribe(
    connection: Connection, name: str, gone: str, reason: str, actor: str
) -> ConsumerView:
    """CONFLICT while it is used: also the default by those that name none, who would silently get
    other rights. Who wants that says the new order with `put_consumer`."""
    now = consumer_of(connection, name)
    if gone not in now.plans:
        raise Problem(Fault.NOT_FOUND, f"{name} does not subscribe to the plan {gone}.")
    if len(now.plans) == 1:
        raise Problem(Fault.CONFLICT, f"{gone} is the only plan of {name}: it needs one.")
    if gone == now.plans[0]:
        subscriptions.demand_unused(connection, name, (gone, ""))
    left = tuple(plan for plan in now.plans if plan != gone)
    return put_consumer(connection, name, ConsumerDraft(plans=left, reason=reason), actor)


def remove_plan(connection: Connection, name: str, reason: str, actor: str) -> None:
    """CONFLICT while a consumer subscribes to it."""
    before = plan_of(connection, name)
    on_it = select(func.count()).select_from(consumer).where(subscriptions.on(name))
    if number := connection.execute(on_it).scalar_one():
        raise Problem(Fault.CONFLICT, f"{number} consumers are on the plan {name}.")
    connection.execute(delete(plan).where(plan.c.name == name))
    audit.append(
        connection, actor=actor, action="plan.removed", subject=name, reason=reason, before=before
    )


def remove_consumer(connection: Connection, name: str, reason: str, actor: str) -> None:
    """CONFLICT once it has had keys or clients: their history names it."""
    before = consumer_of(connection, name)
    for what, table in (("clients", oauth_client), ("trusted issuers", trusted_issuer)):
        named_by = select(func.count()).select_from(table).where(table.c.consumer == name)
        if number := connection.execute(named_by).scalar_one():
            raise Problem(Fault.CONFLICT, f"{name} has {number} {what}: revoke or remove them.")
    its = select(func.count()).select_from(api_key).where(api_key.c.consumer == name)
    if number := connection.execute(its).scalar_one():
        raise Problem(
            Fault.CONFLICT, f"{name} has {number} keys; revoke them instead of removing it."
        )
    for table in (adjusted, subscription):
        connection.execute(delete(table).where(table.c.consumer == name))
    connection.execute(delete(consumer).where(consumer.c.name == name))
    audit.append(
        connection, actor=actor, action="consumer.removed", subject=name, reason=reason,
        before=before,
    )  # fmt: skip


def plan_of(connection: Connection, name: str) -> PlanView:
    """NOT_FOUND."""
    return plan_view(_there(connection, plan, name))


def consumer_of(connection: Connection, name: str) -> ConsumerView:
    """NOT_FOUND."""
    return _consumers(connection, [_there(connection, consumer, name)])[0]


def consumers_all(connection: Connection) -> list[ConsumerView]:
    """By name."""
    rows = connection.execute(select(consumer).order_by(consumer.c.name)).all()
    return _consumers(connection, rows, whole=True)


def plan_there(connection: Connection, name: str) -> bool:
    """Whether there is one of this name."""
    return named(connection, plan, name) is not None


def plans_page(
    connection: Connection, limit: int, after: str | None, *, search: str = ""
) -> Page[PlanView]:
    """By name. search: in the name."""
    wanted = select(plan).order_by(plan.c.name).limit(limit + 1)
    if search:
        wanted = wanted.where(plan.c.name.ilike(like(search), escape="/"))
    if after is not None:
        wanted = wanted.where(plan.c.name > after)
    found = [plan_view(row) for row in connection.execute(wanted)]
    return page(found, limit, lambda view: view.name)


def consumers_page(
    connection: Connection,
    limit: int,
    after: str | None,
    *,
    on_plan: str | None = None,
    search: str = "",
) -> Page[ConsumerView]:
    """By name. search: in name, owner, contact and tenant."""
    columns = consumer.c
    wanted = select(consumer).order_by(columns.name).limit(limit + 1)
    if on_plan is not None:
        wanted = wanted.where(subscriptions.on(on_plan))
    if search:
        fields = (columns.name, columns.owner, columns.contact, columns.tenant)
        wanted = wanted.where(or_(*(c.ilike(like(search), escape="/") for c in fields)))
    if after is not None:
        wanted = wanted.where(columns.name > after)
    found = _consumers(connection, connection.execute(wanted).all())
    return page(found, limit, lambda view: view.name)


def count(connection: Connection, what: Literal["plan", "consumer"]) -> int:
    """How many there are."""
    table = plan if what == "plan" else consumer
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def plan_view(row: Found | None) -> PlanView:
    assert row is not None
    return PlanView(
        row.name,
        tuple(row.scopes),
        limits_of(row),
        row.version_default,
        tuple(row.origins),
        tuple(row.routes),
    )


def limits_of(row: Found) -> tuple[Limit, ...]:
    """Of a row of the table plan."""
    return msgspec.convert(row.limits, tuple[Limit, ...])


def _consumers(
    connection: Connection, rows: Sequence[Found], *, whole: bool = False
) -> list[ConsumerView]:
    """whole: these are all there are."""
    more = subscriptions.further(connection, None if whole else [row.name for row in rows])
    return [
        ConsumerView(
            row.name, (row.plan, *more.get(row.name, ())), row.owner, row.contact, row.tenant
        )
        for row in rows
    ]


def _there(connection: Connection, table: Table, name: str) -> Found:
    found = named(connection, table, name)
    if found is None:
        raise Problem(Fault.NOT_FOUND, f"There is no {table.name} {name}.")
    return found
