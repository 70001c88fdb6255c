"""Amounts pass through the simulator exactly, however a seeder wrote them."""

import json
from decimal import Decimal

import pytest

from system_apis.simulator import Row
from system_apis.vendors.salesforce.simulator import record_id

DEAL = {"Name": "D", "StageName": "Closed Won", "CloseDate": "2026-01-31"}


def amounts(client, condition=""):
    text = f"SELECT Amount FROM Opportunity {condition} ORDER BY Amount"
    reply = client.get("query/", params={"q": text})
    assert reply.status_code == 200, reply.text
    records = json.loads(reply.text, parse_float=Decimal)["records"]
    return [record["Amount"] for record in records]


@pytest.fixture
def deals(store):
    """Amounts as decimal text, as a JSON number, and none."""
    given = ("999.99", "1200.10", 1500, None)
    store.bulk_put("Opportunity", [
        Row(record_id("Opportunity", number), DEAL | {"Amount": amount})
        for number, amount in enumerate(given, start=1)
    ])  # fmt: skip


def test_seeded_amounts_are_shown_and_compared_as_numbers(client, deals):
    """Text in the store is a number in a reply, in conditions and in order."""
    assert amounts(client) == [None, Decimal("999.99"), Decimal("1200.10"), 1500]
    assert amounts(client, "WHERE Amount > 1000") == [Decimal("1200.10"), 1500]
    assert amounts(client, "WHERE Amount = 1200.1") == [Decimal("1200.10")]


def test_an_amount_with_more_digits_than_a_float_holds_comes_back_whole(client):
    """Also through a composite, whose body is read and written once more."""
    body = '{"Name": "D", "StageName": "Closed Won", "CloseDate": "2026-01-31", "Amount": %s}'
    digits = "1234567890123456.78"
    one = client.post("sobjects/Opportunity", content=(body % digits).encode()).json()["id"]
    part = '{"method":"POST","url":"/services/data/v62.0/sobjects/Opportunity","referenceId":"a","body":%s}'  # noqa: E501
    whole = f'{{"compositeRequest":[{part % (body % digits)}]}}'
    done = client.post("composite", content=whole.encode()).json()["compositeResponse"][0]
    for id in (one, done["body"]["id"]):
        assert f'"Amount":{digits}' in client.get(f"sobjects/Opportunity/{id}").text


def test_a_line_items_total_is_quantity_times_price(client):
    """Exact, and kept when either changes; a price from a total is rounded to the cent."""
    deal = client.post("sobjects/Opportunity", json=DEAL).json()["id"]
    body = {"OpportunityId": deal, "Quantity": 3, "UnitPrice": 0.1}
    line = client.post("sobjects/OpportunityLineItem", json=body).json()["id"]

    def shown():
        text = client.get(f"sobjects/OpportunityLineItem/{line}").text
        record = json.loads(text, parse_float=Decimal)
        return record["UnitPrice"], record["TotalPrice"]

    assert shown() == (Decimal("0.1"), Decimal("0.3"))
    client.patch(f"sobjects/OpportunityLineItem/{line}", json={"Quantity": 7})
    assert shown() == (Decimal("0.1"), Decimal("0.7"))
    client.patch(f"sobjects/OpportunityLineItem/{line}", json={"TotalPrice": 100})
    assert shown() == (Decimal("14.29"), 100)


@pytest.mark.parametrize("amount", ["much", "NaN", True, [1]])
def test_what_is_no_number_is_refused(client, amount):
    """400 JSON_PARSER_ERROR."""
    reply = client.post("sobjects/Opportunity", json=DEAL | {"Amount": amount})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
