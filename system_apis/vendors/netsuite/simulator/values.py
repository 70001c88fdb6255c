"""Reads the fields of a request by their declared types, and shows stored ones the vendor's way.

Numbers are kept as decimal text and shown as JSON numbers: no float is ever computed with.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from system_apis.vendors.netsuite.simulator.fields import ENUMS, LINE, is_custom
from system_apis.vendors.netsuite.simulator.refusals import Refused, invalid

Resolve = Callable[[str, Any, str], dict[str, Any]]
ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(float_hook=Decimal)
_NATIVE: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "date-time": (str,),
}


def parsed(
    fields: Mapping[str, str],
    body: Mapping[str, Any],
    names: str,
    resolve: Resolve,
    path: str = "",
) -> dict[str, Any]:
    """The writable part of a body. names: how strict about unknown ones (Error, Warning...)."""
    kept: dict[str, Any] = {}
    for name, value in body.items():
        where = f"{path}{name}"
        declared = fields.get(name)
        if declared is None and is_custom(name):
            kept[name] = _plain(value)
        elif declared is None and names.lower() == "error":
            words = f"Unknown reference or field '{where}'."
            raise Refused(400, "NONEXISTENT_FIELD", words, path=where)
        elif declared is not None and not declared.startswith("="):
            kept[name] = None if value is None else _value(declared, value, where, names, resolve)
    return kept


def _value(declared: str, value: Any, where: str, names: str, resolve: Resolve) -> Any:
    kind, _, what = declared.partition(":")
    if kind == "ref":
        return resolve(what, value, where)
    if kind == "enum":
        id = str(value.get("id")) if isinstance(value, dict) else str(value)
        if id not in ENUMS[what]:
            raise invalid(where, f"Invalid value {id!r} for field '{where}'.")
        return id
    if kind == "sublist":
        return _sublist(value, where, names, resolve)
    if kind == "number":
        return _number(value, where)
    if kind == "date":
        return _date(value, where)
    if kind in _NATIVE and (
        not isinstance(value, _NATIVE[kind]) or (kind == "integer" and isinstance(value, bool))
    ):
        raise invalid(where, f"Invalid value for field '{where}': a {kind} is expected.")
    return _plain(value)


def _sublist(value: Any, where: str, names: str, resolve: Resolve) -> list[dict[str, Any]]:
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise invalid(where, f"Invalid value for sublist '{where}': items is expected.")
    return [
        parsed(LINE, item, names, resolve, f"{where}.items[{number}].")
        for number, item in enumerate(items)
    ]


def _number(value: Any, where: str) -> str:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(value) if isinstance(value, str) else Decimal(str(value))
    except (InvalidOperation, TypeError) as error:
        raise invalid(where, f"Invalid number for field '{where}'.") from error
    return f"{number:f}"


def _date(value: Any, where: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as error:
        raise invalid(where, f"Invalid date value {value!r} for field '{where}'.") from error


def _plain(value: Any) -> Any:
    """What a store can keep: decimals as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def shown(fields: Mapping[str, str], doc: Mapping[str, Any], base: str, simple: bool) -> Any:
    """Stored fields as the record API shows them; absent and null ones are left out."""
    out: dict[str, Any] = {}
    for name, value in doc.items():
        declared = fields.get(name, "").lstrip("=")
        if value is None or name.startswith("_") or (not declared and not is_custom(name)):
            continue
        kind, _, what = declared.partition(":")
        if kind == "number":
            out[name] = Decimal(str(value))
        elif kind == "ref":
            out[name] = _reference(value, what, base)
        elif kind == "enum":
            out[name] = _enum(value, what, simple)
        elif kind == "date-time":
            out[name] = instant(value)
        elif kind != "sublist":
            out[name] = value
    return out


def instant(text: str) -> str:
    """`2026-01-31T08:00:00Z`: seconds are all there is."""
    return f"{text[:19]}Z"


def _reference(value: Mapping[str, Any], record: str, base: str) -> dict[str, Any]:
    first = value.get("recordType") or record.partition("|")[0]
    out = {"links": [{"rel": "self", "href": f"{base}/{first}/{value['id']}"}], "id": value["id"]}
    if value.get("refName"):
        out["refName"] = value["refName"]
    return out


def _enum(value: Any, what: str, simple: bool) -> Any:
    id = str(value.get("id")) if isinstance(value, dict) else str(value)
    return id if simple else {"id": id, "refName": ENUMS[what].get(id, id)}
