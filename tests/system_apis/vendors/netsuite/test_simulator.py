"""The NetSuite simulator over a real socket, held against the vendor's facts."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from sandbox.serve import running
from system_apis.simulator import Row
from system_apis.vendors.netsuite.simulator.fields import LINE, RECORDS

FACTS = Path(__file__).parents[5] / "shared" / "vendors" / "netsuite" / "record_v1_extract.json"
RECORD = "/services/rest/record/v1"
TOKEN = "/services/rest/auth/oauth2/v1/token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EC, RSA = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
GB, US, GBP, USD = ({"id": n} for n in ("1", "2", "1", "2"))


def seed(store):
    """Two companies, two customers, a job, three months of which the first is closed."""
    public = EC.as_dict(private=False)
    store.bulk_put("certificate", [
        Row("ec", {"client_id": "me", "public_key": public}),
        Row("rsa", {"client_id": "me", "public_key": RSA.as_pem(private=False).decode()}),
        Row("poor", {"client_id": "me", "public_key": public, "denied": ["invoice"]}),
    ])  # fmt: skip
    store.bulk_put("currency", [
        Row("1", {"name": "Pound", "symbol": "GBP"}), Row("2", {"name": "Dollar", "symbol": "USD"}),
    ])  # fmt: skip
    store.bulk_put("subsidiary", [
        Row("1", {"name": "UK", "currency": GBP, "tranPrefix": "UK-"}, "LE-UK"),
        Row("2", {"name": "US", "currency": USD, "tranPrefix": "US-"}),
    ])  # fmt: skip
    for n, last in ((1, 31), (2, 28), (3, 31)):
        span = {"startDate": f"2026-0{n}-01", "endDate": f"2026-0{n}-{last}"}
        store.put("accountingPeriod", str(n), span | {"periodName": f"2026-0{n}", "closed": n == 1})
    quarter = {"startDate": "2026-01-01", "endDate": "2026-03-31", "isQuarter": True}
    store.put("accountingPeriod", "9", quarter)
    store.bulk_put("salesTaxItem", [Row("5", {"itemId": "S-GB", "rate": "20"})])
    store.bulk_put("serviceItem", [Row("45", {"itemId": "Consulting"})])
    acme = {"recordType": "customer", "entityId": "ACME", "subsidiary": GB, "currency": GBP}
    store.bulk_put("entity", [
        Row("10", acme | {"externalId": "CUST-9"}, "CUST-9"),
        Row("11", acme | {"entityId": "BETA", "subsidiary": US, "currency": USD}),
        Row("12", {"recordType": "job", "entityId": "P1", "parent": {"id": "10"}, "externalId":
                   "PRJ-1"}, "PRJ-1"),
        Row("13", {"recordType": "job", "entityId": "P2", "parent": {"id": "11"}}),
    ])  # fmt: skip


def assertion(url, key=EC, alg="ES256", kid="ec", **changed):
    now = int(time.time())
    claims = {"iss": "me", "scope": ["rest_webservices"], "aud": url, "iat": now, "exp": now + 300}
    head = {"alg": alg, "kid": kid, "typ": "JWT"}
    return jwt.encode(head, claims | changed, key, algorithms=[alg])


def ask_token(client, **how):
    url = str(client.base_url).rstrip("/") + TOKEN
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION}
    return client.post(TOKEN, data=form | {"client_assertion": assertion(url, **how)})


@pytest.fixture
def account(tmp_path):
    """The running sandbox, with the account seeded."""
    with running(tmp_path, vendors=["netsuite"]) as up:
        seed(up.sandbox.houses["netsuite"].store)
        yield up


@pytest.fixture
def client(account):
    with httpx.Client(base_url=f"{account.url}/netsuite", timeout=10) as client:
        token = ask_token(client).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def invoice(external="INV-1", **changed):
    body = {
        "externalId": external,
        "entity": {"externalId": "CUST-9"},
        "tranDate": "2026-02-10",
        "otherRefNum": "PO 7",
        "custbody_hash": "abc",
        "item": {"items": [
            {"item": {"id": "45"}, "quantity": 7.5, "rate": 133.35, "taxCode": {"id": "5"},
             "job": {"externalId": "PRJ-1"}, "custcol_line": "1"},
            {"item": {"id": "45"}, "quantity": 1, "rate": 10.01},
        ]},
    }  # fmt: skip
    return body | changed


def post(client, body, record="invoice", **headers):
    return client.post(f"{RECORD}/{record}", json=body, headers=headers)


def code(reply):
    assert reply.headers["content-type"] == "application/vnd.oracle.resource+json; type=error"
    body = reply.json()
    assert body["status"] == reply.status_code
    return body["o:errorDetails"][0]["o:errorCode"]


def suiteql(client, text, **headers):
    return client.post(
        "/services/rest/query/v1/suiteql",
        json={"q": text},
        headers={"prefer": "transient"} | headers,
    )


def test_a_token_is_for_a_signed_assertion_only(client):
    """ES256 and PS256 pass; RS256, a strange audience, a missing scope, an old one do not."""
    reply = ask_token(client)
    assert reply.json()["expires_in"] == "3600"
    assert reply.json()["token_type"] == "bearer"
    assert ask_token(client, key=RSA, alg="PS256", kid="rsa").status_code == 200
    assert ask_token(client, key=RSA, alg="RS256", kid="rsa").json()["error"] == "invalid_client"
    assert ask_token(client, key=ECKey.generate_key("P-256")).status_code == 400
    assert ask_token(client, aud="https://elsewhere").status_code == 400
    assert ask_token(client, scope="restlets").json()["error"] == "invalid_scope"
    assert ask_token(client, exp=int(time.time()) - 1).status_code == 400
    assert ask_token(client, kid="nobody").status_code == 400


def test_without_a_token_nothing_answers(client):
    """401 INVALID_LOGIN with a challenge; a role without permission is 403."""
    reply = client.get(f"{RECORD}/invoice", headers={"authorization": "Bearer x"})
    assert (reply.status_code, code(reply)) == (401, "INVALID_LOGIN")
    assert "error=" in reply.headers["www-authenticate"]
    poor = ask_token(client, kid="poor").json()["access_token"]
    reply = client.get(f"{RECORD}/invoice", headers={"authorization": f"Bearer {poor}"})
    assert (reply.status_code, code(reply)) == (403, "INSUFFICIENT_PERMISSION")


def test_a_create_is_204_with_a_location_and_reads_back(client):
    """The ERP decides number, period, tax and totals; own fields come back untouched."""
    made = post(client, invoice())
    assert (made.status_code, made.content) == (204, b"")
    read = client.get(made.headers["location"], params={"expandSubResources": "true"})
    body = read.json(parse_float=str)
    assert read.headers["content-type"] == "application/vnd.oracle.resource+json"
    seen = {name: body[name] for name in ("tranId", "externalId", "custbody_hash", "tranDate")}
    assert seen == {
        "tranId": "UK-INV000001",
        "externalId": "INV-1",
        "custbody_hash": "abc",
        "tranDate": "2026-02-10",
    }
    assert (body["subtotal"], body["taxTotal"], body["total"]) == ("1010.14", "200.03", "1210.17")
    assert body["amountRemaining"] == "1210.17"
    assert body["status"] == {"id": "Open", "refName": "Open"}
    assert body["approvalStatus"] == {"id": "2", "refName": "Approved"}
    assert body["postingPeriod"]["refName"] == "2026-02"
    line = body["item"]["items"][0]
    assert (line["amount"], line["tax1Amt"], line["custcol_line"]) == ("1000.13", "200.03", "1")
    assert (line["line"], line["job"]["id"]) == (1, "12")


def test_sublists_are_links_unless_expanded_and_fields_narrow(client):
    """The default answer hides the lines."""
    where = post(client, invoice()).headers["location"]
    assert list(client.get(where).json()["item"]) == ["links"]
    narrow = client.get(where, params={"fields": "tranId", "simpleEnumFormat": "true"}).json()
    assert set(narrow) == {"links", "id", "tranId"}
    by_external = client.get(f"{RECORD}/invoice/eid:INV-1", params={"simpleEnumFormat": "true"})
    assert by_external.json()["approvalStatus"] == "2"
    missing = client.get(f"{RECORD}/invoice/eid:NO")
    assert (missing.status_code, code(missing)) == (404, "NONEXISTENT_ID")


def test_an_external_id_is_unique_across_transactions(client):
    """A second POST is refused, also as another type, and nothing is written."""
    post(client, invoice())
    again = post(client, invoice())
    assert (again.status_code, code(again)) == (400, "USER_ERROR")
    assert "This entity already exists." in again.json()["o:errorDetails"][0]["detail"]
    assert post(client, invoice(), "creditMemo").status_code == 400
    assert client.get(f"{RECORD}/invoice").json()["totalResults"] == 1


def test_numbers_have_no_gap_per_subsidiary(client):
    """A refused invoice takes no number; each company counts by itself."""
    assert post(client, invoice("A")).status_code == 204
    assert post(client, invoice("B", item={"items": []})).status_code == 400
    assert post(client, invoice("A")).status_code == 400
    refused = post(client, invoice("C", item={"items": []}), prefer="respond-async")
    assert refused.status_code == 202
    assert post(client, invoice("D")).status_code == 204
    beta = invoice("E", entity={"id": "11"})
    del beta["item"]["items"][0]["job"]
    assert post(client, beta).status_code == 204
    rows = suiteql(client, "SELECT tranid FROM transaction ORDER BY id").json()["items"]
    assert [row["tranid"] for row in rows] == ["UK-INV000001", "UK-INV000002", "US-INV000001"]


def test_a_put_is_an_upsert_by_external_id(client):
    """204 both times, one invoice; lines are replaced only when asked."""
    one = client.put(f"{RECORD}/invoice/eid:X", json=invoice())
    lines = {"items": [{"item": {"id": "45"}, "quantity": 1, "rate": 5}]}
    two = client.put(f"{RECORD}/invoice/eid:X", params={"replace": "item"}, json={"item": lines})
    assert (one.status_code, two.status_code) == (204, 204)
    assert one.headers["location"] == two.headers["location"]
    assert client.get(one.headers["location"]).json()["total"] == 5
    merged = {"items": [{"line": 1, "quantity": 2}, {"item": {"id": "45"}, "amount": 3}]}
    client.patch(one.headers["location"], json={"item": merged, "memo": "new"})
    after = client.get(one.headers["location"]).json()
    assert (after["total"], after["memo"], after["tranId"]) == (13, "new", "UK-INV000001")


@pytest.mark.parametrize(
    ("changed", "expected", "path"),
    [
        ({"tranDate": "2026-01-15"}, "USER_ERROR", "postingPeriod"),
        ({"tranDate": "2027-01-15"}, "USER_ERROR", "tranDate"),
        ({"entity": {"externalId": "NO"}}, "INVALID_CONTENT", "entity"),
        ({"entity": {"id": "11"}}, "INVALID_CONTENT", "item.items[0].job"),
        ({"subsidiary": {"id": "2"}}, "INVALID_CONTENT", "subsidiary"),
        ({"currency": {"id": "2"}}, "INVALID_CONTENT", "currency"),
        ({"tranDate": "10.02.2026"}, "INVALID_CONTENT", "tranDate"),
        ({"memo": 7}, "INVALID_CONTENT", "memo"),
        ({"item": {"items": [{"item": {"id": "99"}}]}}, "INVALID_CONTENT", "item.items[0].item"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(client, changed, expected, path):
    """Closed period, wrong party, wrong company, wrong type: 400, and nothing is written."""
    reply = post(client, invoice(**changed))
    assert (reply.status_code, code(reply)) == (400, expected)
    assert reply.json()["o:errorDetails"][0]["o:errorPath"] == path
    assert client.get(f"{RECORD}/invoice").json()["totalResults"] == 0


def test_a_closed_period_freezes_its_invoices(client, account):
    """After the close neither change nor delete; after reopening both."""
    where = post(client, invoice()).headers["location"]
    assert client.patch(f"{RECORD}/accountingPeriod/2", json={"arLocked": True}).status_code == 204
    assert code(client.patch(where, json={"memo": "x"})) == "USER_ERROR"
    assert code(client.delete(where)) == "USER_ERROR"
    client.patch(f"{RECORD}/accountingPeriod/2", json={"arLocked": False})
    assert client.delete(where).status_code == 204
    gone = suiteql(client, "SELECT recordid FROM deletedrecord WHERE recordtype = 'invoice'")
    assert gone.json()["count"] == 1


def test_unknown_names_pass_silently_unless_asked(client):
    """The trap of the default: a misspelt field is lost without a word."""
    assert post(client, invoice(mmeo="lost")).status_code == 204
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    reply = post(client, invoice("B", mmeo="lost"), **strict)
    assert (reply.status_code, code(reply)) == (400, "NONEXISTENT_FIELD")


def test_master_data_is_created_by_reference(client):
    """Customer and job: needed fields, defaults from company and customer, close by PATCH."""
    assert code(post(client, {"companyName": "New"}, "customer")) == "USER_ERROR"
    body = {"companyName": "New", "subsidiary": {"externalId": "LE-UK"}, "externalId": "N"}
    where = post(client, body, "customer").headers["location"]
    customer = client.get(where).json()
    assert (customer["currency"]["id"], customer["entityId"]) == ("1", "New")
    job = client.put(
        f"{RECORD}/job/eid:J", json={"companyName": "Job", "parent": {"externalId": "N"}}
    )
    assert client.get(job.headers["location"]).json()["subsidiary"]["id"] == "1"
    assert client.patch(job.headers["location"], json={"isInactive": True}).status_code == 204
    lines = {"items": [{"item": {"id": "45"}, "amount": 1, "job": {"externalId": "J"}}]}
    refused = post(client, invoice("Q", entity={"externalId": "N"}, item=lines))
    assert code(refused) == "INVALID_CONTENT"


def test_a_collection_shows_ids_and_pages(client):
    """Items are id and links only; hasMore and totalResults are true; q finds."""
    for n in range(5):
        post(client, invoice(f"INV-{n}"))
    page = client.get(f"{RECORD}/invoice", params={"limit": 2, "offset": 2}).json()
    assert (page["count"], page["hasMore"], page["totalResults"], page["offset"]) == (2, True, 5, 2)
    assert {frozenset(item) for item in page["items"]} == {frozenset({"id", "links"})}

    def found(q):
        return client.get(f"{RECORD}/invoice", params={"q": q})

    assert found('externalId IS "INV-3"').json()["totalResults"] == 1
    assert found('externalId START_WITH "INV-" AND tranDate AFTER "2/9/2026"').json()["count"] == 5
    assert found('lastModifiedDate AFTER "1/1/2020"').json()["totalResults"] == 5
    assert found('lastModifiedDate AFTER "2020-01-01"').status_code == 400
    assert found('nonsense IS "x"').status_code == 400
    assert client.get(f"{RECORD}/invoice", params={"limit": 3, "offset": 2}).status_code == 400


def test_suiteql_speaks_lower_case_text_without_nulls(client):
    """Prefer: transient is required; values are text; a misspelt column is an error."""
    post(client, invoice("A"))
    post(client, invoice("B", memo="m", tranDate="2026-03-01"))
    query = "SELECT id, tranid, externalid, memo, trandate, foreigntotal FROM transaction"
    assert suiteql(client, query, prefer="").status_code == 400
    first = suiteql(client, f"{query} WHERE type = 'CustInvc' ORDER BY id").json()["items"][0]
    assert first == {
        "links": [],
        "id": "1",
        "tranid": "UK-INV000001",
        "externalid": "A",
        "trandate": "2/10/2026",
        "foreigntotal": "1210.17",
    }
    since = "lastmodifieddate >= TO_TIMESTAMP('2020-01-01 00:00:00', 'YYYY-MM-DD HH24:MI:SS')"
    assert suiteql(client, f"{query} WHERE {since} AND memo = 'm'").json()["totalResults"] == 1
    later = "trandate > TO_DATE('2026-02-28','YYYY-MM-DD') OR externalid LIKE 'Z%'"
    assert suiteql(client, f"{query} WHERE ({later})").json()["totalResults"] == 1
    exact = suiteql(
        client, "SELECT TO_CHAR(trandate, 'YYYY-MM-DD') AS day, BUILTIN.DF(status) AS s"
        " FROM transaction t WHERE t.externalid IN ('A', 'C') AND memo IS NULL",
    )  # fmt: skip
    assert exact.json()["items"] == [{"links": [], "day": "2026-02-10", "s": "Open"}]
    assert suiteql(client, "SELECT tranidd FROM transaction").status_code == 400
    assert suiteql(client, "SELECT id FROM transaction; DROP TABLE x").status_code == 400
    assert suiteql(client, "SELECT COUNT(*) AS n FROM job").json()["items"] == [{"n": "2"}]
    shut = "SELECT id, arlocked, closed FROM accountingPeriod WHERE closed = 'T'"
    assert suiteql(client, shut).json()["items"] == [{"links": [], "id": "1", "closed": "T"}]


def test_an_idempotency_key_counts_for_async_only(client):
    """The second async call is 400 with the first job's place; a sync call ignores the key."""
    key = {"X-NetSuite-Idempotency-Key": str(uuid.uuid4())}
    first = post(client, invoice("A"), prefer="respond-async", **key)
    second = post(client, invoice("B"), prefer="respond-async", **key)
    assert (first.status_code, first.headers["preference-applied"]) == (202, "respond-async")
    assert (second.status_code, code(second)) == (400, "IDEMPOTENCY_ERROR")
    assert second.json()["title"] == "Conflict"
    assert second.headers["location"] == first.headers["location"]
    job = client.get(first.headers["location"]).json()
    assert (job["completed"], job["progress"]) == (True, "succeeded")
    result = client.get(f"{first.headers['location']}/task/1/result")
    assert (result.status_code, "invoice/1" in result.headers["location"]) == (204, True)
    assert post(client, invoice("C"), **key).status_code == 204
    assert post(client, invoice("C"), **key).status_code == 400


def test_a_slow_job_is_pending_first(client, account):
    """Not done until its time; its result is not there before."""
    account.sandbox.houses["netsuite"].store.put("setting", "account", {"async_delay_s": 60})
    job = post(client, invoice(), prefer="respond-async").headers["location"]
    assert client.get(job).json()["progress"] == "pending"
    assert client.get(f"{job}/task/1/result").status_code == 404


def test_more_calls_at_once_than_the_account_has_are_refused(client, account):
    """429 CONCURRENCY_LIMIT_EXCEEDED, no Retry-After; the others are served."""
    account.sandbox.houses["netsuite"].store.put("setting", "account", {"concurrency_limit": 3})
    limits = client.get("/services/rest/system/v1/governanceLimits").json()
    assert limits["accountConcurrencyLimit"] == 3
    slow = {"Sandbox-Fault": "latency;ms=600"}
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(post, client, invoice(f"I{n}"), **slow) for n in range(6)]
        replies = [call.result() for call in calls]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert sorted(reply.status_code for reply in replies) == [204] * 3 + [429] * 3
    assert code(refused[0]) == "CONCURRENCY_LIMIT_EXCEEDED"
    assert "retry-after" not in refused[0].headers


@pytest.mark.parametrize("fault", ["rate_limited", "server_error", "maintenance"])
def test_faults_speak_the_vendors_words(client, fault):
    """The sandbox's refusals have the vendor's body."""
    expected = {"rate_limited": "CONCURRENCY_LIMIT_EXCEEDED"}.get(fault, "UNEXPECTED_ERROR")
    assert code(client.get(f"{RECORD}/invoice", headers={"Sandbox-Fault": fault})) == expected


def test_a_lost_reply_has_written_and_a_strong_read_finds_it_where_search_does_not(client):
    """The story of every duplicate invoice."""
    with pytest.raises(httpx.TransportError):
        post(client, invoice(), **{"Sandbox-Fault": "timeout_after_commit;hang_s=0.05"})
    stale = {"Sandbox-Fault": "stale_search;lag_s=60"}
    search = client.get(f"{RECORD}/invoice", params={"q": 'externalId IS "INV-1"'}, headers=stale)
    assert search.json()["totalResults"] == 0
    assert suiteql(client, "SELECT id FROM transaction", **stale).json()["totalResults"] == 0
    assert client.get(f"{RECORD}/invoice/eid:INV-1", headers=stale).status_code == 200
    assert code(post(client, invoice())) == "USER_ERROR"


def test_a_restart_keeps_invoices_numbers_and_tokens(tmp_path):
    """Everything an account knows survives."""
    with running(tmp_path, vendors=["netsuite"]) as up:
        seed(up.sandbox.houses["netsuite"].store)
        port = int(up.url.rpartition(":")[2])
        client = httpx.Client(base_url=f"{up.url}/netsuite")
        token = {"authorization": f"Bearer {ask_token(client).json()['access_token']}"}
        post(client, invoice("A"), **token)
        client.close()
    with running(tmp_path, vendors=["netsuite"], port=port) as up:
        client = httpx.Client(base_url=f"{up.url}/netsuite", headers=token)
        assert client.get(f"{RECORD}/invoice/eid:A").status_code == 200
        where = post(client, invoice("B")).headers["location"]
        assert client.get(where).json()["tranId"] == "UK-INV000002"
        client.close()


def test_a_credit_memo_comes_from_its_invoice(client):
    """Transform copies party and lines; the memo counts by itself."""
    where = post(client, invoice()).headers["location"]
    made = client.post(f"{where}/!transform/creditMemo", json={
        "externalId": "CN-1", "tranDate": "2026-03-02"
    })  # fmt: skip
    memo = client.get(made.headers["location"]).json()
    assert (memo["tranId"], memo["total"]) == ("UK-CM000001", 1210.17)
    assert memo["createdFrom"]["id"] == where.rpartition("/")[2]


def test_names_and_types_are_the_vendors():
    """Every field that the vendor's extract knows has the vendor's type here."""
    if not FACTS.exists():
        pytest.skip(f"no vendor extract at {FACTS.parent.name}/{FACTS.name} beside the repository")
    schemas = json.loads(FACTS.read_text())["schemas"]
    ours = {"invoice": RECORDS["invoice"].fields, "invoice-itemElement": LINE}
    wrong, unseen = [], set()
    for schema, fields in ours.items():
        for name, declared in fields.items():
            vendor, kind = schemas[schema].get(name), declared.lstrip("=").partition(":")[0]
            if vendor is None:
                unseen.add(name)
            elif kind != "any" and not vendor.replace("sub(", "x(").startswith(kind):
                wrong.append((schema, name, declared, vendor))
    assert wrong == []
    assert unseen == {
        "startDate", "status", "subsidiary", "subtotal", "taxTotal", "terms", "total", "tranDate",
        "tranId", "void",
    }  # fmt: skip
