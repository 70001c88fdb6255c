"""Answers many in one call: collections of records, and composites of whole requests.

The outer status is 200 whatever becomes of the parts. allOrNone undoes all.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from system_apis.simulator import Reply, Store
from system_apis.vendors.salesforce.simulator import numbers
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Object
from system_apis.vendors.salesforce.simulator.org import Many, Org
from system_apis.vendors.salesforce.simulator.refusals import JSON, Refused

_REFERENCE = re.compile(r"@\{(\w+)\.(\w+)\}")
_MOST_RECORDS, _MOST_PARTS = 200, 25
Inside = Callable[[str, str, Any, str], Reply]
One = Callable[[dict[str, Any]], dict[str, Any]]


class _Undone(Exception):
    """Leaves the transaction of an allOrNone."""


class Composite:
    """Collections and composites."""

    def __init__(self, org: Org, store: Store, inside: Inside) -> None:
        self._org, self._store, self._inside = org, store, inside

    def create(self, given: dict[str, Any], user: str) -> Reply:
        """POST /composite/sobjects."""

        def one(record: dict[str, Any]) -> dict[str, Any]:
            return _done(self._org.create(_typed(record), record, user))

        return self._collection(given, one)

    def update(self, given: dict[str, Any], user: str) -> Reply:
        """PATCH /composite/sobjects: each record names its Id."""

        def one(record: dict[str, Any]) -> dict[str, Any]:
            id, rest = _parted(record, "id")
            return _done(self._org.update(_typed(record), str(id or ""), rest, user))

        return self._collection(given, one)

    def upsert(self, object: Object, field: str, given: dict[str, Any], user: str) -> Reply:
        """PATCH /composite/sobjects/{object}/{field}: each record holds the field."""

        def one(record: dict[str, Any]) -> dict[str, Any]:
            wanted, rest = _parted(record, field.lower())
            if wanted is None and field.lower() != "id":
                raise Refused(400, "MISSING_ARGUMENT", f"{field} not specified")
            id, created = self._org.upsert(object, field, wanted, rest, user)
            return _done(id) | {"created": created}

        return self._collection(given, one)

    def _collection(self, given: dict[str, Any], one: One) -> Reply:
        records = given.get("records")
        if not isinstance(records, list) or not records:
            raise Refused(400, "JSON_PARSER_ERROR", "records is missing or empty")
        if len(records) > _MOST_RECORDS:
            words = f"record limit reached. cannot submit more than {_MOST_RECORDS} records"
            raise Refused(400, "EXCEEDED_ID_LIMIT", words)
        results: list[dict[str, Any]] = []
        try:
            with self._store.transaction():
                results = [self._alone(one, record) for record in records]
                if given.get("allOrNone") and not all(r["success"] for r in results):
                    raise _Undone
        except _Undone:
            words = "Record rolled back because not all records were valid and the request was using AllOrNone header"  # noqa: E501
            undone = Refused(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", words).in_collection()
            results = [undone if result["success"] else result for result in results]
        return Reply(200, numbers.encode(results), dict(JSON))

    def _alone(self, one: One, record: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._store.transaction():
                return one(record)
        except Refused as refused:
            return refused.in_collection()
        except Many as many:
            return many.refused().in_collection()

    def composite(self, given: dict[str, Any], user: str) -> Reply:
        """POST /composite."""
        parts = given.get("compositeRequest")
        if not isinstance(parts, list) or not parts:
            raise Refused(400, "JSON_PARSER_ERROR", "compositeRequest is missing or empty")
        if len(parts) > _MOST_PARTS:
            raise Refused(400, "LIMIT_EXCEEDED", f"The limit is {_MOST_PARTS} subrequests")
        replies: list[tuple[str, Reply]] = []
        try:
            with self._store.transaction():
                replies.extend(self._parts(parts, user))
                if given.get("allOrNone") and any(r.status >= 300 for _, r in replies):
                    raise _Undone
        except _Undone:
            words = "The transaction was rolled back since another operation in the same transaction failed."  # noqa: E501
            halted = Refused(400, "PROCESSING_HALTED", words).reply()
            replies = [(name, r if r.status >= 300 else halted) for name, r in replies]
        body = {"compositeResponse": [_part(name, reply) for name, reply in replies]}
        return Reply(200, numbers.encode(body), dict(JSON))

    def _parts(self, parts: list[dict[str, Any]], user: str) -> Iterator[tuple[str, Reply]]:
        known: dict[str, Any] = {}
        for part in parts:
            name = str(part.get("referenceId", ""))
            try:
                url = _resolved(part.get("url", ""), known)
                body = _resolved(part.get("body"), known)
                reply = self._inside(str(part.get("method", "GET")), url, body, user)
            except Refused as refused:
                reply = refused.reply()
            known[name] = numbers.decode(reply.body) if reply.body else None
            yield name, reply


def _part(name: str, reply: Reply) -> dict[str, Any]:
    location = reply.headers.get("location")
    return {
        "body": numbers.decode(reply.body) if reply.body else None,
        "httpHeaders": {"Location": location} if location else {},
        "httpStatusCode": reply.status,
        "referenceId": name,
    }


def _resolved(held: Any, known: dict[str, Any]) -> Any:
    """`@{first.id}` becomes the id the part `first` answered with."""
    if isinstance(held, dict):
        return {name: _resolved(inner, known) for name, inner in held.items()}
    if isinstance(held, list):
        return [_resolved(inner, known) for inner in held]
    if not isinstance(held, str):
        return held

    def answer(match: re.Match[str]) -> str:
        body = known.get(match[1])
        if not isinstance(body, dict) or match[2] not in body:
            words = f"Invalid reference specified. No value for {match[1]}.{match[2]} found"
            raise Refused(400, "PROCESSING_HALTED", words)
        return str(body[match[2]])

    return _REFERENCE.sub(answer, held)


def _done(id: str) -> dict[str, Any]:
    return {"id": id, "success": True, "errors": []}


def _parted(record: dict[str, Any], name: str) -> tuple[Any, dict[str, Any]]:
    found = next((held for key, held in record.items() if key.lower() == name), None)
    return found, {key: held for key, held in record.items() if key.lower() != name}


def _typed(record: dict[str, Any]) -> Object:
    kind = str((record.get("attributes") or {}).get("type", ""))
    if kind.lower() not in OBJECTS:
        raise Refused(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
    return OBJECTS[kind.lower()]
