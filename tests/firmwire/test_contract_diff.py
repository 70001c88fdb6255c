"""What breaks a caller is named, what does not is let through. The table follows oasdiff's ERR."""

import copy
from typing import Any

import pytest

from firmwire.contract_diff import breaking, differences

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 20},
        "state": {"enum": ["OPEN", "CLOSED"]},
        "minutes": {"type": "integer", "minimum": 0},
        "owner": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "note": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
        "kind": {"anyOf": [{"$ref": "#/components/schemas/Cat"},
                           {"$ref": "#/components/schemas/Dog"}]},
    },
    "required": ["id", "state", "minutes", "owner", "lines", "kind"],
}  # fmt: skip
BASE: dict[str, Any] = {
    "paths": {
        "/orders/{id}": {
            "put": {
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer",
                                                                "maximum": 100}},
                    {"in": "query", "name": "sort", "schema": {"enum": ["up", "down"]}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {
                    "200": {"content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Order"}}}},
                    "404": {"content": {"application/problem+json": {"schema": {}}}},
                },
                "security": [{"identity": ["orders:write"]}],
            }
        },
        "/orders": {"get": {"responses": {"200": {"content": {}}}}},
    },
    "components": {
        "schemas": {
            "Order": ORDER,
            "Line": {
                "type": "object",
                "properties": {"net": {"type": "number"},
                               "parent": {"$ref": "#/components/schemas/Line"}},
                "required": ["net"],
            },
            "Cat": {"type": "object", "properties": {"is": {"enum": ["cat"]}}, "required": ["is"]},
            "Dog": {"type": "object", "properties": {"is": {"enum": ["dog"]}}, "required": ["is"]},
        }
    },
}  # fmt: skip
PUT = BASE["paths"]["/orders/{id}"]["put"]


def changed(steps: str, value: Any) -> dict[str, Any]:
    """BASE with one place set, or removed for None. Steps are separated by `>`."""
    made = copy.deepcopy(BASE)
    at: Any = made
    *way, last = steps.split(">")
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    key: Any = int(last) if isinstance(at, list) else last
    if value is None:
        del at[key]
    else:
        at[key] = value
    return made


P = "paths>/orders/{id}>put>"
S = "components>schemas>Order>"
M = S + "properties>"
BREAKS = [
    ("paths>/orders", None, {"api-removed"}),
    (P + "parameters>1", None, {"request-parameter-removed"}),
    (P + "parameters>1>required", True, {"request-parameter-became-required"}),
    (P + "parameters>1>schema>maximum", 50, {"request-property-maximum-narrowed"}),
    (P + "parameters>1>schema>type", "string", {"request-property-type-changed"}),
    (P + "parameters>2>schema>enum", ["up"], {"request-property-enum-value-removed"}),
    (P + "parameters>0>schema>pattern", "^a", {"request-property-pattern-changed"}),
    (P + "requestBody", None, {"request-body-removed"}),
    (P + "requestBody>required", True, {"request-body-became-required"}),
    (P + "requestBody>content", {"text/csv": {}}, {"request-body-media-type-removed"}),
    (P + "responses>200", None, {"response-success-status-removed"}),
    (P + "responses>404", None, {"response-non-success-status-removed"}),
    (P + "responses>201", {}, {"response-status-added"}),
    (P + "responses>200>content", {"text/csv": {}}, {"response-media-type-removed"}),
    (P + "security", [{"identity": ["orders:write", "orders:admin"]}],
     {"api-security-scope-added"}),
    (M + "note", None, {"request-property-removed", "response-property-removed"}),
    (M + "minutes>type", "string",
     {"request-property-type-changed", "response-property-type-changed"}),
    (M + "minutes>type", "number", {"response-property-type-changed"}),
    (M + "minutes>minimum", 1, {"request-property-minimum-narrowed"}),
    (M + "minutes>minimum", -1, {"response-property-minimum-narrowed"}),
    (M + "id>maxLength", 10, {"request-property-maxLength-narrowed"}),
    (M + "id>maxLength", 30, {"response-property-maxLength-narrowed"}),
    (M + "day>format", None, {"response-property-format-changed"}),
    (M + "note>format", "date", {"request-property-format-changed"}),
    (M + "state>enum", ["OPEN"], {"request-property-enum-value-removed"}),
    (M + "note", {"enum": ["a", "b"]}, {"request-property-became-enum"}),
    (M + "state", {"type": "string"}, {"response-property-became-not-enum"}),
    (M + "owner", {"type": "string"}, {"request-property-became-not-nullable"}),
    (M + "note", {"type": ["string", "null"]}, {"response-property-became-nullable"}),
    (M + "extra>additionalProperties", {"type": "string"},
     {"request-property-type-changed", "response-property-type-changed"}),
    (M + "lines", {"$ref": "#/components/schemas/Line"},
     {"request-property-type-changed", "response-property-type-changed"}),
    (M + "kind>anyOf>1", None, {"request-property-one-of-removed"}),
    (S + "required", ["id", "state", "minutes", "owner", "lines", "kind", "note"],
     {"request-property-became-required"}),
    (S + "required", ["state", "minutes", "owner", "lines", "kind"],
     {"response-property-became-optional"}),
    ("components>schemas>Line>properties>net", {"type": "string"},
     {"request-property-type-changed", "response-property-type-changed"}),
]  # fmt: skip
GROWS = [
    ("paths>/more", {"get": {"responses": {}}}, {"endpoint-added"}),
    (P + "parameters", [*PUT["parameters"], {"in": "query", "name": "q", "schema": {}}],
     {"new-optional-parameter"}),
    (P + "parameters>1>schema>maximum", 200, set()),
    (P + "parameters>2>schema>enum", ["up", "down", "none"], set()),
    (P + "responses>409", {}, {"response-status-added"}),
    (P + "description", "other words", set()),
    (M + "more", {"type": "string"}, {"response-property-added"}),
    (M + "state>enum", ["OPEN", "CLOSED", "LATE"], {"response-property-enum-value-added"}),
    (P + "security", [], set()),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "rules"), BREAKS, ids=[str(b[:2]) for b in BREAKS])
def test_a_break_is_named(place: str, value: Any, rules: set[str]) -> None:
    """By its rule, where it is, and for the operation whose callers notice."""
    found = breaking(BASE, changed(place, value))
    assert {each.rule for each in found} == rules
    assert {each.operation for each in found} <= {"PUT /orders/{id}", "GET /orders"}


@pytest.mark.parametrize(("place", "value", "rules"), GROWS, ids=[g[0] for g in GROWS])
def test_what_grows_breaks_nobody(place: str, value: Any, rules: set[str]) -> None:
    """It is told, and let through."""
    new = changed(place, value)
    assert breaking(BASE, new) == ()
    assert {each.rule for each in differences(BASE, new)} == rules


def test_a_new_required_member() -> None:
    """Callers do not send it yet; in a reply it is only more."""
    new = copy.deepcopy(BASE)
    new["components"]["schemas"]["Order"]["properties"]["tax"] = {"type": "string"}
    new["components"]["schemas"]["Order"]["required"].append("tax")
    assert [(d.rule, d.where) for d in breaking(BASE, new)] == [
        ("new-required-request-property", "request.body/tax")
    ]


def test_a_new_kind_in_a_reply() -> None:
    """A caller that tells kinds apart does not know it; taking one more is harmless."""
    new = copy.deepcopy(BASE)
    schemas = new["components"]["schemas"]
    schemas["Cow"] = {
        "type": "object", "properties": {"milk": {"type": "integer"}}, "required": ["milk"],
    }  # fmt: skip
    schemas["Order"]["properties"]["kind"]["anyOf"].append({"$ref": "#/components/schemas/Cow"})
    found = breaking(BASE, new)
    assert [(d.rule, d.where) for d in found] == [
        ("response-property-one-of-added", "reply.200/kind")
    ]


def test_the_same_is_no_difference() -> None:
    """Also for a schema inside itself."""
    assert differences(BASE, copy.deepcopy(BASE)) == ()
