"""This file exists to tell what is left of the limits that a key's request would meet.

Owns   the branch `limits` of why-denied. Quotas are known from what data planes push every two
       seconds; how often a caller came just now, and how much runs, only they know.
       Synchronous; called inside a transaction.
Fails  never.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection

from chassis import clock
from gateway.control import quota_store, usage_store
from gateway.control.limit_words import said
from gateway.control.shapes import KeyView, Verdict
from gateway.metering.limit import UNSAID, Limit, raised
from gateway.metering.periods import bounds
from gateway.routes import Route
from gateway.snapshot import Plan, Snapshot

Answer = Literal["yes", "no", "unknown"]


def limits_of(
    connection: Connection, key: KeyView, plan: Plan, route: Route | None, snapshot: Snapshot
) -> Verdict:
    """Each limit, and what is left of it as far as the control plane was told."""
    below = []
    told_at = usage_store.told_at(connection)
    for owner, limit in _met(key, plan, route, snapshot):
        who = _who(limit, owner, key, plan, route) if told_at else None
        used = quota_store.used_of(connection, limit, who) if who else None
        below.append(_verdict(owner, limit, used))
    answers = {verdict.answer for verdict in below}
    answer: Answer = "no" if "no" in answers else "unknown" if "unknown" in answers else "yes"
    say = _told(told_at)
    if any(route.policies.get("meter", {}).get("costs") for route in snapshot.routes):
        say += "; a call that costs more than one counts as one here"
    return Verdict("limits", answer, f"{say}: 429" if answer == "no" else say, tuple(below))


def _met(
    key: KeyView, plan: Plan, route: Route | None, snapshot: Snapshot
) -> Iterable[tuple[Literal["plan", "route"], Limit]]:
    """As policies/meter.py binds them: with what an admin raised, and the default for no rate."""
    now_s = clock.now().timestamp()
    more = {
        one.limit: one.amount
        for one in snapshot.adjusted
        if (one.consumer, one.plan) == (key.consumer, plan.name) and one.until_s > now_s
    }
    theirs = {"consumer", "key"}
    of_plan = [
        raised(limit, more[limit.name]) if more.get(limit.name) and theirs & {*limit.per} else limit
        for limit in plan.limits
    ]
    meter = route.policies.get("meter", {}) if route is not None else {}
    of_route = list(msgspec.convert(meter.get("limits", ()), tuple[Limit, ...]))
    if not any(limit.kind == "rate" and not limit.shadow for limit in of_plan + of_route):
        of_route.append(UNSAID)
    yield from (("plan", limit) for limit in of_plan)
    yield from (("route", limit) for limit in of_route)


def _who(
    limit: Limit, owner: str, key: KeyView, plan: Plan, route: Route | None
) -> dict[str, str] | None:
    """Whose use counts, by columns of the usage; None where it is not kept: by address."""
    if "address" in limit.per or (route is None and (owner == "route" or "route" in limit.per)):
        return None
    known = {"consumer": key.consumer, "key": key.id, "plan": plan.name}
    if route is not None:
        known["route"] = route.name
    whose = {owner, *limit.per} | ({"consumer"} if "key" in limit.per else set())
    return {name: known[name] for name in sorted(whose)}


def _verdict(owner: str, limit: Limit, used: int | None) -> Verdict:
    name = f"{owner}: {limit.name}"
    if used is None:
        return Verdict(name, "unknown", f"{said(limit)}; what is left only data planes know")
    left = max(0, limit.amount - used)
    if left:
        return Verdict(name, "yes", f"{left:,} left of {said(limit)}", left=left)
    _, ends_s = bounds(limit.period, clock.now().timestamp())
    until = datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    word: Answer = "yes" if limit.shadow else "no"
    return Verdict(name, word, f"nothing left until {until} of {said(limit)}", left=0)


def _told(at: datetime | None) -> str:
    if at is None:
        return "no data plane has told anything yet"
    seconds = max(0, round((clock.now() - at).total_seconds()))
    return f"data planes last told {seconds:,} s ago what was used"
