"""This file exists to keep to which plans a consumer subscribes, and who uses them.

Owns   consumer.plan, which is the first one and the default, and the table subscription, which
       holds the further ones in order. Synchronous; called inside a transaction.
Fails  INVALID for a plan that is not subscribed to; CONFLICT for one that is in use.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, insert, or_, select

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.control.rows import invalid, ms
from gateway.control.tables import api_key, consumer, subscription
from gateway.identity.tables import client, issuer

_NAMED_MOST = 10


def further(connection: Connection, names: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Plans beside the default, by consumer: of these, or of all."""
    columns = subscription.c
    wanted = select(columns.consumer, columns.plan).order_by(columns.consumer, columns.position)
    if names is not None:
        wanted = wanted.where(columns.consumer.in_(list(names)))
    found: dict[str, list[str]] = {}
    for name, plan in connection.execute(wanted):
        found.setdefault(name, []).append(plan)
    return found


def put_further(connection: Connection, name: str, plans: Iterable[str]) -> None:
    """Instead of those that were there."""
    connection.execute(delete(subscription).where(subscription.c.consumer == name))
    rows = [
        {"consumer": name, "plan": plan, "position": position}
        for position, plan in enumerate(plans, 1)
    ]
    if rows:
        connection.execute(insert(subscription), rows)


def on(plan: str) -> ColumnElement[bool]:
    """Condition on the table consumer: it subscribes to this plan."""
    columns = subscription.c
    more = exists().where(columns.consumer == consumer.c.name, columns.plan == plan)
    return or_(consumer.c.plan == plan, more)


def by_plan(connection: Connection) -> dict[str, int]:
    """How many consumers subscribe to each plan that has any."""
    found: dict[str, int] = {}
    for column in (consumer.c.plan, subscription.c.plan):
        for plan, number in connection.execute(select(column, func.count()).group_by(column)):
            found[plan] = found.get(plan, 0) + number
    return found


def plan_for(connection: Connection, name: str, wanted: str, pointer: str = "/plan") -> str:
    """What a key, a client or an issuer is for: the plan it names, or the default."""
    default: str = connection.execute(
        select(consumer.c.plan).where(consumer.c.name == name)
    ).scalar_one()
    if wanted in ("", default) or wanted in further(connection, [name]).get(name, ()):
        return wanted or default
    raise invalid(pointer, f"{name} does not subscribe to the plan {wanted}: subscribe it first")


def demand_unused(connection: Connection, name: str, plans: Iterable[str]) -> None:
    """CONFLICT, naming who of the consumer's is for one of these plans; "" is the default."""
    plans = list(plans)
    now_ms = ms(clock.now())
    alive = or_(api_key.c.expires_ms.is_(None), api_key.c.expires_ms > now_ms)
    using = [
        *_using(connection, api_key, "id", name, plans, api_key.c.revoked_ms.is_(None), alive),
        *_using(connection, client, "id", name, plans, client.c.revoked_ms.is_(None)),
        *_using(connection, issuer, "issuer", name, plans),
    ]
    if using:
        told = ", ".join(using[:_NAMED_MOST]) + (", ..." if len(using) > _NAMED_MOST else "")
        plan = next((plan for plan in plans if plan), "the default plan")
        raise Problem(Fault.CONFLICT, f"{plan} is used by {told}: end these first.")


def _using(
    connection: Connection,
    table: Table,
    told: str,
    name: str,
    plans: list[str],
    *alive: ColumnElement[bool],
) -> Iterable[str]:
    columns = table.c
    wanted = select(columns[told]).where(columns.consumer == name, columns.plan.in_(plans), *alive)
    return connection.execute(wanted.order_by(columns[told]).limit(_NAMED_MOST + 1)).scalars()
