"""NetSuite's rows as our records."""

import pytest

from system_apis.vendors.netsuite import mapping, wire


@pytest.mark.parametrize(
    ("flags", "state"), [({}, "OPEN"), ({"closed": "T"}, "CLOSED"), ({"arlocked": "T"}, "LOCKED")]
)
def test_a_period_is_open_unless_closed_or_locked(flags, state):
    row = wire.Period(
        "1", "2026-01-05 08:00:00", start="2026-01-01", finish="2026-01-31", **flags
    )
    assert mapping.period("ns", row).state == state


def test_a_quarter_is_no_period():
    row = wire.Period("1", "2026-01-05 08:00:00", isquarter="T")
    assert mapping.period("ns", row) is None


@pytest.mark.parametrize(
    ("path", "detail", "code"),
    [
        ("tranDate", "The period is closed.", "PERIOD_CLOSED"),
        ("entity", "Invalid", "CUSTOMER_REF_MISSING"),
        ("item.items[0].taxCode", "Invalid", "TAX_CODE_UNMAPPED"),
        ("", "Something", "ERP_REJECTED"),
    ],
)
def test_a_refusal_becomes_the_work_item_its_path_names(path, detail, code):
    error = wire.Error(details=[wire.ErrorDetail(detail=detail, path=path)])
    assert mapping.exception_code(error) == code
