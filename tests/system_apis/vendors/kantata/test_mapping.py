"""Kantata's records as ours."""

from datetime import UTC, date, datetime
from decimal import Decimal

from contracts.entities.record import Alias, coded
from contracts.ids import Ref
from system_apis.vendors.kantata import mapping, wire

AT = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_workspace_without_our_code_is_an_alias():
    space = wire.Workspace(id="1", updated_at=AT, title="T", due_date=date(2026, 1, 31))
    assert isinstance(mapping.project("k", space, {}), Alias)
    made = mapping.project("k", space, {"project": "P-1", "contract": "C-1"})
    assert (made.code, made.contract, made.end) == ("P-1", coded("C-1"), date(2026, 2, 1))


def test_an_assignment_takes_its_days_from_its_allocations():
    row = wire.WorkspaceResource(
        id="1", updated_at=AT, user_id="2", workspace_id="3", resource_bill_rate=15050
    )
    booked = [
        wire.WorkspaceAllocation(id="1", start_date=date(2026, 1, 5), end_date=date(2026, 1, 9)),
        wire.WorkspaceAllocation(id="2", start_date=date(2026, 2, 2), end_date=date(2026, 2, 6)),
    ]
    made = mapping.assignment("k", row, booked, "USD")
    assert (made.start, made.end) == (date(2026, 1, 5), date(2026, 2, 7))
    assert made.bill_rate_override == Decimal("150.50")


def test_an_approval_binds_to_the_version_of_the_entry():
    entry = wire.TimeEntry(id="1", updated_at=AT, approved=True, time_in_minutes=90)
    made = mapping.time_entry("k", entry, wire.Submission(id="1", current_resolution_creator_id=9))
    assert made.approval.subject_version == made.source_version
    assert (made.status, made.approval.approver) == ("APPROVED", Ref("k", "9"))
