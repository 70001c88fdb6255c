"""What every dated change owes: it can be undone, old callers see old bytes, documents agree.

The golden bodies are texts as they go over the wire; a change that moves a comma fails here.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import versions
from contracts.change import FIRST, Change, Reshape, Touch

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
PATHS = {"type": "string", "pattern": r"^([a-z_]{1,9}(\[[0-9]{1,3}\])?(\.[a-z_]{1,9}){0,3})?$"}
# What a member of an older version held, where its schema allows more than it ever was.
HELD: dict[tuple[str, str], dict[str, Any]] = {("Refused", "field"): PATHS}

ALL = [
    pytest.param(change, touch, id=f"{change.date} {touch.operation}")
    for change in versions.changes()
    for touch in change.touches
]


def document(operation: str, version: str) -> dict[str, Any]:
    """The one that serves a version: the newest that is not younger."""
    tier = operation.split("/")[1]
    dates = sorted(f.stem for f in (ROOT / "openapi" / tier).glob("[0-9]*.json"))
    name = max(date for date in dates if date <= version)
    found: dict[str, Any] = json.loads((ROOT / "openapi" / tier / f"{name}.json").read_text())
    for (schema, member), held in HELD.items():
        members = found["components"]["schemas"].get(schema, {}).get("properties", {})
        if member in members:
            members[member] = held
    return found


def schema_of(operation: str, version: str, status: str = "") -> dict[str, Any]:
    """Of the request's body, or of a reply, with its components."""
    method, path = operation.split(" ")
    whole = document(operation, version)
    described = whole["paths"][path][method.lower()]
    if status == "":
        body = described["requestBody"]
    else:
        body = described["responses"][status]
    schema = body["content"]["application/json"]["schema"]
    return {**schema, "components": whole["components"]}


def success(operation: str, version: str) -> str:
    method, path = operation.split(" ")
    replies = document(operation, version)["paths"][path][method.lower()]["responses"]
    return next(status for status in replies if status.startswith("2"))


def before(change: Change) -> str:
    return max(v for v in versions.versions() if v < change.date)


def sides(touch: Touch, version: str) -> list[tuple[Reshape, dict[str, Any]]]:
    found = []
    if touch.request is not None:
        found.append((touch.request, schema_of(touch.operation, version)))
    if touch.reply is not None:
        status = success(touch.operation, version)
        found.append((touch.reply, schema_of(touch.operation, version, status)))
    return found


@pytest.mark.parametrize(("change", "touch"), ALL)
def test_up_and_down_again_is_the_same(change: Change, touch: Touch, bodies: Any) -> None:
    """Nothing an older caller said or saw is lost on the way, unless the change says so."""
    for reshape, schema in sides(touch, before(change)):
        if reshape.loses:
            continue
        _same(reshape, bodies(schema))


def _same(reshape: Reshape, some: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(body=some)
    def same(body: Any) -> None:
        again = reshape.down(reshape.up(body))
        assert again == body
        assert json.dumps(again) == json.dumps(body)

    same()


@pytest.mark.parametrize("version", versions.versions()[:-1])
@pytest.mark.parametrize(
    "operation", sorted({t.operation for c in versions.changes() for t in c.touches})
)
def test_what_is_walked_fits_the_frozen_document(operation: str, version: str, bodies: Any) -> None:
    """Any reply of head, walked down, is what that version's document promised; any request that
    the document allowed, walked up, is one that head takes.
    """
    walk = versions.walks(version).get(operation)
    if walk is None:
        return  # nothing lies between: the same document serves both
    head = versions.head()
    data = st.data()

    @settings(max_examples=40, deadline=None)
    @given(data=data)
    def fits(data: Any) -> None:
        if walk.down:
            status = success(operation, version)
            body = data.draw(bodies(_pointed(schema_of(operation, head, status))))
            for turn in walk.down:
                body = turn(body)
            jsonschema.validate(body, schema_of(operation, version, status))
        if walk.up:
            body = data.draw(bodies(schema_of(operation, version)))
            for turn in walk.up:
                body = turn(body)
            jsonschema.validate(body, schema_of(operation, head))

    fits()


def _pointed(schema: dict[str, Any]) -> dict[str, Any]:
    """Pointers that head really makes: the index, then names."""
    text = json.dumps(schema)
    found: dict[str, Any] = json.loads(text)
    members = found["components"]["schemas"].get("Refused", {}).get("properties", {})
    if "pointer" in members:
        members["pointer"] = {"type": "string", "pattern": r"^/[0-9]{1,4}(/[a-z_]{1,9}){0,3}$"}
    return found


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_golden_bodies_are_byte_equal(file: Path) -> None:
    """Each version's reply from head's, each version's request to head's: to the last byte."""
    golden = json.loads(file.read_text())
    operation = golden["operation"]
    head = versions.head()
    for version, text in golden.get("replies", {}).items():
        body = msgspec.json.decode(golden["replies"][head])
        for turn in versions.walks(version).get(operation, versions.Walk()).down:
            body = turn(body)
        assert msgspec.json.encode(body).decode() == text, version
        jsonschema.validate(json.loads(text), schema_of(operation, version, golden["status"]))
    for version, text in golden.get("requests", {}).items():
        body = msgspec.json.decode(text)
        for turn in versions.walks(version).get(operation, versions.Walk()).up:
            body = turn(body)
        assert msgspec.json.encode(body).decode() == golden["requests"][head], version
        jsonschema.validate(json.loads(text), schema_of(operation, version))


def test_there_is_a_golden_body_for_every_touched_operation_and_version() -> None:
    """A change without one is not held by anything."""
    there: dict[str, set[str]] = {}
    for file in GOLDEN:
        golden = json.loads(file.read_text())
        told = golden.get("replies", {}).keys() | golden.get("requests", {}).keys()
        there.setdefault(golden["operation"], set()).update(told)
    touched = {t.operation for c in versions.changes() for t in c.touches}
    assert touched == there.keys()
    assert all(found == set(versions.versions()) for found in there.values())
    assert FIRST in versions.versions()
