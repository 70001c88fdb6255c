"""This file exists to say numbers, instants and states on pages the way people read them.

Owns   the filters of the templates.
Fails  never.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from markupsafe import Markup

from chassis import clock
from gateway.control.limit_words import said
from gateway.control.shapes import PlanView

DONE = {
    "revoked": "The key is revoked. It stops working everywhere within a second.",
    "shortened": "The key's end was brought closer.",
    "saved": "Saved.",
    "client_revoked": "The client is revoked, and every token it has.",
    "disabled": "Signed out everywhere, for good.",
    "keys_new": "The issuer's keys have changed; the new ones are in force.",
    "keys_same": "The issuer's keys are the same, or it did not answer: those it had stay.",
    "rotated": "A new key signs from now on.",
    "removed": "Removed.",
    "reset": "The counters were reset.",
    "raised": "The limit was raised.",
    "subscribed": "Subscribed: keys may be made for the plan.",
    "unsubscribed": "The plan is taken from it.",
}


def moment(at: datetime | None, missing: str = "never") -> str:
    """To the minute, UTC."""
    return at.strftime("%Y-%m-%d %H:%M") if at else missing


def ago(at: datetime | None, missing: str = "never") -> str:
    """How long it is since, or until: `3 minutes ago`, `in 9 days`."""
    if at is None:
        return missing
    between = clock.now() - at
    told = _span(abs(between))
    if told == "":
        return "just now"
    return f"{told} ago" if between > timedelta(0) else f"in {told}"


def _span(between: timedelta) -> str:
    minutes = between.total_seconds() / 60
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if round(minutes / size) >= 1 and minutes >= size * 0.9:
            number = round(minutes / size)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return ""


def lasting(seconds: int) -> str:
    """A length of time: `1 day`, `1 minute`."""
    return _span(timedelta(seconds=seconds)) or f"{seconds} s"


def brief(id: str) -> str:
    """An id short enough for a table: its kind and its end, which is what differs."""
    kind, _, rest = id.partition("_")
    return f"{kind}_…{rest[-6:]}" if len(rest) > 20 else id


def number(value: float) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def short(value: float) -> str:
    """For a tile: 1,234 and 12.3 k and 4.5 M."""
    for size, sign in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / (1_000_000 if sign == 'M' else 1000):.1f} {sign}"
    return f"{value:,}"


def told(value: Any) -> str:
    """Plain data in one line: lists with commas, tables as `name value`."""
    plain = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    if isinstance(plain, dict):
        return ", ".join(f"{name} {told(inner)}" for name, inner in plain.items())
    if isinstance(plain, list | tuple):
        return ", ".join(told(item) for item in plain) or "none"
    if plain is None or plain == "":
        return "none"
    return str(plain)


def limits(plan: PlanView) -> list[tuple[str, str]]:
    """A plan's limits: name, and what it says."""
    return [(limit.name, said(limit)) for limit in plan.limits]


def marked(text: str) -> Markup:
    """What stands between backticks as code; the rest as text."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def twice(value: str) -> tuple[str, str]:
    """For a list to pick from, where what is sent is what is shown."""
    return value, value


FILTERS: dict[str, Callable[..., Any]] = {
    "moment": moment, "ago": ago, "number": number, "short": short, "told": told, "brief": brief,
    "marked": marked, "limits": limits, "twice": twice, "lasting": lasting,
}  # fmt: skip
