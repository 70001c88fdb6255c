"""The Kantata simulator over a real socket, held against the vendor's facts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox.serve import running
from system_apis.simulator import Row
from system_apis.vendors.kantata.simulator.resources import RESOURCES

FACTS = Path(__file__).parents[5] / "shared" / "vendors" / "kantata"
UNAUTHORIZED = {"errors": [{"type": "oauth", "message": "Invalid OAuth 2 Request"}]}


def seed(store):
    """Two projects (one without approvals), two people, a rate card, tasks."""
    store.put("client", "app", {"client_secret": "s", "user_id": "1"})
    for id, name in (("1", "Ann"), ("2", "Bob")):
        store.put("users", id, {"full_name": name, "email_address": f"{name}@x.test"})
    store.put("roles", "1", {"name": "Consultant"})
    store.put("workspace_groups", "1", {"name": "Client", "company": True})
    project = {"currency": "USD", "archived": False, "workspace_group_ids": ["1"]}
    store.bulk_put("workspaces", [
        Row("1", project | {"title": "P1", "rate_card_id": "1", "require_time_approvals": True}),
        Row("2", project | {"title": "P2", "require_time_approvals": False, "currency": "JPY"}),
        Row("3", project | {"title": "Old", "archived": True}),
    ])  # fmt: skip
    store.put("stories", "1", {"title": "T", "workspace_id": "1", "story_type": "task"})
    store.put("stories", "2", {"title": "T", "workspace_id": "2", "story_type": "task"})
    store.put("rate_cards", "1", {"currency": "USD", "rate_card_set_id": "1"})
    for id, day, default in (("1", "2026-01-01", 10000), ("2", "2026-02-01", 11000)):
        version = {"rate_card_id": "1", "effective_date": day, "default_rate": default}
        store.put("rate_card_versions", id, version)
    store.put("rate_card_roles", "1", {"rate_card_version_id": "2", "role_id": "1", "rate": 15000})


@pytest.fixture
def account(tmp_path):
    """The running sandbox, with the account seeded."""
    with running(tmp_path, vendors=["kantata"]) as up:
        seed(up.sandbox.houses["kantata"].store)
        yield up


def token(base):
    form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "s"}
    return httpx.post(f"{base}/kantata/oauth/token", data=form).json()["access_token"]


@pytest.fixture
def client(account):
    headers = {"authorization": f"Bearer {token(account.url)}"}
    base = f"{account.url}/kantata/api/v1/"
    with httpx.Client(base_url=base, headers=headers, timeout=10) as client:
        yield client


def entry(client, **changed):
    body = {"workspace_id": 1, "date_performed": "2026-02-03", "time_in_minutes": 90}
    reply = client.post("time_entries", json={"time_entry": body | changed})
    return one(reply)


def one(reply):
    body = reply.json()
    assert reply.is_success, body
    first = body["results"][0]
    return body[first["key"]][first["id"]]


def ids(reply):
    return [result["id"] for result in reply.json()["results"]]


def submit(client, *entries):
    body = {"workspace_id": "1", "line_item_ids": list(entries), "title": "week"}
    return one(client.post("timesheet_submissions", json={"timesheet_submission": body}))


def test_a_token_comes_for_client_credentials_and_dies_only_by_revocation(account):
    """Body, Basic, wrong secret; 401 has the vendor's body and challenge."""
    base = f"{account.url}/kantata"
    grant = {"grant_type": "client_credentials"}
    basic = httpx.post(f"{base}/oauth/token", data=grant, auth=("app", "s"))
    assert basic.json()["scope"] == "api_only"
    assert "expires_in" not in basic.json()
    wrong = httpx.post(f"{base}/oauth/token", data=grant, auth=("app", "no"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    bearer = {"authorization": f"Bearer {basic.json()['access_token']}"}
    assert httpx.get(f"{base}/api/v1/users.json", headers=bearer).status_code == 200
    httpx.post(f"{base}/oauth/revoke", data={"token": basic.json()["access_token"]})
    refused = httpx.get(f"{base}/api/v1/users", headers=bearer)
    assert (refused.status_code, refused.json()) == (401, UNAUTHORIZED)
    assert 'realm="Doorkeeper", error="invalid_token"' in refused.headers["www-authenticate"]
    assert refused.headers["x-request-id"]


def test_an_entry_comes_back_in_the_envelope(client):
    """Results in order, records by id, ids as text, money in cents, the rate of the day."""
    made = entry(client, story_id=1, role_id="1", notes="n")
    body = client.get("time_entries", params={"include": "workspace,story"}).json()
    assert body["results"] == [{"key": "time_entries", "id": "1"}]
    expected = {"count": 1, "page_count": 1, "page_number": 1, "page_size": 20}
    assert (body["count"], body["meta"]) == (1, expected)
    assert body["time_entries"]["1"] == made
    assert (body["workspaces"]["1"]["title"], body["stories"]["1"]["title"]) == ("P1", "T")
    seen = {name: made[name] for name in (
        "workspace_id", "user_id", "time_in_minutes", "rate_in_cents", "currency_base_unit",
        "approved", "billable", "active_submission_id",
    )}  # fmt: skip
    assert seen == {
        "workspace_id": "1", "user_id": "1", "time_in_minutes": 90, "rate_in_cents": 15000,
        "currency_base_unit": 100, "approved": False, "billable": True,
        "active_submission_id": None,
    }  # fmt: skip
    early = entry(client, date_performed="2026-01-05", role_id="1")
    assert early["rate_in_cents"] == 10000
    assert entry(client, workspace_id=2)["currency_base_unit"] == 1


def test_pages_go_both_ways(client):
    """page/per_page, or limit/offset which win; per_page is cut at 200 but not for time."""
    for _ in range(5):
        entry(client)
    two = client.get("time_entries", params={"per_page": 2, "page": 2, "order": "updated_at:asc"})
    assert (ids(two), two.json()["meta"]["page_count"]) == (["3", "4"], 3)
    won = client.get("time_entries", params={"limit": 1, "offset": 4, "page": 1, "per_page": 5})
    assert (ids(won), won.json()["meta"]["page_number"]) == (["5"], 5)
    assert client.get("users", params={"per_page": 900}).json()["meta"]["page_size"] == 200
    assert client.get("time_entries", params={"per_page": 900}).json()["meta"]["page_size"] == 900
    assert ids(client.get("time_entries", params={"only": "4,99"})) == ["4"]


def test_default_filters_hide_what_exists(client):
    """Show is 404 for an archived project; only= finds it."""
    hidden = client.get("workspaces/3")
    assert (hidden.status_code, hidden.json()) == (
        404,
        {"errors": [{"type": "system", "message": "Not found"}]},
    )
    assert ids(client.get("workspaces")) == ["1", "2"]
    assert ids(client.get("workspaces", params={"only": "3"})) == ["3"]


def test_lists_of_ids_are_shown_only_when_included(client):
    """workspace_group_ids needs include=workspace_groups."""
    assert "workspace_group_ids" not in one(client.get("workspaces/1"))
    body = client.get("workspaces/1", params={"include": "workspace_groups"}).json()
    assert body["workspaces"]["1"]["workspace_group_ids"] == ["1"]
    assert body["workspace_groups"]["1"]["company"] is True
    groups = client.get("workspace_groups/1", params={"include": "workspaces"})
    assert one(groups)["workspace_ids"] == ["1", "2", "3"]
    card = client.get("rate_cards/1", params={"include": "rate_card_versions"})
    assert one(card)["rate_card_version_ids"] == ["1", "2"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"time_in_minutes": None}, "time_in_minutes"),
        ({"time_in_minutes": 0}, "time_in_minutes"),
        ({"time_in_minutes": "x"}, "time_in_minutes"),
        ({"date_performed": "3.2.26"}, "date_performed"),
        ({"workspace_id": 99}, "workspace_id"),
        ({"story_id": 2}, "story_id"),
    ],
)
def test_a_bad_entry_is_422_with_its_field(client, changed, field):
    """Validation errors name the field and write nothing."""
    body = {"workspace_id": 1, "date_performed": "2026-02-03", "time_in_minutes": 90} | changed
    reply = client.post("time_entries", json={"time_entry": body})
    assert reply.status_code == 422
    error = reply.json()["errors"][0]
    assert (error["type"], error["field"]) == ("validation", field)
    assert client.get("time_entries").json()["count"] == 0


def test_the_wrapper_is_required_and_forms_are_taken(client):
    """Rails: JSON without the singular name is 400; form encoding works."""
    assert client.post("time_entries", json={"workspace_id": 1}).status_code == 400
    form = {
        "time_entry[workspace_id]": "1",
        "time_entry[date_performed]": "2026-02-03",
        "time_entry[time_in_minutes]": "5",
        "time_entry[billable]": "false",
    }
    made = one(client.post("time_entries", data=form))
    assert (made["time_in_minutes"], made["billable"]) == (5, False)


def test_approval_travels_to_the_entries_and_the_feed(client):
    """Submit, approve: entries approved, updated_at bumped, time_entry:updated told."""
    first, second = entry(client), entry(client)
    submission = submit(client, first["id"], second["id"])
    assert (submission["status"], submission["line_item_total_in_cents"]) == ("pending", 33000)
    assert one(client.get("time_entries/1"))["active_submission_id"] == submission["id"]
    assert ids(client.get("time_entries", params={"approved": "false"})) == []
    approved = one(client.put(f"timesheet_submissions/{submission['id']}/approve"))
    assert approved["status"] == "approved"
    assert ids(client.get("time_entries", params={"approved": "false"})) == ["1", "2"]
    asked = {"event_types": "time_entry:updated", "per_page": 200}
    feed = client.get("subscribed_events", params=asked | {"optional_fields": "payload_changes"})
    events = feed.json()["subscribed_events"].values()
    told = [e for e in events if e["payload_changes"].get("approved") == [False, True]]
    assert {e["subject_id"] for e in told} == {"1", "2"}
    assert told[0]["current_payload"]["approved"] is True
    assert client.put(f"timesheet_submissions/{submission['id']}/approve").status_code == 422


def test_rejected_and_cancelled_time_is_not_approved(client):
    """Reject frees the entry; cancel takes an approval back."""
    one_entry = entry(client)["id"]
    first = submit(client, one_entry)["id"]
    client.put(f"timesheet_submissions/{first}/reject")
    assert one(client.get(f"time_entries/{one_entry}"))["active_submission_id"] is None
    second = submit(client, one_entry)["id"]
    client.put(f"timesheet_submissions/{second}/approve")
    assert one(client.put(f"timesheet_submissions/{second}/cancel"))["status"] == "cancelled"
    after = one(client.get(f"time_entries/{one_entry}"))
    assert (after["approved"], after["recent_submission_id"]) == (False, second)


def test_an_approved_entry_can_be_edited_and_loses_approval_by_resubmission(client):
    """The correction story: edit, resubmit, approve again, in bulk."""
    id = entry(client)["id"]
    client.put(f"timesheet_submissions/{submit(client, id)['id']}/approve")
    edited = one(client.put(f"time_entries/{id}", json={"time_entry": {"time_in_minutes": 60}}))
    assert (edited["time_in_minutes"], edited["approved"]) == (60, True)
    again = submit(client, id)["id"]
    assert one(client.get(f"time_entries/{id}"))["approved"] is False
    bulk = {"timesheet_approval": {"timesheet_submission_ids": [again]}}
    assert client.post("timesheet_approvals", json=bulk).status_code == 201
    assert one(client.get(f"time_entries/{id}"))["approved"] is True


def test_time_without_approvals_is_approved_at_once(client):
    """A project that needs none."""
    assert entry(client, workspace_id=2)["approved"] is True


def test_a_retried_post_makes_a_second_record_that_a_reference_tells_apart(client):
    """No idempotency; external_reference_* finds what was written before the line was cut."""
    reference = {"service_name": "firmwire", "service_model": "time", "service_model_ref": "K1"}
    body = {"time_entry": {
        "workspace_id": 1, "date_performed": "2026-02-03", "time_in_minutes": 5,
        "external_reference": reference,
    }}  # fmt: skip
    fault = {"Sandbox-Fault": "timeout_after_commit;hang_s=0.05"}
    with pytest.raises(httpx.TransportError):
        client.post("time_entries", json=body, headers=fault)
    by_reference = {"external_reference_service_name": "firmwire",
                    "external_reference_service_model_ref": "K1",
                    "include": "external_references"}  # fmt: skip
    found = client.get("time_entries", params=by_reference)
    assert ids(found) == ["1"]
    assert one(found)["external_reference_ids"] == ["1"]
    assert found.json()["external_references"]["1"]["service_model_ref"] == "K1"
    stale = client.get(
        "time_entries", params=by_reference, headers={"Sandbox-Fault": "stale_search;lag_s=60"}
    )
    assert ids(stale) == []
    client.post("time_entries", json=body)
    assert ids(client.get("time_entries", params=by_reference)) == ["1", "2"]


def test_filters_by_instant_and_day(client, account):
    """updated_after, created_before, date_performed_between, project."""
    store = account.sandbox.houses["kantata"].store
    old = "2026-01-01T00:00:00.000000+00:00"
    store.bulk_put("time_entries", [
        Row("7", {"workspace_id": "1", "date_performed": "2026-01-01"}, updated_at=old),
    ])  # fmt: skip
    new = entry(client)["id"]

    def found(**params):
        return ids(client.get("time_entries", params=params))

    assert found(updated_after="2026-01-02T00:00:00Z") == [new] == ["8"]
    assert found(created_before="2026-01-02T00:00:00Z") == ["7"]
    assert found(date_performed_between="2025-12-31:2026-01-31") == ["7"]
    assert found(workspace_id="2") == []
    assert found(updated_after="2026-01-01T00:00:00Z", order="updated_at:desc") == ["8"]
    assert client.get("time_entries", params={"updated_after": "soon"}).status_code == 400


def test_a_delete_is_hard_and_told(client):
    """Gone from every read; time_entry:deleted is the only trace."""
    id = entry(client)["id"]
    assert client.delete(f"time_entries/{id}").status_code == 204
    assert client.get(f"time_entries/{id}").status_code == 404
    feed = client.get("subscribed_events", params={"event_types": "time_entry:deleted"})
    event = one(feed)
    assert (event["subject_id"], event["current_payload"]) == (id, None)
    assert event["previous_payload"]["time_in_minutes"] == 90
    assert "payload_changes" not in event


def test_the_feed_forgets_after_nine_days_repeats_itself_and_keeps_no_order(client, account):
    """A reader must dedupe, sort and not rely on the feed alone."""
    store = account.sandbox.houses["kantata"].store
    old = (datetime.now(UTC) - timedelta(days=10)).isoformat(timespec="microseconds")
    store.bulk_put("subscribed_events", [Row("1", {"event_type": "x:y"}, updated_at=old)])
    store.put("setting", "account", {"duplicate_events_every": 4})
    for _ in range(6):
        entry(client)
    feed = client.get("subscribed_events", params={"per_page": 100})
    seen = ids(feed)
    assert "1" not in seen
    assert seen != sorted(seen, key=int)
    subjects = [event["subject_id"] for event in feed.json()["subscribed_events"].values()]
    assert len(subjects) > len(set(subjects)) == 6
    store.put("setting", "account", {"subscribed_events": False})
    assert client.get("subscribed_events").status_code == 403


def test_projects_and_tasks_are_made(client):
    """creator_role is required; a second reference of one service changes the first."""
    bad = client.post("workspaces", json={"workspace": {"title": "N"}})
    assert bad.json()["errors"][0]["field"] == "creator_role"
    reference = {"service_name": "fw", "service_model": "project", "service_model_ref": "P-9"}
    project = {"title": "N", "creator_role": "maven", "currency": "EUR", "status_key": 300}
    made = one(client.post(
        "workspaces", json={"workspace": project | {"external_reference": reference}}
    ))  # fmt: skip
    assert made["status"] == {"key": 300, "message": "Active"}
    assert (made["currency_symbol"], made["require_time_approvals"]) == ("\u20ac", True)
    task = {"title": "T", "story_type": "task", "workspace_id": made["id"]}
    assert one(client.post("stories", json={"story": task}))["workspace_id"] == made["id"]
    changed = reference | {"service_model_ref": "P-10"}
    client.put(f"workspaces/{made['id']}", json={"workspace": {"external_reference": changed}})
    known = client.get("external_references", params={"subject_id": made["id"]})
    assert one(known)["service_model_ref"] == "P-10"
    assert client.delete("workspaces/1").status_code == 204
    entry(client, workspace_id=2)
    assert client.delete("workspaces/2").status_code == 422


def test_invoiced_time_is_frozen_until_the_invoice_is_cancelled(client):
    """The balance is the sum of the entries; cancel releases them."""
    id = entry(client)["id"]
    body = {"workspace_id": 1, "time_entry_ids": [id], "draft": True}
    made = one(client.post("invoices", json={"invoice": body}))
    assert (made["balance_in_cents"], made["status"]) == (16500, "draft")
    change = {"time_entry": {"time_in_minutes": 1}}
    assert client.put(f"time_entries/{id}", json=change).status_code == 422
    assert client.post("invoices", json={"invoice": body}).status_code == 422
    assert one(client.put(f"invoices/{made['id']}/cancel"))["status"] == "cancelled"
    assert one(client.get(f"time_entries/{id}"))["is_invoiced"] is False


def test_a_throttled_answer_says_no_time_to_wait(client):
    """429 in the vendor's error body, without Retry-After."""
    reply = client.get("users", headers={"Sandbox-Fault": "rate_limited"})
    assert reply.status_code == 429
    assert "retry-after" not in reply.headers
    assert reply.json()["errors"][0]["type"] == "system"


def test_a_restart_keeps_time_and_tokens(tmp_path):
    """Everything an account knows survives; ids go on."""
    with running(tmp_path, vendors=["kantata"]) as up:
        seed(up.sandbox.houses["kantata"].store)
        headers = {"authorization": f"Bearer {token(up.url)}"}
        with httpx.Client(base_url=f"{up.url}/kantata/api/v1/", headers=headers) as client:
            entry(client)
    with (
        running(tmp_path, vendors=["kantata"]) as up,
        httpx.Client(base_url=f"{up.url}/kantata/api/v1/", headers=headers) as client,
    ):
        assert entry(client)["id"] == "2"
        assert ids(client.get("time_entries")) == ["1", "2"]


def test_names_are_the_vendors():
    """Every attribute we show is in the vendor's own gem, but for the few marked as unverified."""
    if not FACTS.exists():
        pytest.skip("no shared/vendors/kantata beside the repository")
    gem = json.loads((FACTS / "mavenlink_gem_specification.json").read_text())
    unknown, stamps = {}, {"created_at", "updated_at"}
    for name, resource in RESOURCES.items():
        known = set(gem[name]["attributes"]) | stamps
        known |= {link["foreign_key"] for link in gem[name].get("associations", {}).values()}
        tap = FACTS / "tap_schemas" / f"{name}.json"
        if tap.exists():
            known |= set(json.loads(tap.read_text())["properties"])
        if extra := set(resource.fields) - known:
            unknown[name] = extra
        assert (resource.creates - {"*"}) <= set(gem[name].get("create_attributes") or ()) | {
            "rate_card_id", "effective_date",
        } | set(gem["external_references"]["attributes"]), name  # fmt: skip
    assert unknown == {"rate_cards": {"title"}, "rate_card_versions": {"effective_date"}}


_SINGER = {
    "id": "string",
    "ids": "array",
    "int": "integer",
    "num": "number",
    "bool": "boolean",
    "str": "string",
    "date": "string",
    "number-id": "integer",
}


def test_types_are_what_a_tap_has_seen():
    """Types agree with schemas that another client keeps."""
    if not FACTS.exists():
        pytest.skip("no shared/vendors/kantata beside the repository")
    wrong = []
    for path in sorted((FACTS / "tap_schemas").glob("*.json")):
        resource = RESOURCES.get(path.stem)
        properties = json.loads(path.read_text())["properties"] if resource else {}
        for name, seen in properties.items():
            kind = resource.fields.get(name, "any")
            if kind != "any" and _SINGER[kind] not in seen["type"]:
                wrong.append((path.stem, name, kind, seen["type"]))
    assert wrong == []
