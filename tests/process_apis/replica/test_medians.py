"""The usual price of a role at a client: found in the ledger, used by the next judgement."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from chassis import clock

NOW = datetime(2026, 5, 20, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _may() -> Any:
    with clock.using(clock.Fixed(NOW)):
        yield


def week(world: Any, first: int, count: int, **fields: Any) -> list[Any]:
    return [
        world.entry(str(n), work_date=date(2026, 5, n), **fields)
        for n in range(first, first + count)
    ]


async def priced(world: Any, rate: int) -> None:
    line = msgspec.structs.replace(world.records["card"].lines[0], rate=Decimal(rate))
    await world.change("card", lines=(line,))


async def test_a_price_far_from_the_usual_is_said_and_flows(world: Any) -> None:
    """Five hours at 140, then one at 300: more than twice the median, READY with a warning."""
    await world.deliver(*week(world, 1, 5))
    await world.replica.reprice(world.database)
    await priced(world, 300)
    await world.deliver(*week(world, 6, 1))
    assert (world.state("6"), world.codes("6")) == ("READY", {"RATE_OUTLIER"})
    await priced(world, 280)
    await world.deliver(*week(world, 7, 1))
    assert world.codes("7") == set()


async def test_four_rows_are_not_a_custom(world: Any) -> None:
    """Too few to say what is usual."""
    await world.deliver(*week(world, 1, 4))
    await world.replica.reprice(world.database)
    assert world.replica.snapshot.median("SENIOR", "ACME") is None


async def test_old_and_reversed_rows_do_not_count(world: Any) -> None:
    """180 days of live rows: a corrected hour counts once, and leaves when its day is long ago."""
    await world.deliver(*week(world, 1, 4))
    await world.deliver(world.entry("4", version=2, minutes=30, work_date=date(2026, 5, 4)))
    await world.replica.reprice(world.database)
    assert world.replica.snapshot.median("SENIOR", "ACME") is None
    await world.deliver(*week(world, 10, 1))
    await world.replica.reprice(world.database)
    assert world.replica.snapshot.median("SENIOR", "ACME") == Decimal(140)
    with clock.using(clock.Fixed(datetime(2026, 10, 29, tzinfo=UTC))):
        await world.replica.reprice(world.database)
    assert world.replica.snapshot.median("SENIOR", "ACME") is None


async def test_the_middle_of_an_even_number_is_halfway(world: Any) -> None:
    """Three at 140 and three at 160 are usually 150; a rebuilt snapshot knows it still."""
    await world.deliver(*week(world, 1, 3))
    await priced(world, 160)
    await world.deliver(*week(world, 4, 3))
    await world.replica.reprice(world.database)
    assert world.replica.snapshot.median("SENIOR", "ACME") == Decimal(150)
    world.replica.forget()
    await world.deliver(*week(world, 7, 1))
    assert world.replica.snapshot.median("SENIOR", "ACME") == Decimal(150)


async def test_a_process_knows_the_usual_prices_from_its_start(world: Any) -> None:
    """Loading is enough; nobody waits for the first round of the lane."""
    await world.deliver(*week(world, 1, 5))
    other = world.another_replica()
    await other.load(world.database)
    assert other.snapshot.median("SENIOR", "ACME") == Decimal(140)
