"""The Workday simulator over a real socket, held against the vendor's specifications."""

import re
import time
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from sandbox.serve import running
from system_apis.simulator import Row

FACTS = Path(__file__).parents[5] / "shared" / "vendors" / "workday"
STAFFING, COMMON = "/ccx/api/staffing/v6/firm", "/ccx/api/v1/firm"
REPORTS = "/ccx/service/customreport2/firm/ISU_Firmwire"
ISU = ("ISU_Firmwire@firm", "pw")
REFERENCE = re.compile(r"(?:[0-9a-f]{32})|(?:[0-9]+\$[0-9]+)|(\S+=\S+)")
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KEY = RSAKey.generate_key(2048)


def wid(number):
    return f"a{number:031d}"


def seed(store, rate_per_s=1000):
    """25 workers, the last one gone; a profile, a cost centre, leave and a cost rate."""
    store.put("setting", "tenant", {"name": "firm", "rate_per_s": rate_per_s})
    app = {"client_secret": "s", "refresh_token": "r", "public_key": KEY.as_dict(private=False)}
    store.put("client", "app", app)
    store.put("isu", "ISU_Firmwire", {"password": "pw"})
    profile = {"Job_Profile_ID": "SENIOR", "Job_Profile": "Senior", "Substitutable_By": "LEAD"}
    store.put("job_profile", wid(900), profile, unique="SENIOR")
    rows = []
    for number in range(1, 26):
        code = f"E{number:04d}"
        doc = {
            "Employee_ID": code, "Worker": f"Person {number}", "Email": f"p{number}@firm.example",
            "Company": "LE-UK", "Job_Profile_ID": "SENIOR", "Hire_Date": "2024-01-08",
            "FTE": "1", "Location": "GB/London", "Country": "GB", "Time_Zone": "Europe/London",
            "Worker_Type": "Employee", "Manager_ID": "E0001" if number > 1 else None,
        }  # fmt: skip
        if number == 25:
            doc["Termination_Date"] = "2025-06-30"
        day = f"2026-01-{number:02d}T08:00:00.000000+00:00"
        rows.append(Row(wid(number), doc, unique=code, updated_at=day))
    store.bulk_put("worker", rows)
    centre = {"Cost_Center_ID": "CC-UK", "Cost_Center": "UK", "Company": "LE-UK"}
    store.put("cost_center", wid(800), centre)
    store.bulk_put("leave", [
        Row(wid(701), {"Employee_ID": "E0001", "Date": "2026-03-03", "Units": "8"}),
        Row(wid(700), {"Employee_ID": "E0001", "Date": "2026-03-02", "Units": "7.5"}),
    ])  # fmt: skip
    rate = {"Rate_ID": "CR-1", "Employee_ID": "E0001", "Currency": "GBP", "Hourly_Rate": "60.00"}
    store.put("cost_rate", wid(600), rate)


@pytest.fixture
def tenant(tmp_path):
    """The running sandbox, with the tenant seeded."""
    with running(tmp_path, vendors=["workday"]) as up:
        seed(up.sandbox.houses["workday"].store)
        yield up


def token_of(url):
    form = {"grant_type": "refresh_token", "refresh_token": "r"}
    reply = httpx.post(f"{url}/workday/ccx/oauth2/firm/token", data=form, auth=("app", "s"))
    return reply.json()["access_token"]


@pytest.fixture
def client(tenant):
    headers = {"authorization": f"Bearer {token_of(tenant.url)}"}
    with httpx.Client(base_url=f"{tenant.url}/workday", headers=headers, timeout=10) as client:
        yield client


def spec(name):
    """A saved specification; its absence is said, not hidden."""
    if not (FACTS / name).exists():
        pytest.skip(f"the vendor's specification {name} is not beside this repository")
    yaml = pytest.importorskip("yaml")
    with (FACTS / name).open() as file:
        return yaml.load(file, yaml.CSafeLoader)["components"]["schemas"]


def told(schemas, name):
    """The properties of a schema, its references and allOf resolved one after another."""
    schema, found = schemas[name], {}
    for part in schema.get("allOf", [schema]):
        if "$ref" in part:
            found |= told(schemas, part["$ref"].strip().rpartition("/")[2])
        found |= part.get("properties", {})
    return found


def held(schemas, name, shown):
    """Every field shown is one of the schema, of its type; references are references."""
    types = {"string": str, "integer": int | float, "boolean": bool, "array": list}
    fields = told(schemas, name)
    assert set(shown) - set(fields) == set(), name
    for field, value in shown.items():
        if "$ref" in fields[field]:
            held(schemas, fields[field]["$ref"].strip().rpartition("/")[2], value)
            assert REFERENCE.fullmatch(value["id"]), (field, value)
        elif fields[field].get("type") in types:
            assert isinstance(value, types[fields[field]["type"]]), (field, value)


def test_a_token_comes_for_a_refresh_token_and_the_clients_secret(tenant):
    """Without expires_in; every wrong part has its own refusal."""
    url = f"{tenant.url}/workday/ccx/oauth2/firm/token"
    form = {"grant_type": "refresh_token", "refresh_token": "r"}
    good = httpx.post(url, data=form, auth=("app", "s"))
    assert sorted(good.json()) == ["access_token", "refresh_token", "token_type"]
    wrong = [
        (httpx.post(url, data=form, auth=("app", "no")), 401, "invalid_client"),
        (httpx.post(url, data=form | {"refresh_token": "x"}, auth=("app", "s")), 400,
         "invalid_grant"),
        (httpx.post(url, data={"grant_type": "password"}, auth=("app", "s")), 400,
         "unsupported_grant_type"),
    ]  # fmt: skip
    for reply, status, error in wrong:
        assert (reply.status_code, reply.json()) == (status, {"error": error})
    elsewhere = httpx.post(url.replace("/firm/", "/other/"), data=form, auth=("app", "s"))
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "S22")


def test_a_token_comes_for_a_signed_assertion_and_for_no_other(tenant):
    """RS256 by the client's key, for an integration user, to aud `wd`, not over."""
    url = f"{tenant.url}/workday/ccx/oauth2/firm/token"
    claims = {"iss": "app", "sub": "ISU_Firmwire", "aud": "wd", "exp": int(time.time()) + 120}

    def ask(key=KEY, **changed):
        assertion = jwt.encode({"alg": "RS256"}, claims | changed, key)
        return httpx.post(url, data={"grant_type": JWT_BEARER, "assertion": assertion})

    good = ask()
    assert sorted(good.json()) == ["access_token", "token_type"]
    bearer = {"authorization": f"Bearer {good.json()['access_token']}"}
    workers = f"{tenant.url}/workday{STAFFING}/workers"
    assert httpx.get(workers, headers=bearer).status_code == 200
    refused = [
        ask(key=RSAKey.generate_key(2048)), ask(aud="dw"), ask(sub="nobody"), ask(exp=1),
        ask(iss="nobody"),
    ]  # fmt: skip
    assert [reply.status_code for reply in refused] == [400, 400, 400, 400, 401]


def test_a_call_without_a_living_token_is_refused(tenant, client):
    """401 invalid_token: none, an unknown one, and one that dies under us."""
    url = f"{tenant.url}/workday{STAFFING}/workers"
    for headers in ({}, {"authorization": "Bearer x"}):
        reply = httpx.get(url, headers=headers)
        assert (reply.status_code, reply.json()) == (401, {"error": "invalid_token"})
    died = client.get(f"{STAFFING}/workers", headers={"sandbox-fault": "x_token_ended"})
    assert died.status_code == 401
    assert client.get(f"{STAFFING}/workers").status_code == 401


def test_workers_are_the_specifications(client):
    """Staffing v6 and common v1: names, types and reference ids as in the saved specifications."""
    staffing, common = spec("workday_Staffing.openapi.yaml"), spec("workday_common_v1.openapi.yml")
    shown = client.get(f"{STAFFING}/workers").json()["data"]
    for worker in shown:
        held(staffing, "workerData_c2466b0778c610000d1936006720000e", worker)
    profile = client.get(f"{STAFFING}/jobProfiles").json()["data"][0]
    held(staffing, "jobProfileSummaryView_7deab99f645f10000b5152ce2d700034", profile)
    for worker in client.get(f"{COMMON}/workers").json()["data"]:
        held(common, "WorkerSummary", worker)
    held(common, "WorkerProfile", client.get(f"{COMMON}/workers/{wid(1)}").json())
    entries = client.get(f"{COMMON}/workers/{wid(1)}/timeOffEntries").json()
    for entry in entries["data"]:
        held(common, "TimeOffEntries", entry)
    days = [(entry["date"], entry["units"]) for entry in entries["data"]]
    assert days == [("2026-03-02", 7.5), ("2026-03-03", 8)]


def test_service_dates_are_a_collection_without_an_end(client):
    """As the specification has it; that a contract ended is not to be seen here."""
    body = client.get(f"{STAFFING}/workers/{wid(25)}/serviceDates").json()
    dates = {"hireDate": "2024-01-08", "continuousServiceDate": "2024-01-08"}
    row = {"id": wid(25), "descriptor": "Person 25"} | dates
    assert body == {"total": 1, "data": [row]}
    schemas = spec("workday_Staffing.openapi.yaml")
    assert set(dates) == set(told(schemas, "serviceDatesData_6b1db753fd82100027b0c8519c860018"))


def test_pages_are_20_by_default_and_100_at_most(client):
    """total counts all matches; a wrong limit is a 400 with a code, in the list form."""
    first = client.get(f"{STAFFING}/workers").json()
    assert (first["total"], len(first["data"])) == (24, 20)
    rest = client.get(f"{STAFFING}/workers", params={"offset": 20}).json()
    ids = [worker["workerId"] for worker in first["data"] + rest["data"]]
    assert ids == [f"E{number:04d}" for number in range(1, 25)]
    for wrong in ({"limit": 101}, {"limit": "many"}):
        reply = client.get(f"{STAFFING}/workers", params=wrong)
        error = reply.json()["errors"][0]
        assert (reply.status_code, error["code"], error["field"]) == (400, "A371", "limit")


def test_search_and_the_terminated(client):
    """search is an OR of words over names and numbers; the gone come only when asked for."""
    found = client.get(f"{STAFFING}/workers", params={"search": "e0003 e0004"}).json()
    assert [worker["workerId"] for worker in found["data"]] == ["E0003", "E0004"]
    asked = {"includeTerminatedWorkers": "true", "search": "E0025"}
    assert client.get(f"{STAFFING}/workers", params=asked).json()["total"] == 1
    assert client.get(f"{STAFFING}/workers", params={"search": "E0025"}).json()["total"] == 0


def test_a_worker_by_wid_or_by_employee_id(client):
    """Both are legal path ids; an unknown one is a 404 with a code, an unknown path too."""
    by_wid = client.get(f"{STAFFING}/workers/{wid(7)}").json()
    assert client.get(f"{STAFFING}/workers/Employee_ID=E0007").json() == by_wid
    for path in ("workers/Employee_ID=E9999", "nothing"):
        missing = client.get(f"{STAFFING}/{path}")
        assert missing.status_code == 404
        assert missing.json()["code"]


def test_a_report_comes_whole_as_text_without_what_is_absent(tenant):
    """One answer, no paging; prompts make it shorter; Basic `ISU@tenant`."""

    def report(name, **prompts):
        params = {"format": "json"} | prompts
        reply = httpx.get(f"{tenant.url}/workday{REPORTS}/{name}", params=params, auth=ISU)
        assert reply.status_code == 200, reply.text
        return reply.json()["Report_Entry"]

    workers = report("Firm_Workers")
    assert len(workers) == 25
    assert all(isinstance(value, str) for row in workers for value in row.values())
    first = workers[0]
    expected = {
        "WID": wid(1), "Employee_ID": "E0001", "Worker": "Person 1", "Email": "p1@firm.example",
        "Company": "LE-UK", "Job_Profile_ID": "SENIOR", "Hire_Date": "2024-01-08", "FTE": "1",
        "Location": "GB/London", "Country": "GB", "Time_Zone": "Europe/London",
        "Worker_Type": "Employee", "Last_Updated": "2026-01-01T08:00:00.000+00:00",
    }  # fmt: skip
    assert first == expected
    late = report("Firm_Workers", Updated_From="2026-01-24T09:00:00+01:00")
    assert [row["Employee_ID"] for row in late] == ["E0024", "E0025"]
    one = {"Worker!Employee_ID": "E0009"}
    assert [row["WID"] for row in report("Firm_Workers", **one)] == [wid(9)]
    names = ("Firm_Job_Profiles", "Firm_Cost_Centers", "Firm_Leave", "Firm_Cost_Rates")
    assert [len(report(name)) for name in names] == [1, 1, 2, 1]


def test_a_report_is_refused_with_a_code(tenant):
    """A wrong password or tenant, an unknown report, another format, a bad prompt."""
    base, json = f"{tenant.url}/workday{REPORTS}", {"format": "json"}
    asked = [
        httpx.get(f"{base}/Firm_Workers", params=json, auth=(ISU[0], "no")),
        httpx.get(f"{base}/Firm_Workers", params=json, auth=("ISU_Firmwire@x", "pw")),
        httpx.get(f"{base}/Firm_Nothing", params=json, auth=ISU),
        httpx.get(f"{base}/Firm_Workers", auth=ISU),
        httpx.get(f"{base}/Firm_Workers", params=json | {"Updated_From": "soon"}, auth=ISU),
    ]
    assert [reply.status_code for reply in asked] == [401, 401, 404, 400, 400]
    assert all(reply.json()["error"] for reply in asked)


def test_more_than_the_tenants_rate_is_429(tenant, client):
    """Per second, over all callers; generous unless set."""
    tenant.sandbox.houses["workday"].store.put("setting", "tenant", {"rate_per_s": 3})
    statuses = [client.get(f"{STAFFING}/jobProfiles").status_code for _ in range(40)]
    assert set(statuses) == {200, 429}


def test_in_maintenance_a_page_comes_and_no_json(client):
    """503 and HTML, also for reports; the other faults have JSON."""
    page = client.get(f"{STAFFING}/workers", headers={"sandbox-fault": "maintenance"})
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html;charset=UTF-8")
    assert page.text.startswith("<!DOCTYPE html>")
    busy = client.get(f"{STAFFING}/workers", headers={"sandbox-fault": "rate_limited"})
    assert (busy.status_code, busy.json()["code"]) == (429, "S429")
    broken = client.get(f"{STAFFING}/workers", headers={"sandbox-fault": "server_error"})
    assert (broken.status_code, broken.json()["code"]) == (500, "S500")


def test_tokens_and_workers_outlive_the_server(tmp_path):
    """What was given and known before a restart still holds after it; a new token is new."""
    with running(tmp_path, vendors=["workday"]) as up:
        seed(up.sandbox.houses["workday"].store)
        token = token_of(up.url)
    with running(tmp_path, vendors=["workday"]) as up:
        headers = {"authorization": f"Bearer {token}"}
        url = f"{up.url}/workday{STAFFING}/workers"
        assert httpx.get(url, headers=headers).json()["total"] == 24
        assert token_of(up.url) != token
