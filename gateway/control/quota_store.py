"""This file exists to show a consumer's limits and what is used, to reset counters and to raise.

Owns   the statements on the table adjusted: what was changed for a consumer on one of its plans.
       Synchronous; called inside a transaction.
Fails  NOT_FOUND, or INVALID naming the field. What is used comes from usage by hour: it is a few
       seconds behind what data planes count, and counts requests they let in, not what each costs.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from chassis import clock
from gateway.control import audit, store
from gateway.control.limit_words import said
from gateway.control.rows import Found, invalid
from gateway.control.shapes import LimitView, QuotaRaise, QuotaReset, QuotaView
from gateway.control.subscriptions import plan_for
from gateway.control.tables import adjusted, usage_hour
from gateway.metering.limit import Adjusted, Limit
from gateway.metering.periods import bounds

RAISED_DAYS_MOST = 92


def quotas_of(connection: Connection, name: str) -> tuple[QuotaView, ...]:
    """One for each of a consumer's plans, the default first."""
    plans = store.consumer_of(connection, name).plans
    return tuple(quota_of(connection, name, plan) for plan in plans)


def quota_of(connection: Connection, name: str, plan: str = "") -> QuotaView:
    """The limits of one of a consumer's plans, what was changed of them, what is used of quotas."""
    plan, limits = _limits(connection, name, plan)
    changes = _changes(connection, name, plan)
    now_s = int(clock.now().timestamp())
    views = []
    for limit in limits:
        change = changes.get(limit.name)
        live = change is not None and change.amount and change.until_s > now_s
        who = {"consumer": name, "plan": plan}
        used = used_of(connection, limit, who) if set(limit.per) <= {"consumer"} else None
        views.append(
            LimitView(
                limit.name, limit.kind, said(limit), limit.amount,
                raised_to=change.amount if live and change else None,
                raised_until=datetime.fromtimestamp(change.until_s, UTC)
                if live and change else None,
                used=used, resets=change.generation if change else 0,
            )
        )  # fmt: skip
    return QuotaView(name, plan, tuple(views))


def adjusted_all(connection: Connection) -> tuple[Adjusted, ...]:
    """For the snapshot."""
    columns = adjusted.c
    wanted = select(adjusted).order_by(columns.consumer, columns.plan, columns.limit_name)
    return tuple(
        Adjusted(row.consumer, row.plan, row.limit_name, row.generation, row.amount, row.until_s)
        for row in connection.execute(wanted)
    )


def used_of(connection: Connection, limit: Limit, who: dict[str, str]) -> int | None:
    """What was let in since the period began or an admin reset it.

    who: whose, by columns of the usage. None for what only data planes know.
    """
    counted = _let_in(connection, limit, who)
    if counted is None:
        return None
    begins_s, number = counted
    change = _changes(connection, who.get("consumer", ""), who.get("plan", "")).get(limit.name)
    if change is None or change.reset_s < begins_s:
        return number
    # What was forgiven is known of the consumer, not of a key or a route of it.
    return max(0, number - change.forgiven) if set(who) == {"consumer", "plan"} else None


def reset(connection: Connection, name: str, told: QuotaReset, actor: str) -> QuotaView:
    """Forget what was counted, of one limit or of all of a plan."""
    plan, limits = _chosen(connection, name, told.plan, told.limit)
    changes = _changes(connection, name, plan)
    now_s = int(clock.now().timestamp())
    for limit in limits:
        generation = changes[limit.name].generation if limit.name in changes else 0
        counted = _let_in(connection, limit, {"consumer": name, "plan": plan})
        _put(
            connection, name, plan, limit.name, generation=generation + 1,
            reset_s=now_s, forgiven=counted[1] if counted else 0,
        )  # fmt: skip
    audit.append(
        connection, actor=actor, action="quota.reset", subject=name, reason=told.reason,
        after={"plan": plan, "limit": told.limit or "all"},
    )  # fmt: skip
    return quota_of(connection, name, plan)


def raise_limit(connection: Connection, name: str, told: QuotaRaise, actor: str) -> QuotaView:
    """Another amount for a while; 0 ends it."""
    if not told.limit:
        raise invalid("/limit", "must be named")
    plan, (limit, *_) = _chosen(connection, name, told.plan, told.limit)
    now = clock.now()
    if told.amount and told.until is None:
        raise invalid("/until", "must say when it ends")
    if told.until is not None and (told.until.tzinfo is None or told.until <= now):
        raise invalid("/until", "must lie ahead, and name its offset")
    if told.until is not None and told.until > now + timedelta(days=RAISED_DAYS_MOST):
        raise invalid("/until", f"at most {RAISED_DAYS_MOST} days; change the plan for longer")
    change = _changes(connection, name, plan).get(limit.name)
    until_s = int(told.until.timestamp()) if told.until and told.amount else 0
    _put(connection, name, plan, limit.name, amount=told.amount, until_s=until_s)
    audit.append(
        connection, actor=actor, action="quota.raised", subject=name, reason=told.reason,
        before={
            "plan": plan, "limit": limit.name,
            "amount": change.amount if change and change.amount else limit.amount,
        },
        after={
            "plan": plan, "limit": limit.name, "amount": told.amount or limit.amount,
            "until": told.until,
        },
    )  # fmt: skip
    return quota_of(connection, name, plan)


def _limits(connection: Connection, name: str, plan: str) -> tuple[str, tuple[Limit, ...]]:
    store.consumer_of(connection, name)
    plan = plan_for(connection, name, plan)
    return plan, store.plan_of(connection, plan).limits


def _chosen(
    connection: Connection, name: str, plan: str, limit: str
) -> tuple[str, tuple[Limit, ...]]:
    plan, limits = _limits(connection, name, plan)
    found = tuple(one for one in limits if limit in ("", one.name))
    if not found:
        raise invalid("/limit", f"the plan {plan} has no limit {limit or 'at all'}")
    its = tuple(one for one in found if {"consumer", "key"} & {*one.per})
    if not its:
        raise invalid("/limit", "counts several consumers together: change the plan instead")
    return plan, its


def _let_in(connection: Connection, limit: Limit, who: dict[str, str]) -> tuple[int, int] | None:
    """When the running period began, and how many requests since; usage is kept by hour."""
    if limit.kind != "quota" or limit.period == "minute":
        return None
    begins_s, _ = bounds(limit.period, clock.now().timestamp())
    columns = usage_hour.c
    number: Any = func.sum(columns.requests - columns.throttled)
    wanted = select(number).where(columns.hour_s >= begins_s)
    for name, value in who.items():
        wanted = wanted.where(columns[name] == value)
    return begins_s, int(connection.execute(wanted).scalar() or 0)


def _changes(connection: Connection, name: str, plan: str) -> dict[str, Found]:
    """By limit."""
    mine = select(adjusted).where(adjusted.c.consumer == name, adjusted.c.plan == plan)
    return {row.limit_name: row for row in connection.execute(mine)}


def _put(connection: Connection, name: str, plan: str, limit: str, **values: int) -> None:
    columns = adjusted.c
    here = (columns.consumer == name) & (columns.plan == plan) & (columns.limit_name == limit)
    if not connection.execute(update(adjusted).where(here).values(**values)).rowcount:
        at = {"consumer": name, "plan": plan, "limit_name": limit}
        connection.execute(insert(adjusted).values(**at, **values))
