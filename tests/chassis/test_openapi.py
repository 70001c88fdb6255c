"""The document says what the routes do, because both are read from the port."""

import json
from typing import Protocol

import pytest

from chassis.openapi import Mounted, document
from chassis.signature import Place, calls
from contracts.operation import operation


@pytest.fixture
def shown(orders):
    return json.loads(document("Shop", "2026-11-02", [Mounted(orders, "/shop/v1", "orders")]))


def test_every_operation_is_there_with_its_parameters(shown, orders):
    """Path, query, header and body; bodies by name of their schema."""
    named = {
        operation["operationId"] for path in shown["paths"].values() for operation in path.values()
    }
    assert named == {f"orders.{call.name}" for call in calls(orders)}
    listed = shown["paths"]["/shop/v1/orders"]["get"]
    assert {(p["in"], p["name"]) for p in listed["parameters"]} == {
        ("query", name) for name in ("state", "since", "tags", "paid", "limit")
    }
    placed = shown["paths"]["/shop/v1/orders"]["post"]
    assert [(p["in"], p["name"]) for p in placed["parameters"]] == [("header", "idempotency-key")]
    schema = placed["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Order"}
    assert placed["responses"]["201"]["content"]["application/json"]["schema"] == schema


def test_problems_scopes_and_words_are_documented(shown):
    """What may go wrong, who may call, and the docstring."""
    placed = shown["paths"]["/shop/v1/orders"]["post"]
    assert placed["security"] == [{"identity": ["shop:write"]}]
    assert placed["summary"] == "Place an order"
    assert {"400", "401", "403", "409", "422", "429", "503", "504"} <= set(placed["responses"])
    problem = placed["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/ProblemDocument"}
    removed = shown["paths"]["/shop/v1/orders/{id}"]["delete"]
    assert "content" not in removed["responses"]["204"]


def test_pages_have_names_one_can_say(shown):
    """Not `Page_some.module.Order_`."""
    assert "PageOfOrder" in shown["components"]["schemas"]


def test_the_document_is_stable(orders):
    """Same port, same bytes: a diff means a change."""
    mounts = [Mounted(orders, "/shop/v1", "orders")]
    assert document("Shop", "1", mounts) == document("Shop", "1", mounts)


def test_parameters_know_their_place(orders):
    """By name and by the braces of the path."""
    found = {call.name: {p.name: p.place for p in call.parameters} for call in calls(orders)}
    assert found["remove"] == {"id": Place.PATH, "if_match": Place.HEADER}
    assert found["place"] == {"body": Place.BODY, "idempotency_key": Place.HEADER}
    assert found["orders"]["since"] is Place.QUERY


def test_a_port_that_cannot_travel_is_refused_at_start():
    """With the method's name."""

    class NoReturn(Protocol):
        @operation("GET", "/a", scope="x")
        async def a(self): ...

    class NoAnnotation(Protocol):
        @operation("GET", "/a", scope="x")
        async def a(self, b) -> int: ...

    class NoParameter(Protocol):
        @operation("GET", "/a/{b}", scope="x")
        async def a(self) -> int: ...

    for port, why in (
        (NoReturn, "return"),
        (NoAnnotation, "b has no"),
        (NoParameter, "path names"),
    ):
        with pytest.raises(TypeError, match=why):
            calls(port)
