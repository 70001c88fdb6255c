"""The Float simulator over a real socket, held against what is known of the vendor."""

import json
from pathlib import Path

import httpx
import pytest

from sandbox.serve import running
from system_apis.simulator import Row
from system_apis.vendors.float.simulator.shapes import SHAPES

FACTS = Path(__file__).parents[5] / "shared" / "vendors" / "scheduling"
OBSERVED = {
    "roles": "role",
    "clients": "client",
    "projects": "project",
    "phases": "phase",
    "project-tasks": "projectTask",
    "tasks": "allocation",
    "logged-time": "loggedTime",
    "timeoffs": "timeOff",
}
HEADERS = {"authorization": "Bearer s", "user-agent": "Firmwire (desk@firm.example)"}
TASK = {
    "people_id": 11, "project_id": 2, "start_date": "2023-05-01", "end_date": "2023-05-15",
    "hours": 4,
}  # fmt: skip


def seed(store):
    """A person, a contractor who left, two projects, a client."""
    store.put("setting", "account", {"token": "s"})
    store.bulk_put("people", [
        Row("11", {"people_id": 11, "name": "Ann", "email": "ann@firm.example", "active": 1}),
        Row("12", {"people_id": 12, "name": "Bob", "active": 0, "people_type_id": 2}),
    ])  # fmt: skip
    store.bulk_put("clients", [Row("1", {"client_id": 1, "name": "Client"})])
    store.bulk_put("projects", [
        Row("2", {"project_id": 2, "name": "Two", "client_id": 1, "notes": "firmwire:P-2"}),
        Row("3", {"project_id": 3, "name": "Three"}),
    ])  # fmt: skip


@pytest.fixture
def team(tmp_path):
    """The running sandbox, with the team seeded."""
    with running(tmp_path, vendors=["float"]) as up:
        seed(up.sandbox.houses["float"].store)
        yield up


@pytest.fixture
def client(team):
    with httpx.Client(base_url=f"{team.url}/float/v3", headers=HEADERS, timeout=10) as client:
        yield client


@pytest.fixture
def many(team, client):
    """120 allocations, one a day changed at noon."""
    rows = []
    for number in range(1, 121):
        month, day = divmod(number - 1, 28)
        start = f"2026-{month + 1:02d}-{day + 1:02d}"
        doc = TASK | {"task_id": number, "start_date": start, "end_date": start, "status": 2}
        rows.append(Row(str(number), doc, updated_at=f"{start}T12:00:00.000000+00:00"))
    team.sandbox.houses["float"].store.bulk_put("tasks", rows)
    return client


def test_a_token_and_a_user_agent_with_a_contact_are_wanted(team):
    """401 and 403 in the framework's form; without a token set nobody gets in."""
    url = f"{team.url}/float/v3/people"
    wrong = [
        (HEADERS | {"authorization": "Bearer no"}, 401, "Unauthorized"),
        ({"user-agent": HEADERS["user-agent"]}, 401, "Unauthorized"),
        (HEADERS | {"user-agent": "python-httpx"}, 403, "Forbidden"),
    ]
    for headers, status, name in wrong:
        reply = httpx.get(url, headers=headers)
        seen = {field: reply.json()[field] for field in ("name", "status")}
        assert (reply.status_code, seen) == (status, {"name": name, "status": status})
    team.sandbox.houses["float"].store.put("setting", "account", {})
    assert httpx.get(url, headers=HEADERS | {"authorization": "Bearer None"}).status_code == 401


@pytest.mark.parametrize("name", OBSERVED)
def test_fields_are_the_observed_ones(client, name):
    """A record shows the fields an independent client has seen, and fits their types."""
    if not FACTS.exists():
        pytest.skip("the observed shapes are not beside this repository")
    observed = json.loads((FACTS / "float_observed_schemas.json").read_text())["schemas"]
    schema = observed[OBSERVED[name]]
    assert set(schema) - set(SHAPES[name].fields) - {"modified_by", "created_by"} == set()
    bodies = {
        "phases": {"project_id": 2, "name": "Build"},
        "project-tasks": {"project_id": 2, "task_names": "Design"},
        "tasks": TASK,
        "logged-time": {"people_id": 11, "project_id": 2, "date": "2026-01-05", "hours": 7.5},
        "timeoffs": {
            "people_ids": [11], "timeoff_type_id": 1, "start_date": "2026-01-05",
            "end_date": "2026-01-06",
        },
    }  # fmt: skip
    made = client.post(f"/{name}", json=bodies.get(name, {"name": "New"})).json()
    types = {"number": int | float, "string": str, "array": list, "boolean": bool}
    for field, about in schema.items():
        value = made.get(field)
        if value is not None:
            assert isinstance(value, types[about["type"]]), (field, value)


def test_a_list_is_a_bare_array_with_its_pages_in_headers(many):
    """50 a page by default, 200 at most; pages have no overlap; past the end is nothing."""
    first = many.get("/tasks")
    assert isinstance(first.json(), list)
    told = {name: first.headers[f"x-pagination-{name}"] for name in (
        "total-count", "page-count", "current-page", "per-page",
    )}  # fmt: skip
    expected = {"total-count": "120", "page-count": "3", "current-page": "1", "per-page": "50"}
    assert told == expected
    pages = [many.get("/tasks", params={"page": page}).json() for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    ids = [task["task_id"] for page in pages for task in page]
    assert ids == list(range(1, 121))
    assert many.get("/tasks", params={"per-page": 500}).headers["x-pagination-per-page"] == "200"


def test_an_allocation_is_made_changed_and_deleted(client):
    """The vendor's own example; its name makes a task of the project, once."""
    made = client.post("/tasks", json=TASK | {"name": "Design", "notes": "firmwire:B-1"})
    assert made.status_code == 201
    task = made.json()
    seen = {field: task[field] for field in ("people_id", "people_ids", "status", "billable")}
    assert seen == {"people_id": 11, "people_ids": [11], "status": 2, "billable": 1}
    client.post("/tasks", json=TASK | {"name": "Design"})
    tasks = client.get("/project-tasks", params={"project_id": 2}).json()
    assert [found["task_names"] for found in tasks] == ["Design"]
    path = f"/tasks/{task['task_id']}"
    changed = client.patch(path, json={"hours": 6, "task_id": 99, "colour": "red"})
    assert (changed.status_code, changed.json()["hours"]) == (200, 6)
    assert client.get(path).json() == changed.json() | {"notes": "firmwire:B-1"}
    assert client.delete(path).status_code == 204
    gone = client.get(path)
    assert (gone.status_code, gone.json()["name"]) == (404, "Not Found")
    assert client.delete(path).status_code == 404


def test_a_retried_create_makes_a_second_record(team, client):
    """No idempotency: whoever is not answered must look first."""
    fault = {"sandbox-fault": "error_after_commit"}
    assert client.post("/tasks", json=TASK, headers=fault).status_code == 500
    client.post("/tasks", json=TASK)
    assert len(client.get("/tasks").json()) == 2


@pytest.mark.parametrize(("changes", "fields"), [
    ({"people_id": None, "hours": None}, ["people_id", "hours"]),
    ({"people_id": 404}, ["people_id"]),
    ({"people_id": "eleven"}, ["people_id"]),
    ({"start_date": "2023-5-1"}, ["start_date"]),
    ({"end_date": "2023-04-30"}, ["end_date"]),
    ({"hours": 25}, ["hours"]),
])  # fmt: skip
def test_wrong_fields_are_told_all_at_once(client, changes, fields):
    """422 with an array of field and message."""
    reply = client.post("/tasks", json=TASK | changes)
    assert (reply.status_code, [error["field"] for error in reply.json()]) == (422, fields)
    assert all(error["message"].endswith(".") for error in reply.json())


def test_what_is_no_json_no_list_or_no_method_is_refused(client):
    """400, 404 and 405 in the framework's form."""
    replies = [
        client.post("/tasks", content=b"{"),
        client.get("/nothing"),
        client.get("/tasks/1/x"),
        client.put("/tasks/1", json={}),
    ]
    assert [reply.status_code for reply in replies] == [400, 404, 404, 405]
    assert [reply.json()["status"] for reply in replies] == [400, 404, 404, 405]


def test_lists_filter_sort_and_choose(many):
    """By field, by days that overlap, newest first, and only the fields asked for."""
    assert [p["name"] for p in many.get("/people", params={"active": 1}).json()] == ["Ann"]
    days = {"start_date": "2026-02-01", "end_date": "2026-02-03"}
    assert [t["task_id"] for t in many.get("/tasks", params=days).json()] == [29, 30, 31]
    newest = many.get("/tasks", params={"sort": "-modified", "fields": "task_id", "per-page": 2})
    assert newest.json() == [{"task_id": 120}, {"task_id": 119}]


def test_only_logged_time_knows_modified_since(team, many):
    """Elsewhere it is passed over, so that whoever counts on it is found out."""
    stamped = [
        Row(f"{n:024x}", {"logged_time_id": f"{n:024x}", "date": day, "hours": 1},
            updated_at=f"{day}T12:00:00.000000+00:00")
        for n, day in enumerate(("2026-01-05", "2026-01-06"), start=1)
    ]  # fmt: skip
    team.sandbox.houses["float"].store.bulk_put("logged-time", stamped)
    since = {"modified_since": "2026-01-06T00:00:00Z"}
    found = many.get("/logged-time", params=since).json()
    assert [entry["date"] for entry in found] == ["2026-01-06"]
    assert found[0]["modified"] == "2026-01-06 12:00:00"
    all_tasks = many.get("/tasks", params={"modified_since": "2027-01-01"})
    assert all_tasks.headers["x-pagination-total-count"] == "120"


def test_logged_time_has_ids_of_24_hexadecimal_digits(client):
    """Text, not a number."""
    body = {"people_id": 11, "project_id": 2, "date": "2026-01-05", "hours": 7.5}
    entry = client.post("/logged-time", json=body).json()
    assert len(entry["logged_time_id"]) == 24
    assert int(entry["logged_time_id"], 16) > 0
    assert client.get(f"/logged-time/{entry['logged_time_id']}").json() == entry


def test_reading_and_writing_have_quotas_of_their_own(team, client):
    """429 past the minute's count, without Retry-After; the other lane stays open."""
    own = {"token": "s", "gets_per_min": 5, "writes_per_min": 1000}
    team.sandbox.houses["float"].store.put("setting", "account", own)
    # A minute may end while we ask, so more than two minutes' worth is asked.
    replies = [client.get("/roles") for _ in range(11)]
    limited = [reply for reply in replies if reply.status_code == 429]
    assert limited
    assert all("retry-after" not in reply.headers for reply in limited)
    assert client.post("/roles", json={"name": "Lead"}).status_code == 201


def test_faults_speak_the_vendors_words(client):
    """Rate limit, error and closed sign; a line may be cut."""
    for fault, status in (("rate_limited", 429), ("server_error", 500), ("maintenance", 503)):
        reply = client.get("/people", headers={"sandbox-fault": fault})
        assert (reply.status_code, reply.json()["status"]) == (status, status)
    with pytest.raises(httpx.TransportError):
        client.get("/people", headers={"sandbox-fault": "cut_line"})


def test_an_independent_client_gets_along(many, team):
    """float-api reads all pages, creates, changes and deletes."""
    float_api = pytest.importorskip("float_api", reason="the independent client is not installed")
    api = float_api.FloatAPI("s", "Firmwire", "desk@firm.example")
    api.base_url = f"{team.url}/float/v3/{{}}"
    assert len(api.get_all_tasks()) == 120
    made = api.create_task(**TASK)
    assert api.update_task(task_id=made["task_id"], hours=2)
    assert api.get_task(made["task_id"])["hours"] == 2
    assert api.delete_task(made["task_id"])
    assert len(api.get_all_tasks(start_date="2026-02-01", end_date="2026-02-03")) == 3
    assert [person["name"] for person in api.get_all_people()] == ["Ann", "Bob"]


def test_a_restart_loses_nothing(tmp_path):
    """Records are there, and numbers go on."""
    numbers = []
    for turn in range(2):
        with running(tmp_path, vendors=["float"]) as up:
            if turn == 0:
                seed(up.sandbox.houses["float"].store)
            url = f"{up.url}/float/v3/tasks"
            numbers.append(httpx.post(url, json=TASK, headers=HEADERS).json()["task_id"])
            kept = httpx.get(url, headers=HEADERS).json()
    assert numbers == [1, 2]
    assert [task["task_id"] for task in kept] == [1, 2]
