"""Answers queries: finds, orders and pages records as SOQL asks.

Kinds: locator (id = the locator: {object, fields, ids, deleted, made_at}); a locator ends after
two days [U], and shows its records as they are when the page is read [U].
"""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

from system_apis.simulator import Document, Kit
from system_apis.vendors.salesforce.simulator import soql
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Field, Object
from system_apis.vendors.salesforce.simulator.refusals import Refused
from system_apis.vendors.salesforce.simulator.values import full_id, shown, value

_KINDS = {
    "datetime": {"datetime"}, "date": {"date"}, "boolean": {"boolean"}, "int": {"number"},
    "double": {"number"}, "currency": {"number"}, "percent": {"number"},
}  # fmt: skip
_STAMPS = ("SystemModstamp", "LastModifiedDate")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found is not None and found < wanted,
    "<=": lambda found, wanted: found is not None and found <= wanted,
    ">": lambda found, wanted: found is not None and found > wanted,
    ">=": lambda found, wanted: found is not None and found >= wanted,
    "like": lambda found, wanted: found is not None and bool(wanted.fullmatch(found)),
    "in": lambda found, wanted: found in wanted,
    "not in": lambda found, wanted: found not in wanted,
}
Test = Callable[[Document], bool]


class Search:
    """Queries of the org."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def query(self, text: str, version: str, batch: int, deleted: bool) -> dict[str, Any]:
        """The first page."""
        asked = soql.parse(text)
        one = OBJECTS.get(asked.object.lower())
        if one is None:
            raise _not_supported(asked)
        fields = [_field(asked, one, name, at) for name, at in asked.fields]
        found = self._found(asked, one, deleted)
        if not asked.fields:
            return {"totalSize": len(found), "done": True, "records": []}
        page = [shown(one, doc, fields, version) for doc in found[:batch]]
        if len(found) <= batch:
            return {"totalSize": len(found), "done": True, "records": page}
        locator = f"01g5f{self._store.next_id('locator'):010d}"
        self._store.put("locator", locator, {
            "object": one.name,
            "fields": [field.name for field in fields],
            "ids": [doc["_id"] for doc in found],
            "deleted": deleted,
            "made_at": self._clock().isoformat(),
        })  # fmt: skip
        return _part(len(found), page, version, locator, batch)

    def more(self, locator: str, version: str, batch: int) -> dict[str, Any]:
        """A page of `nextRecordsUrl`."""
        name, _, start = locator.rpartition("-")
        kept = self._store.get("locator", name)
        too_old = (self._clock() - timedelta(days=2)).isoformat()
        if kept is None or not start.isdecimal() or kept["made_at"] < too_old:
            raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        one = OBJECTS[kept["object"].lower()]
        fields = [one.fields[field.lower()] for field in kept["fields"]]
        at, ids = int(start), kept["ids"]
        docs = (self._get(one, id, kept["deleted"]) for id in ids[at : at + batch])
        page = [shown(one, doc, fields, version) for doc in docs if doc is not None]
        if at + batch >= len(ids):
            return {"totalSize": len(ids), "done": True, "records": page}
        return _part(len(ids), page, version, name, at + batch)

    def count(self, one: Object) -> int:
        """For /limits/recordCount."""
        return self._store.count(one.name)

    def _get(self, one: Object, id: str, deleted: bool) -> Document | None:
        live = self._store.get(one.name, id)
        return live or (self._store.get(f"deleted.{one.name}", id) if deleted else None)

    def _found(self, asked: soql.Query, one: Object, deleted: bool) -> list[Document]:
        test = _test(asked, one, asked.where) if asked.where else None
        orders = [(_field(asked, one, term.field, term.at), term) for term in asked.order]
        since, where = _since(asked.where), _where(one, asked.where)
        lists = [self._store.list(one.name, updated_since=since, where=where, order="id")]
        if deleted:
            lists.append(self._store.list(f"deleted.{one.name}", updated_since=since, where=where))
        found = [doc for doc in chain(*lists) if test is None or test(doc)]
        for field, term in reversed(orders):
            _sort(one, found, field, term)
        end = None if asked.limit is None else asked.offset + asked.limit
        return found[asked.offset : end]


def _part(
    total: int, page: list[dict[str, Any]], version: str, locator: str, at: int
) -> dict[str, Any]:
    url = f"/services/data/{version}/query/{locator}-{at}"
    return {"totalSize": total, "done": False, "nextRecordsUrl": url, "records": page}


def _sort(one: Object, found: list[Document], field: Field, term: soql.Order) -> None:
    """Nulls first unless asked otherwise, also when descending."""
    fold = not _is_id(field)

    def key(doc: Document) -> tuple[bool, Any]:
        held = value(one, doc, field)
        if held is None:
            return (term.nulls_last != term.descending, 0)
        held = held.casefold() if fold and isinstance(held, str) else held
        return (term.nulls_last == term.descending, held)

    found.sort(key=key, reverse=term.descending)


def _test(asked: soql.Query, one: Object, where: Any) -> Test:
    if isinstance(where, soql.Not):
        inner = _test(asked, one, where.part)
        return lambda doc: not inner(doc)
    if isinstance(where, soql.Both):
        tests = [_test(asked, one, part) for part in where.parts]
        if where.every:
            return lambda doc: all(test(doc) for test in tests)
        return lambda doc: any(test(doc) for test in tests)
    field = _field(asked, one, where.field, where.at)
    compare = _OPERATORS[where.operator]
    values = [_wanted(field, literal) for literal in where.literals]
    wanted: Any = values[0]
    if where.operator == "like":
        wanted = _pattern(field, wanted)
    elif where.operator in ("in", "not in"):
        wanted = set(values)
    elif wanted is None and where.operator not in ("=", "!="):
        raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", f"null with {where.operator}")
    fold = _folds(field)

    def test(doc: Document) -> bool:
        found = value(one, doc, field)
        return compare(found.casefold() if fold and isinstance(found, str) else found, wanted)

    return test


def _is_id(field: Field) -> bool:
    return field.type in ("id", "reference")


def _folds(field: Field) -> bool:
    return not field.exact and field.type not in ("datetime", "date")


def _wanted(field: Field, literal: soql.Literal) -> Any:
    if literal.kind == "null":
        return None
    if literal.kind not in _KINDS.get(field.type, {"text"}):
        quotes = "should not" if literal.kind == "text" else "should"
        words = f"value of filter criterion for field '{field.name}' must be of type {field.type} and {quotes} be enclosed in quotes"  # noqa: E501
        raise Refused(400, "INVALID_FIELD", words)
    if _is_id(field):
        full = full_id(literal.value)
        if full is None:
            words = f"invalid ID field: {literal.value}"
            raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", words)
        return full
    return literal.value.casefold() if literal.kind == "text" and _folds(field) else literal.value


def _pattern(field: Field, wanted: Any) -> re.Pattern[str]:
    if not isinstance(wanted, str) or field.type in _KINDS or _is_id(field):
        words = f"Operator LIKE is not valid on field {field.name}"
        raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", words)
    parts = re.findall(r"\\.|.", wanted, re.DOTALL)
    signs = {"%": ".*", "_": "."}
    text = "".join(signs.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.compile(text, re.DOTALL)


def _since(where: Any) -> str | None:
    """The oldest change the conditions can want, for the store's index."""
    if isinstance(where, soql.Both):
        bounds = [_since(part) for part in where.parts]
        known = [bound for bound in bounds if bound is not None]
        if where.every:
            return max(known, default=None)
        return min(known) if len(known) == len(bounds) else None
    if not isinstance(where, soql.Comparison) or where.operator not in ("=", ">", ">="):
        return None
    literal = where.literals[0]
    if where.field.lower() not in [stamp.lower() for stamp in _STAMPS] or literal.value is None:
        return None
    return f"{literal.value[:23]}000+00:00" if literal.kind == "datetime" else None


def _where(one: Object, where: Any) -> dict[str, object]:
    """Equalities on ids every record must fulfil, for the store's indexes."""
    if isinstance(where, soql.Both) and where.every:
        return {name: wanted for part in where.parts for name, wanted in _where(one, part).items()}
    if not isinstance(where, soql.Comparison) or where.operator not in ("=", "in"):
        return {}
    field = one.field(where.field)
    values = [_wanted(field, literal) for literal in where.literals] if field else []
    if field is None or not field.exact or None in values:
        return {}
    return {"_id" if field.name == "Id" else field.name: values}


def _field(asked: soql.Query, one: Object, name: str, at: int) -> Field:
    if field := one.field(name):
        return field
    words = f"No such column '{name}' on entity '{one.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."  # noqa: E501
    raise Refused(400, "INVALID_FIELD", _pointed(asked, at, words))


def _not_supported(asked: soql.Query) -> Refused:
    words = f"sObject type '{asked.object}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."  # noqa: E501
    return Refused(400, "INVALID_TYPE", _pointed(asked, asked.object_at, words))


def _pointed(asked: soql.Query, at: int, words: str) -> str:
    line = asked.text[max(0, at - 40) : at + 40]
    mark = " " * min(at, 40) + "^"
    return f"\n{line}\n{mark}\nERROR at Row:1:Column:{at + 1}\n{words}"
