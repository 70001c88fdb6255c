"""Hours worked against hours planned, whatever batches the time comes in."""

from datetime import date
from typing import Any

CODE = "ASSIGNMENT_HOURS_EXCEEDED"


async def test_hours_of_earlier_batches_count(world: Any) -> None:
    """Planned 100: 60 and 50 are within 110 %; with one minute more it is said, and flows."""
    await world.change("assignment", planned_minutes=100)
    await world.deliver(world.entry("1", minutes=60, work_date=date(2026, 5, 4)))
    await world.deliver(world.entry("2", minutes=50, work_date=date(2026, 5, 5)))
    assert world.codes("1") | world.codes("2") == set()
    await world.deliver(world.entry("3", minutes=1, work_date=date(2026, 5, 6)))
    assert world.codes("3") == {CODE}
    assert world.state("3") == "READY"


async def test_hours_of_the_same_batch_count(world: Any) -> None:
    """Three at once come to what three one by one come to in the end."""
    await world.change("assignment", planned_minutes=100)
    await world.deliver(
        *(world.entry(str(n), minutes=40, work_date=date(2026, 5, n)) for n in (4, 5, 6))
    )
    assert [world.codes(n) for n in "456"] == [{CODE}] * 3


async def test_a_corrected_entry_counts_once_and_a_withdrawn_one_never(world: Any) -> None:
    """A new version takes the place of the old; a tombstone gives its hours back."""
    await world.change("assignment", planned_minutes=100)
    await world.deliver(world.entry("1", minutes=100, work_date=date(2026, 5, 4)))
    await world.deliver(world.entry("1", version=2, minutes=110, work_date=date(2026, 5, 4)))
    assert world.codes("1") == set()
    await world.deliver(world.entry("1", version=3, deleted=True, work_date=date(2026, 5, 4)))
    await world.deliver(world.entry("2", minutes=110, work_date=date(2026, 5, 5)))
    assert world.codes("2") == set()


async def test_work_without_a_plan_is_never_too_much(world: Any) -> None:
    """No planned hours, no warning."""
    await world.deliver(
        *(world.entry(str(n), minutes=600, work_date=date(2026, 5, n)) for n in (4, 5, 6))
    )
    assert [world.codes(n) for n in "456"] == [set()] * 3
