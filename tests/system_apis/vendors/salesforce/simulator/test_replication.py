"""What was deleted and what was changed can be asked for by a span of time."""

from datetime import UTC, datetime, timedelta

import pytest


def span(start_days, end_days):
    now = datetime.now(UTC)
    days = {"start": now + timedelta(days=start_days), "end": now + timedelta(days=end_days)}
    return {name: at.isoformat(timespec="seconds") for name, at in days.items()}


def test_deleted_and_updated_tell_ids_of_the_span(client):
    """A deleted record leaves the one list for the other."""
    kept, gone = (
        client.post("sobjects/Account", json={"Name": name}).json()["id"] for name in "KG"
    )
    assert client.delete(f"sobjects/Account/{gone}").status_code == 204
    updated = client.get("sobjects/Account/updated/", params=span(-1, 1)).json()
    assert (updated["ids"], sorted(updated)) == ([kept], ["ids", "latestDateCovered"])
    deleted = client.get("sobjects/Account/deleted/", params=span(-1, 1)).json()
    assert sorted(deleted) == ["deletedRecords", "earliestDateAvailable", "latestDateCovered"]
    [record] = deleted["deletedRecords"]
    assert record["id"] == gone
    assert record["deletedDate"].endswith("+0000")
    before = client.get("sobjects/Account/updated/", params=span(-2, -1)).json()
    assert before["ids"] == []


@pytest.mark.parametrize(("asked", "code"), [
    ({}, "MISSING_ARGUMENT"),
    ({"start": "soon", "end": "later"}, "MALFORMED_QUERY"),
    (span(-1, -2), "INVALID_REPLICATION_DATE"),
    (span(-60, 0), "INVALID_REPLICATION_DATE"),
])  # fmt: skip
def test_a_bad_span_is_refused(client, asked, code):
    """400 with a code."""
    reply = client.get("sobjects/Account/updated/", params=asked)
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)
