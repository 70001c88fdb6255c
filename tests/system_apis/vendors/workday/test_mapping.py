"""Workday's report rows as our records."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from contracts.entities.record import coded
from contracts.ids import Ref
from system_apis.vendors.workday import mapping, wire

AT = datetime(2026, 1, 5, tzinfo=UTC)


def record(stream, **columns):
    shape = wire.SHAPES[stream]
    return mapping.record("wd", msgspec.convert(columns, shape, strict=False), AT)


def test_a_worker_is_found_by_wid_and_named_by_person_number():
    made = record(
        "resource", WID="a" * 32, Employee_ID="E0001", Worker="Ann", Company="LE-UK", FTE="0.8",
        Location="GB/London", Cost_Center="CC-UK", Hire_Date="2020-01-01-08:00",
        Last_Updated="2026-01-02T00:00:00.000-08:00",
    )  # fmt: skip
    assert (made.ref, made.code, made.legal_entity) == (
        Ref("wd", "a" * 32),
        "E0001",
        coded("LE-UK"),
    )
    assert (made.country, made.location, made.fte) == ("GB", "London", Decimal("0.8"))
    assert made.hire_date == date(2020, 1, 1)
    assert made.source_updated_at == datetime(2026, 1, 2, 8, tzinfo=UTC)


def test_a_row_without_a_stamp_gets_the_time_it_was_seen():
    made = record("cost_centre", Cost_Center_ID="CC-UK")
    assert (made.ref.id, made.source_updated_at) == ("CC-UK", AT)


def test_substitutes_come_as_text_or_as_references():
    as_text = record("role", Job_Profile_ID="SENIOR", Substitutable_By="LEAD; PRINCIPAL")
    as_list = record("role", Job_Profile_ID="SENIOR", Substitutable_By=[{"descriptor": "LEAD"}])
    assert as_text.substitutable_by == ("LEAD", "PRINCIPAL")
    assert as_list.substitutable_by == ("LEAD",)


def test_a_day_of_leave_is_in_minutes():
    made = record("leave", Employee_ID="E1", Date="2026-01-05", Units="3.75", Full_Day="0")
    assert (made.code, made.minutes, made.full_day) == ("E1:2026-01-05", 225, False)


def test_a_cost_rate_is_exact():
    made = record(
        "cost_rate", Rate_ID="R1", Currency="GBP", Hourly_Rate="61.10",
        Effective_From="2026-01-01", Deleted="1",
    )  # fmt: skip
    assert (made.rate, made.deleted) == (Decimal("61.10"), True)
