"""The Salesforce simulator over a real socket, held against the vendor's facts."""

import json
from pathlib import Path

import httpx
import pytest

from sandbox.serve import running
from system_apis.simulator import Row
from system_apis.vendors.salesforce.simulator import record_id
from system_apis.vendors.salesforce.simulator.objects import OBJECTS
from system_apis.vendors.salesforce.simulator.values import checked

FACTS = Path(__file__).parents[5] / "shared" / "vendors" / "salesforce"
CLIENT = record_id("Account", 1)
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
FORM = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "s"}


def seed(store):
    """One connected app, one client."""
    store.put("client", "key", {"client_secret": "s", "user_id": "0055e000000000AAAA"})
    account = {"Name": "Acme", "Firm_Ext_Id__c": "A1", "Firm_Client_Code__c": "CL-0001"}
    store.bulk_put("Account", [Row(CLIENT, account, "A1", "2026-01-31T12:34:56.789123+00:00")])


def token(base):
    return httpx.post(f"{base}/salesforce/services/oauth2/token", data=FORM).json()["access_token"]


def open_client(up):
    base = f"{up.url}/salesforce/services/data/v62.0/"
    headers = {"authorization": f"Bearer {token(up.url)}"}
    return httpx.Client(base_url=base, headers=headers, timeout=10)


@pytest.fixture
def org(tmp_path):
    with running(tmp_path, vendors=["salesforce"]) as up:
        seed(up.sandbox.houses["salesforce"].store)
        yield up


@pytest.fixture
def client(org):
    with open_client(org) as client:
        yield client


def store_of(org):
    return org.sandbox.houses["salesforce"].store


def made(client, kind, **fields):
    reply = client.post(f"sobjects/{kind}/", json=fields)
    assert reply.status_code == 201, reply.json()
    assert reply.json() | {"id": ""} == {"id": "", "success": True, "errors": []}
    return reply.json()["id"]


def refused(reply):
    """(status, code); the body is an array of one error."""
    [error] = reply.json()
    assert error.keys() >= {"message", "errorCode"}
    return reply.status_code, error["errorCode"]


def query(client, text, path="query/", **headers):
    return client.get(path, params={"q": text}, headers=headers)


def names(client, condition):
    reply = query(client, f"SELECT Name FROM Opportunity {condition}")
    assert reply.status_code == 200, reply.json()
    return [record["Name"] for record in reply.json()["records"]]


def test_ids_carry_prefix_and_checksum():
    """The checksum of a recorded id, the prefixes of the facts."""
    assert checked("0015500001QdZPK") == "0015500001QdZPKAA3"
    assert checked("0065500000KQ12X") == "0065500000KQ12XAAT"
    assert [record_id(one, 7)[:3] for one in ("Account", "Contract", "Contract_Line__c")] == [
        "001", "800", "a00",
    ]  # fmt: skip
    assert len(record_id("Account", 62**9)) == 18


def test_a_session_comes_without_a_life_and_ends(org):
    """Form and Basic; OAuth errors are objects; an ended session is told by 401 only."""
    url = f"{org.url}/salesforce/services/oauth2/token"
    reply = httpx.post(url, data={"grant_type": "client_credentials"}, auth=("key", "s"))
    assert reply.json().keys() == {
        "access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at",
        "api_instance_url",
    }  # fmt: skip
    assert reply.json()["instance_url"] == f"{org.url}/salesforce"
    assert len(reply.json()["issued_at"]) == 13
    wrong = httpx.post(url, data=FORM | {"client_secret": "no"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")
    store_of(org).put("setting", "org", {"session_s": 0})
    with open_client(org) as client:
        late = client.get("limits")
        assert (late.status_code, late.json()) == (401, EXPIRED)
        assert late.headers["sforce-limit-info"].startswith("api-usage=")
    assert httpx.get(f"{org.url}/salesforce/services/data/").json()[-1]["version"] == "62.0"


def test_a_record_is_made_read_changed_and_deleted(client):
    """201, all fields or those asked for, 204, 404; instants have milliseconds."""
    id = made(client, "Opportunity", Name="Deal", StageName="Prospecting", CloseDate="2026-03-01",
              AccountId=CLIENT, Amount=1000.5)  # fmt: skip
    whole = client.get(f"sobjects/Opportunity/{id}").json()
    assert whole["attributes"]["url"] == f"/services/data/v62.0/sobjects/Opportunity/{id}"
    assert (whole["IsClosed"], whole["Amount"], whole["NextStep"]) == (False, 1000.5, None)
    reply = client.patch(f"sobjects/Opportunity/{id}", json={"StageName": "Closed Won"})
    assert (reply.status_code, reply.content) == (204, b"")
    part = client.get(f"sobjects/Opportunity/{id[:15]}", params={"fields": "IsClosed,IsWon"})
    assert part.json() | {"attributes": 0} == {"attributes": 0, "IsClosed": True, "IsWon": True}
    seeded = client.get(f"sobjects/Account/{CLIENT}").json()
    assert seeded["SystemModstamp"] == "2026-01-31T12:34:56.789+0000"
    assert client.delete(f"sobjects/Opportunity/{id}").status_code == 204
    gone = client.get(f"sobjects/Opportunity/{id}")
    assert refused(gone) == (404, "ENTITY_IS_DELETED")
    live = query(client, "SELECT Id FROM Opportunity").json()["totalSize"]
    everything = query(client, "SELECT Id, IsDeleted FROM Opportunity", "queryAll/").json()
    assert (live, everything["records"][0]["IsDeleted"]) == (0, True)


def test_what_is_wrong_with_a_record_is_said_by_code(client):
    """Unknown and missing fields, length, references, types, read-only fields."""
    def answer(kind, **fields):
        return client.post(f"sobjects/{kind}/", json=fields)

    unknown = answer("Account", Name="x", Foo="y")
    assert unknown.json()[0]["message"] == "No such column 'Foo' on sobject of type Account"
    assert refused(unknown) == (400, "INVALID_FIELD")
    missing = answer("Contact", FirstName="x")
    assert refused(missing) == (400, "REQUIRED_FIELD_MISSING")
    assert missing.json()[0]["fields"] == ["LastName"]
    assert refused(answer("Account", Name="x" * 256)) == (400, "STRING_TOO_LONG")
    assert refused(answer("Contact", LastName="x", AccountId="1")) == (400, "MALFORMED_ID")
    nobody = record_id("Account", 99)
    assert refused(answer("Contact", LastName="x", AccountId=nobody))[1] == (
        "INVALID_CROSS_REFERENCE_KEY"
    )
    assert refused(answer("Account", Name="x", AnnualRevenue="?")) == (400, "JSON_PARSER_ERROR")
    computed = answer("Account", Name="x", SystemModstamp="2026-01-01T00:00:00Z")
    assert refused(computed) == (400, "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert refused(answer("Foo", Name="x")) == (404, "NOT_FOUND")
    assert refused(client.put("limits")) == (405, "METHOD_NOT_ALLOWED")


def test_an_external_id_makes_a_replay_safe(client):
    """Upsert: 201, then 200 with created false; a second holder is refused; 300 where many."""
    path = "sobjects/Account/Firm_Ext_Id__c/A/2"
    first = client.patch(path, json={"Name": "Two"})
    again = client.patch(path, json={"Name": "Two b"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (again.status_code, again.json()) == (200, first.json() | {"created": False})
    assert client.get(path).json()["Name"] == "Two b"
    for field, value in (("Firm_Ext_Id__c", "A/2"), ("Firm_Client_Code__c", "CL-0001")):
        second = client.post("sobjects/Account/", json={"Name": "x", field: value})
        assert refused(second) == (400, "DUPLICATE_VALUE")
    for name in ("a", "b"):
        made(client, "Contact", LastName=name, Email="same@x.test")
    many = client.patch("sobjects/Contact/Email/same@x.test", json={"LastName": "c"})
    assert (many.status_code, len(many.json())) == (300, 2)
    assert refused(client.get("sobjects/Account/Firm_Ext_Id__c/none")) == (404, "NOT_FOUND")
    assert refused(client.get("sobjects/Account/Phone/1")) == (404, "NOT_FOUND")
    given = client.patch(path, json={"Firm_Ext_Id__c": "A/2"})
    assert refused(given) == (400, "INVALID_FIELD")


def test_an_external_id_given_up_is_free(client):
    """null blanks the field; another record may take it."""
    client.patch(f"sobjects/Account/{CLIENT}", json={"Firm_Ext_Id__c": None})
    assert client.patch("sobjects/Account/Firm_Ext_Id__c/A1", json={"Name": "n"}).json()["created"]


def test_a_contract_starts_as_a_draft(client):
    """Made otherwise it is refused [U]; a later update activates it."""
    wrong = client.post("sobjects/Contract/", json={"AccountId": CLIENT, "Status": "Activated"})
    assert refused(wrong) == (400, "FAILED_ACTIVATION")
    id = made(client, "Contract", AccountId=CLIENT, StartDate="2026-01-31", ContractTerm=1)
    draft = client.get(f"sobjects/Contract/{id}").json()
    assert (draft["Status"], draft["ActivatedDate"], draft["EndDate"]) == (
        "Draft", None, "2026-02-27",
    )  # fmt: skip
    assert draft["ContractNumber"].isdecimal()
    client.patch(f"sobjects/Contract/{id}", json={"Status": "Activated"})
    active = client.get(f"sobjects/Contract/{id}").json()
    assert (active["StatusCode"], active["ActivatedDate"][-5:]) == ("Activated", "+0000")
    back = client.patch(f"sobjects/Contract/{id}", json={"Status": "Draft"})
    assert refused(back) == (400, "INVALID_STATUS")
    bad = client.patch(f"sobjects/Contract/{id}", json={"Status": "Nonsense"})
    assert refused(bad) == (400, "INVALID_STATUS")


@pytest.fixture
def deals(org, client):
    rows = [
        ("a", "Prospecting", "2026-01-05", 10, "2026-02-01T00:00:00.000001+00:00"),
        ("b", "Closed Won", "2026-02-05", 20, "2026-02-02T00:00:00.500000+00:00"),
        ("C", "Closed Lost", "2026-03-05", None, "2026-02-02T00:00:00.500900+00:00"),
        ("d'%", "Prospecting", "2026-04-05", 30, "2026-02-03T00:00:00.000000+00:00"),
    ]
    store_of(org).bulk_put("Opportunity", [
        Row(record_id("Opportunity", number), {
            "Name": name, "StageName": stage, "CloseDate": day, "Amount": amount,
            "AccountId": CLIENT,
        }, None, at)
        for number, (name, stage, day, amount, at) in enumerate(rows, 1)
    ])  # fmt: skip
    return client


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ORDER BY Name", "a b C d'%"),
        ("WHERE Name = 'c'", "C"),
        (r"WHERE Name = 'd\'%'", "d'%"),
        (r"WHERE Name LIKE '%\%'", "d'%"),
        ("WHERE StageName LIKE 'closed%' ORDER BY Amount DESC NULLS LAST", "b C"),
        ("ORDER BY Amount DESC", "C d'% b a"),
        ("ORDER BY Amount", "C a b d'%"),
        ("WHERE Amount >= 20 AND CloseDate < 2026-04-01", "b"),
        ("WHERE Amount = null", "C"),
        ("WHERE Amount != 10 ORDER BY CloseDate", "b C d'%"),
        ("WHERE IsClosed = false AND (Amount < 15 OR Amount > 25) ORDER BY Name", "a d'%"),
        ("WHERE IsWon = TRUE", "b"),
        ("WHERE StageName IN ('Closed Won', 'Closed Lost') ORDER BY Name DESC", "C b"),
        ("WHERE StageName NOT IN ('Prospecting') ORDER BY Name LIMIT 1 OFFSET 1", "C"),
        ("WHERE NOT Name = 'a' ORDER BY Name LIMIT 1", "b"),
        (f"WHERE Id = '{record_id('Opportunity', 2)[:15]}'", "b"),
        (f"WHERE AccountId = '{CLIENT}' ORDER BY Id LIMIT 2", "a b"),
        ("WHERE SystemModstamp >= 2026-02-02T01:00:00.500+01:00 ORDER BY SystemModstamp, Id",
         "b C d'%"),
        (f"WHERE SystemModstamp > 2026-02-02T00:00:00.500Z OR (SystemModstamp = "
         f"2026-02-02T00:00:00.500Z AND Id > '{record_id('Opportunity', 2)}')"
         " ORDER BY SystemModstamp, Id", "C d'%"),
    ],
)  # fmt: skip
def test_queries_find_and_order(deals, condition, expected):
    """Text without case, nulls first, instants cut to milliseconds, keysets."""
    assert " ".join(names(deals, condition)) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT Foo FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Foo = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Foo", "INVALID_FIELD"),
        ("SELECT Id FROM Foo", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 7", "INVALID_FIELD"),
        ("SELECT FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'x' AND Phone = 'y' OR Fax = 'z'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_bad_queries_are_refused(client, text, code):
    """400 with the vendor's code."""
    assert refused(query(client, text)) == (400, code)


def test_long_answers_come_by_locator(org, client):
    """A batch of 200 to 2000; totalSize is all; the last page has no nextRecordsUrl."""
    rows = [Row(record_id("Account", n), {"Name": f"{n:04d}"}) for n in range(100, 2200)]
    store_of(org).bulk_put("Account", rows)
    page = query(client, "SELECT Name FROM Account WHERE Name LIKE '%' ORDER BY Name").json()
    assert (page["totalSize"], page["done"], len(page["records"])) == (2101, False, 2000)
    assert page["nextRecordsUrl"].startswith("/services/data/v62.0/query/01g")
    rest = client.get(f"{org.url}/salesforce{page['nextRecordsUrl']}").json()
    assert (rest["done"], len(rest["records"]), "nextRecordsUrl" in rest) == (True, 101, False)
    hint = {"Sforce-Query-Options": "batchSize=200"}
    assert len(query(client, "SELECT Id FROM Account", **hint).json()["records"]) == 200
    assert query(client, "SELECT COUNT() FROM Account").json() == {
        "totalSize": 2101, "done": True, "records": [],
    }  # fmt: skip
    assert refused(client.get("query/01gNONE-2000")) == (400, "INVALID_QUERY_LOCATOR")


def test_collections_answer_part_by_part(client):
    """Created and updated in one call; the bad one alone fails unless allOrNone."""
    kind = {"attributes": {"type": "Account"}}
    good = kind | {"Firm_Ext_Id__c": "A1", "Name": "Acme 2"}
    new = kind | {"Firm_Ext_Id__c": "A9", "Name": "New"}
    bad = kind | {"Firm_Ext_Id__c": "A8"}
    path = "composite/sobjects/Account/Firm_Ext_Id__c"
    reply = client.patch(path, json={"allOrNone": True, "records": [good, new, bad]})
    codes = [result["errors"][0]["statusCode"] for result in reply.json()]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK"] * 2 + ["REQUIRED_FIELD_MISSING"]
    assert client.get(f"sobjects/Account/{CLIENT}").json()["Name"] == "Acme"
    reply = client.patch(path, json={"allOrNone": False, "records": [good, new, bad]})
    assert reply.status_code == 200
    seen = [(result["success"], result.get("created")) for result in reply.json()]
    assert seen == [(True, False), (True, True), (False, None)]
    made_now = client.post("composite/sobjects", json={"records": [kind | {"Name": "x"}]}).json()
    assert made_now[0].keys() == {"id", "success", "errors"}


def test_a_composite_answers_200_whatever_its_parts_do(client):
    """Parts use ids of earlier parts; an error of a part is an array."""
    base = "/services/data/v62.0"
    reply = client.post("composite", json={"compositeRequest": [
        {"referenceId": "a", "method": "POST", "url": f"{base}/sobjects/Account/",
         "body": {"Name": "Parent"}},
        {"referenceId": "b", "method": "POST", "url": f"{base}/sobjects/Contact/",
         "body": {"LastName": "Child", "AccountId": "@{a.id}"}},
        {"referenceId": "c", "method": "GET", "url": f"{base}/sobjects/Foo"},
        {"referenceId": "d", "method": "GET",
         "url": f"{base}/query?q=SELECT Id FROM Contact WHERE AccountId = '@{{a.id}}'"},
    ]})  # fmt: skip
    parts = reply.json()["compositeResponse"]
    assert [part["httpStatusCode"] for part in parts] == [201, 201, 404, 200]
    assert (reply.status_code, parts[3]["body"]["totalSize"]) == (200, 1)
    assert parts[2] == {
        "body": [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}],
        "httpHeaders": {}, "httpStatusCode": 404, "referenceId": "c",
    }  # fmt: skip


def test_the_daily_limit_is_a_403(org, client):
    """Every reply tells the use; the spent limit is not a 429."""
    store_of(org).put("setting", "org", {"daily_limit": 2})
    first = client.get("limits")
    assert first.headers["sforce-limit-info"] == "api-usage=1/2"
    assert first.json()["DailyApiRequests"] == {"Max": 2, "Remaining": 1}
    client.get("limits")
    spent = client.get("limits")
    assert refused(spent) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert spent.json()[0]["message"] == "TotalRequests Limit exceeded."
    assert spent.headers["sforce-limit-info"] == "api-usage=2/2"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("rate_limited", (403, "REQUEST_LIMIT_EXCEEDED")),
        ("maintenance", (503, "SERVER_UNAVAILABLE")),
        ("server_error", (500, "UNKNOWN_EXCEPTION")),
        ("x_lock_row", (400, "UNABLE_TO_LOCK_ROW")),
        ("x_session_expired", (401, "INVALID_SESSION_ID")),
    ],
)
def test_faults_speak_the_vendors_words(client, fault, expected):
    """Nothing is written, and without the fault it is."""
    reply = client.post("sobjects/Account/", json={"Name": "F"}, headers={"Sandbox-Fault": fault})
    assert refused(reply) == expected


def test_a_write_whose_answer_was_lost_is_there(client):
    """error_after_commit: the upsert was done; the replay says created false."""
    path = "sobjects/Account/Firm_Ext_Id__c/LOST"
    lost = client.patch(path, json={"Name": "L"}, headers={"Sandbox-Fault": "error_after_commit"})
    assert lost.status_code == 500
    assert client.patch(path, json={"Name": "L"}).json()["created"] is False


def test_a_restart_loses_nothing(tmp_path):
    """Records, sessions and the day's use survive; ids go on."""
    with running(tmp_path, vendors=["salesforce"]) as up:
        seed(up.sandbox.houses["salesforce"].store)
        with open_client(up) as client:
            first = made(client, "Account", Name="Kept")
            headers = dict(client.headers)
    with running(tmp_path, vendors=["salesforce"]) as up:
        base = f"{up.url}/salesforce/services/data/v62.0/"
        with httpx.Client(base_url=base, headers=headers) as client:
            kept = client.get(f"sobjects/Account/{first}")
            assert kept.json()["Name"] == "Kept"
            assert kept.headers["sforce-limit-info"] == "api-usage=2/100000"
            assert made(client, "Account", Name="Next") > first


def described(client, name):
    reply = client.get(f"sobjects/{name}/describe")
    assert reply.status_code == 200, reply.json()
    return {field["name"]: field for field in reply.json()["fields"]}


@pytest.mark.parametrize("name", ["Account", "Opportunity", "Contact"])
def test_fields_are_those_of_the_recorded_describe(client, name):
    """Every standard field we have, with type, length and rights as recorded."""
    path = FACTS / f"describe_{name}.json"
    if not path.exists():
        pytest.skip("the vendor's metadata is not beside this repository")
    recorded = {field["name"]: field for field in json.loads(path.read_text())["fields"]}
    keys = ("type", "length", "createable", "updateable", "nillable", "idLookup", "referenceTo")
    ours = {n: f for n, f in described(client, name).items() if not f["custom"]}
    ours.pop("CurrencyIsoCode", None)
    actual = {n: {key: f[key] for key in keys} for n, f in ours.items()}
    assert actual == {n: {key: recorded[n][key] for key in keys} for n in ours}


@pytest.mark.parametrize("name", ["Contract", "OpportunityLineItem", "Product2", "PricebookEntry"])
def test_fields_are_those_of_the_vendors_schema(client, name):
    """Names and base types of the objects without a recorded describe."""
    path = FACTS / "enterprise_wsdl_standard_types.json"
    if not path.exists():
        pytest.skip("the vendor's metadata is not beside this repository")
    wsdl = json.loads(path.read_text())["objects"][name]
    later = json.loads((FACTS / "standard_objects_fields.json").read_text())[name]["fields"]
    for field in described(client, name).values():
        if field["custom"] or field["name"] in ("Id", "CurrencyIsoCode"):
            continue
        if field["name"] in wsdl:
            if field["type"] != "address":
                assert field["soapType"].split(":")[1] == wsdl[field["name"]]["type"].split(":")[1]
        else:
            assert field["name"] in later


def test_our_own_fields_are_there(client):
    """External ids are unique; every object is described."""
    for one in OBJECTS.values():
        fields = described(client, one.name)
        assert {"Id", "SystemModstamp", "LastModifiedDate", "CreatedDate"} <= fields.keys()
        if "Firm_Ext_Id__c" in fields:
            assert fields["Firm_Ext_Id__c"]["unique"]
            assert fields["Firm_Ext_Id__c"]["externalId"]
    assert described(client, "Contract_Line__c")["Contract__c"]["referenceTo"] == ["Contract"]
