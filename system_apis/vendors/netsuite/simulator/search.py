"""Understands the `q` of a collection: `externalId IS "X" AND lastModifiedDate AFTER "1/31/2026"`.

Dates are written in the user's preferred format, here M/D/YYYY; another one is an error, as
integrations find out [L].
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from system_apis.vendors.netsuite.simulator.refusals import Refused

_TERM = re.compile(
    r'\s*([A-Za-z0-9_.]+)\s+([A-Z_]+)(?:\s+("[^"]*"|\[[^\]]*\]|[^\s"\[]+))?\s*', re.ASCII
)
_AND = re.compile(r"AND\s+", re.IGNORECASE)
_DATED = {
    "AFTER": lambda day: {">=": day + timedelta(days=1)},
    "ON_OR_AFTER": lambda day: {">=": day},
    "BEFORE": lambda day: {"<": day},
    "ON_OR_BEFORE": lambda day: {"<": day + timedelta(days=1)},
    "ON": lambda day: {">=": day, "<": day + timedelta(days=1)},
}
_PLAIN: dict[str, Callable[[str], tuple[str, Any]]] = {
    "IS": lambda value: ("=", value),
    "EQUAL": lambda value: ("=", value),
    "IS_NOT": lambda value: ("!=", value),
    "START_WITH": lambda value: ("like", f"{value}%"),
    "CONTAIN": lambda value: ("like", f"%{value}%"),
    "END_WITH": lambda value: ("like", f"%{value}"),
    "GREATER": lambda value: (">", value),
    "LESS": lambda value: ("<", value),
    "ANY_OF": lambda value: ("=", value.strip("[]").replace('"', "").replace(" ", "").split(",")),
    "EMPTY": lambda value: ("=", None),
    "EMPTY_NOT": lambda value: ("!=", None),
}
_INSTANTS = {"lastModifiedDate": "_updated_at", "createdDate": "_created_at"}


def conditions(query: str, fields: dict[str, str]) -> dict[str, object]:
    """The `where` of the store for a q."""
    where: dict[str, object] = {}
    position = 0
    while position < len(query):
        term = _TERM.match(query, position)
        if not term or term[1] not in fields | _INSTANTS:
            raise _wrong(query, f"near position {position}")
        where |= _one(term[1], term[2], (term[3] or "").strip('"'), fields, query)
        position = term.end()
        if position < len(query):
            joined = _AND.match(query, position)
            if not joined:
                raise _wrong(query, "only AND joins conditions here")
            position = joined.end()
    return where


def _one(
    name: str, operator: str, value: str, fields: dict[str, str], query: str
) -> dict[str, object]:
    declared = fields.get(name, "").lstrip("=")
    if operator in _DATED and (name in _INSTANTS or declared == "date"):
        spans = _DATED[operator](_day(value))
        if name in _INSTANTS:
            return {f"{_INSTANTS[name]} {sign}": _instant(day) for sign, day in spans.items()}
        return {f"{name} {sign}": day.date().isoformat() for sign, day in spans.items()}
    if operator not in _PLAIN:
        raise _wrong(query, f"operator {operator} does not fit field {name}")
    sign, wanted = _PLAIN[operator](value)
    if declared == "boolean":
        wanted = value.lower() in ("true", "t")
    column = f"{name}.id" if declared.startswith("ref:") else name
    return {f"{column} {sign}": wanted}


def _day(value: str) -> datetime:
    try:
        return datetime.strptime(value.split(" ")[0], "%m/%d/%Y").replace(tzinfo=UTC)
    except ValueError as error:
        words = (
            f'Parse of date/time "{value}" failed with date format "M/d/yy" in time zone '
            "Etc/GMT. Caused by: java.text.ParseException"
        )
        raise Refused(400, "INVALID_PARAMETER", words) from error


def _instant(day: datetime) -> str:
    return day.isoformat(timespec="microseconds")


def _wrong(query: str, why: str) -> Refused:
    words = f"Invalid search query. Detailed unprocessed description follows. {why}: {query}"
    return Refused(400, "INVALID_PARAMETER", words)
