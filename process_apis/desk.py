"""Group the live queue by cause, with its worth by currency, the dearest first."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from contracts.entities.work_item import Severity, Team
from contracts.money import Money
from contracts.ports.process.exceptions import Group
from process_apis.tables import LIVE_ITEM_STATES, work_item

GROUPS_MAX = 500
_RANK = {"BLOCK": 0, "HOLD": 1, "WARN": 2}


def groups(connection: Connection, owner: str | None) -> tuple[Group, ...]:
    """At most GROUPS_MAX, by worth. Sums of different currencies are compared by their figures."""
    columns = work_item.c
    query = select(
        columns.group_key,
        columns.at_risk_currency,
        func.min(columns.code).label("code"),
        func.min(columns.root).label("root"),
        func.min(columns.severity).label("severity"),
        func.min(columns.owner).label("owner"),
        func.min(columns.hint).label("hint"),
        func.min(columns.opened_at).label("oldest"),
        func.count().label("items"),
        func.sum(columns.at_risk_minor).label("minor"),
    ).where(columns.state.in_(LIVE_ITEM_STATES))
    if owner is not None:
        query = query.where(columns.owner == owner)
    rows = connection.execute(query.group_by(columns.group_key, columns.at_risk_currency)).all()
    parts: dict[str, list[Any]] = {}
    for row in rows:
        parts.setdefault(row.group_key, []).append(row)
    found = [_group(key, members) for key, members in parts.items()]
    found.sort(key=_dearest)
    return tuple(found[:GROUPS_MAX])


def _group(key: str, members: list[Any]) -> Group:
    first = members[0]
    severity: Severity = first.severity
    owner: Team = first.owner
    oldest: datetime = min(row.oldest for row in members)
    worth = {row.at_risk_currency: int(row.minor) for row in members if row.minor is not None}
    return Group(
        group_key=key,
        code=first.code,
        root=first.root,
        severity=severity,
        owner=owner,
        items=sum(row.items for row in members),
        at_risk=tuple(Money(minor, currency) for currency, minor in sorted(worth.items())),
        hint=first.hint,
        oldest_opened_at=oldest.isoformat(),
    )


def _dearest(group: Group) -> tuple[int, Any, int, str]:
    worth = sum(risk.amount for risk in group.at_risk)
    return _RANK[group.severity] if not worth else -1, -worth, -group.items, group.group_key
