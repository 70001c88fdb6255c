"""What an event says to the dashboards, and figures made of totals, by vectors made by hand."""

from decimal import Decimal
from typing import Any

import pytest

from contracts.money import Money
from experience_apis.board import operations_board, share
from experience_apis.facts import Amount, Cell, Fact, cells_of, facts_of, straight_cells, sum_cells


def test_an_evaluated_entry_is_one_cell_of_its_state(telling: Any) -> None:
    """Count, minutes and minor units land under state and currency."""
    (fact,) = facts_of(telling.entry("kantata:1", "READY", 14_000, minutes=90))
    assert (fact.kind, fact.key) == ("entry", "kantata:1")
    assert cells_of(fact) == {Cell("entries", "READY", currency="GBP"): Amount(1, 90, 14_000)}


def test_an_entry_without_a_price_has_no_currency(telling: Any) -> None:
    """What could not be priced counts as time, not as money."""
    (fact,) = facts_of(telling.entry("kantata:1", "EXCEPTION", currency=""))
    assert cells_of(fact) == {Cell("entries", "EXCEPTION"): Amount(1, 60, 0)}


@pytest.mark.parametrize("state", ["OPEN", "ASSIGNED", "WAITING", "SNOOZED", "RETRYING"])
def test_a_live_item_lies_on_its_desk(telling: Any, state: str) -> None:
    """Every state somebody still has to act in counts, with its worth."""
    item = facts_of(telling.item("w1", "kantata:1", state, minor=500))[0]
    cell = Cell("desk", "PMO", "PROJECT_UNKNOWN", "BLOCK", "GBP")
    assert cells_of(item) == {cell: Amount(1, 0, 500)}


@pytest.mark.parametrize("state", ["RESOLVED", "WAIVED", "CLOSED"])
def test_a_closed_item_lies_on_no_desk(telling: Any, state: str) -> None:
    """It adds nothing, and its entry stays touched."""
    item, touch = facts_of(telling.item("w1", "kantata:1", state))
    assert cells_of(item) == {}
    assert touch == Fact("touch", "kantata:1", {})


def test_a_warning_touches_nobody(telling: Any) -> None:
    """Straight-through counts what stopped an entry; a warning stops nothing."""
    assert [f.kind for f in facts_of(telling.item("w1", "kantata:1", severity="WARN"))] == ["item"]


def test_days_to_invoice_count_only_when_posted(telling: Any) -> None:
    """From the end of service to the day of posting, never negative."""
    def days(**given: Any) -> list[Cell]:
        (fact,) = facts_of(telling.invoice("i1", given.pop("status", "POSTED"), **given))
        return [cell for cell in cells_of(fact) if cell.board == "cycle_days"]

    may_4 = "2026-05-04T08:00:00Z"
    assert days(service_to="2026-04-30", posted_at=may_4) == [Cell("cycle_days", "00004")]
    assert days(service_to="2026-05-09", posted_at=may_4) == [Cell("cycle_days", "00000")]
    assert days(service_to="2026-04-30", posted_at=may_4, status="RELEASED") == []
    assert days(service_to="2026-04-30", posted_at=None) == []


def test_what_no_dashboard_reads_says_nothing(telling: Any) -> None:
    """An event of another type is passed over."""
    assert facts_of(telling.event("firmwire.project.created.v1", "p", {"anything": 1})) == ()


def test_cells_that_come_to_nothing_are_gone() -> None:
    """Adding and taking away the same leaves no row behind."""
    cell = {Cell("entries", "READY"): Amount(1, 60, 100)}
    assert sum_cells([(cell, True), (cell, False)]) == {}


@pytest.mark.parametrize(
    ("state", "touched", "cell"),
    [
        ("READY", False, ("untouched", "open")), ("BILLED", False, ("untouched", "posted")),
        ("HELD", True, ("touched", "open")), ("BILLED", True, ("touched", "posted")),
        ("NON_BILLABLE", False, None), ("WITHDRAWN", True, None),
    ],
)  # fmt: skip
def test_straight_through_of_one_entry(
    state: str, touched: bool, cell: tuple[str, str] | None
) -> None:
    """Only what bears sales counts, by whether it was ever stopped and whether it is out."""
    expected = {Cell("straight", *cell): Amount(1)} if cell else {}
    assert straight_cells({"state": state}, touched) == expected


def board(*cells: tuple[Cell, Amount]) -> Any:
    return operations_board(dict(cells), 7, None)


def test_readiness_is_ready_over_ready_held_and_exception() -> None:
    """7,000 of 10,000 is 70 %; a draft or a bill is no longer in it; each currency by itself."""
    seen = board(
        (Cell("entries", "READY", currency="GBP"), Amount(3, 180, 7_000)),
        (Cell("entries", "HELD", currency="GBP"), Amount(1, 60, 1_000)),
        (Cell("entries", "EXCEPTION", currency="GBP"), Amount(1, 60, 2_000)),
        (Cell("entries", "BILLED", currency="GBP"), Amount(9, 540, 90_000)),
        (Cell("entries", "READY", currency="JPY"), Amount(1, 60, 500)),
        (Cell("entries", "EXCEPTION"), Amount(4, 240, 0)),
    )
    assert [(r.currency, r.ready, r.held, r.exception, r.share) for r in seen.readiness] == [
        ("GBP", Money(7_000, "GBP"), Money(1_000, "GBP"), Money(2_000, "GBP"), Decimal("0.7")),
        ("JPY", Money(500, "JPY"), Money(0, "JPY"), Money(0, "JPY"), Decimal(1)),
    ]
    assert seen.wip == (Money(10_000, "GBP"), Money(500, "JPY"))
    assert [(s.state, s.entries, s.minutes) for s in seen.states] == [
        ("READY", 4, 240), ("HELD", 1, 60), ("EXCEPTION", 5, 300), ("BILLED", 9, 540),
    ]  # fmt: skip


def test_straight_through_is_untouched_over_billable() -> None:
    """2 of 3 is 0.6667; provisional while anything is not billed yet."""
    done = (Cell("straight", "untouched", "posted"), Amount(2))
    stopped = (Cell("straight", "touched", "posted"), Amount(1))
    through = board(done, stopped).straight_through
    assert (through.billable, through.untouched, through.posted) == (3, 2, 2)
    assert (through.share, through.provisional) == (Decimal("0.6667"), False)
    still = board(done, (Cell("straight", "touched", "open"), Amount(2))).straight_through
    assert (still.share, still.provisional) == (Decimal("0.5"), True)
    assert board().straight_through.share is None


def test_cycle_time_by_nearest_rank() -> None:
    """Ten invoices, one of 40 days: median 3, p90 5, and the mean keeps the outlier."""
    seen = board(
        (Cell("cycle_days", "00002"), Amount(4, 8)), (Cell("cycle_days", "00003"), Amount(2, 6)),
        (Cell("cycle_days", "00005"), Amount(3, 15)), (Cell("cycle_days", "00040"), Amount(1, 40)),
    ).cycle_time  # fmt: skip
    assert (seen.invoices, seen.mean_days, seen.median_days, seen.p90_days) == (
        10, Decimal("6.90"), 3, 5,
    )  # fmt: skip
    assert board().cycle_time.median_days is None


def test_desks_are_ordered_for_the_eye() -> None:
    """What blocks comes first, then the longer list; currencies of one cause are one line."""
    seen = board(
        (Cell("desk", "FIN", "A_WARNING", "WARN", "GBP"), Amount(50, 0, 1)),
        (Cell("desk", "FIN", "A_HOLD", "HOLD", ""), Amount(9)),
        (Cell("desk", "PMO", "FEW", "BLOCK", "GBP"), Amount(1, 0, 300)),
        (Cell("desk", "PMO", "MANY", "BLOCK", "GBP"), Amount(2, 0, 100)),
        (Cell("desk", "PMO", "MANY", "BLOCK", "EUR"), Amount(2, 0, 200)),
        (Cell("desk", "PMO", "NONE_LEFT", "BLOCK", "EUR"), Amount(0, 0, 0)),
    )
    assert [(d.code, d.items) for d in seen.desks] == [
        ("MANY", 4), ("FEW", 1), ("A_HOLD", 9), ("A_WARNING", 50),
    ]  # fmt: skip
    assert seen.desks[0].at_risk == (Money(200, "EUR"), Money(100, "GBP"))


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 3, "0.3333"), (2, 3, "0.6667"), (0, 5, "0"), (1, 20_000, "0.0001"), (-1, 3, "-0.3333")],
)
def test_a_share_has_four_decimals(part: int, whole: int, expected: str) -> None:
    """Half away from zero; nothing of nothing is no figure at all."""
    assert share(part, whole) == Decimal(expected)
    assert share(part, 0) is None
