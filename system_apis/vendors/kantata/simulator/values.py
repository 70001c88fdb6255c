"""Reads request values by the types of a resource and shows stored ones the vendor's way."""

import math
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from system_apis.simulator import Document
from system_apis.vendors.kantata.simulator.refusals import Refused, invalid
from system_apis.vendors.kantata.simulator.resources import STATUSES, Resource

BASE_UNITS = {"JPY": 1, "KRW": 1}
SYMBOLS = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5"}
_INPUT = {
    "line_item_ids": "ids",
    "time_entry_ids": "ids",
    "workspace_ids": "ids",
    "workspace_id": "id",
    "resource_id": "id",
    "bill_rate": "int",
    "cost_rate": "int",
}


def parsed(resource: Resource, given: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """The part of a body that the resource takes; the rest is ignored, as by Rails."""
    return {
        name: None
        if value is None or value == ""
        else _value(resource.fields.get(name) or _INPUT.get(name, "any"), name, value)
        for name, value in given.items()
        if name in taken
    }


def required(resource: Resource, new: Mapping[str, Any]) -> None:
    """Every missing field in one answer."""
    absent = [name for name in resource.required if new.get(name) in (None, "", [])]
    if absent:
        refused = invalid(absent[0], "can't be blank")
        for name in absent[1:]:
            refused.errors += invalid(name, "can't be blank").errors
        raise refused


def _value(kind: str, name: str, value: Any) -> Any:
    try:
        match kind:
            case "id" | "number-id":
                return str(int(value))
            case "ids":
                parts = value.split(",") if isinstance(value, str) else value
                return [str(int(part)) for part in parts]
            case "int":
                if isinstance(value, float) and not value.is_integer():
                    raise ValueError(value)
                return int(value)
            case "num":
                return float(value)
            case "bool":
                return value in (True, 1, "1", "true", "t")
            case "date":
                return date.fromisoformat(str(value)[:10]).isoformat()
            case "str":
                return str(value)
    except (TypeError, ValueError) as error:
        raise invalid(name, "is invalid") from error
    return value


def shown(
    resource: Resource, doc: Document, included: Collection[str], optional: Collection[str]
) -> dict[str, Any]:
    """All fields, null where there is nothing; lists of ids only of what is included."""
    out: dict[str, Any] = {"id": doc["_id"]}
    keys = {resource.links[name][0] for name in included if name in resource.links}
    for name, kind in resource.fields.items():
        if name in resource.optional and name not in optional:
            continue
        if kind == "ids":
            if name in keys:
                out[name] = doc.get(name) or []
        elif name in ("created_at", "updated_at"):
            out[name] = instant(doc[f"_{name}"])
        elif kind == "number-id" and doc.get(name) is not None:
            out[name] = int(doc[name])
        else:
            out[name] = doc.get(name)
    return out


def instant(text: str) -> str:
    """`2026-01-05T08:00:00Z`: the vendor shows seconds."""
    return f"{text[:19]}Z"


def money(doc: dict[str, Any], currency: str) -> None:
    """Cents mean nothing without the unit: 100, and 1 for yen."""
    doc["currency"] = currency
    doc["currency_base_unit"] = BASE_UNITS.get(currency, 100)
    doc["currency_symbol"] = SYMBOLS.get(currency, currency)


def status(key: Any) -> dict[str, Any]:
    """A project's status by its key."""
    number = int(key)
    if number not in STATUSES:
        raise invalid("status_key", "is not included in the list")
    return {"key": number, "message": STATUSES[number]}


def page(query: Mapping[str, str], most: int) -> tuple[int, int]:
    """Limit and offset. limit/offset win over page/per_page; too many are cut to the most."""
    try:
        if "limit" in query or "offset" in query:
            limit, offset = int(query.get("limit", 20)), int(query.get("offset", 0))
        else:
            limit = int(query.get("per_page", 20))
            offset = (int(query.get("page", 1)) - 1) * limit
    except ValueError as error:
        raise Refused(400, "system", "Invalid pagination parameter") from error
    limit = max(1, min(limit, most))
    if "limit" not in query and "offset" not in query:
        offset = (int(query.get("page", 1)) - 1) * limit
    return limit, max(0, offset)


def meta(count: int, limit: int, offset: int) -> dict[str, int]:
    """The counts a caller stops by."""
    return {
        "count": count,
        "page_count": math.ceil(count / limit),
        "page_number": offset // limit + 1,
        "page_size": limit,
    }
