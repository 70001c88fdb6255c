"""Float's records as ours and back."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from contracts.ids import Ref
from contracts.ports.system.scheduling import BookingDraft
from system_apis.vendors.float import mapping, wire

AT = datetime(2026, 1, 5, tzinfo=UTC)


def task(**changed):
    given = {"task_id": 7, "people_id": 1, "project_id": 2, "start_date": "2026-01-05"}
    given |= {"end_date": "2026-01-09", "hours": Decimal("7.5"), "notes": "hi firmwire:B-1 there"}
    return wire.Task(**(given | changed))


def test_a_booking_ends_the_day_after_its_last():
    made = mapping.allocation("fl", task(modified="2026-01-04 10:00:00"), AT)
    assert (made.start, made.end) == (date(2026, 1, 5), date(2026, 1, 10))
    assert (made.minutes_per_day, made.reference, made.kind) == (450, "B-1", "HARD")
    assert made.source_updated_at == datetime(2026, 1, 4, 10, tzinfo=UTC)


def test_a_draft_is_soft_and_what_is_gone_is_a_tombstone():
    made = mapping.allocation("fl", task(status=1), AT, gone=True)
    assert (made.kind, made.deleted, made.source_updated_at) == ("SOFT", True, AT)


def test_a_booking_of_nobody_is_not_one():
    with pytest.raises(ValueError, match="no person"):
        mapping.allocation("fl", task(people_id=None), AT)


@pytest.mark.parametrize(
    ("texts", "code"),
    [(("firmwire:P-1",), "P-1"), (({"name": "firmwire:P-2"},), "P-2"), (("a", "b"), None)],
)
def test_our_code_is_found_in_tags_and_notes(texts, code):
    assert mapping.ours(*texts) == code


def test_a_booking_goes_out_with_its_last_day_and_our_reference():
    draft = BookingDraft(
        resource="1", project="2", start=date(2026, 1, 5), end=date(2026, 1, 10),
        minutes_per_day=450,
    )  # fmt: skip
    body = mapping.booking_body("B-1", draft)
    assert (body["end_date"], body["hours"], body["status"]) == ("2026-01-09", Decimal("7.50"), 1)
    assert mapping.ours(body["notes"]) == "B-1"


def test_a_project_is_known_by_its_tag():
    made = mapping.project("fl", wire.Project(project_id=2, tags=["firmwire:P-1"]), AT)
    assert (made.ref, made.code) == (Ref("fl", "2"), "P-1")
