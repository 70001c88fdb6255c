"""Bodies made from the schemas of our documents."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

Bodies = Callable[[dict[str, Any]], st.SearchStrategy[Any]]
_TEXTS = {
    "date": st.dates().map(str),
    "date-time": st.datetimes().map(lambda at: at.isoformat() + "Z"),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
}


def made_from(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What msgspec's schemas say: references, unions, objects, lists, texts, numbers."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return st.deferred(lambda: made_from(parts[name], parts))
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return st.one_of([made_from(each, parts) for each in schema[union]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "object":
        return _objects(schema, parts)
    if schema.get("type") == "array":
        return st.lists(made_from(schema.get("items") or {}, parts), max_size=4)
    if schema.get("type") == "string":
        if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        return _TEXTS.get(schema.get("format", ""), st.text(max_size=12))
    plain = {
        "integer": st.integers(min_value=schema.get("minimum"), max_value=2**53),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return plain.get(schema.get("type", ""), st.none() | st.booleans() | st.text(max_size=5))


def _objects(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    members = {name: made_from(s, parts) for name, s in schema.get("properties", {}).items()}
    must = {name: members[name] for name in schema.get("required", ()) if name in members}
    may = {name: made for name, made in members.items() if name not in must}
    return st.fixed_dictionaries(must, optional=may)


@pytest.fixture
def bodies() -> Bodies:
    """From a schema with its `components`."""

    def of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        return made_from(schema, schema["components"]["schemas"])

    return of
