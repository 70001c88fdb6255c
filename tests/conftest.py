"""What every test may count on: no clock, log or context of one test leaks into the next."""

from collections.abc import Iterator

import pytest

from chassis import clock, travel


@pytest.fixture(autouse=True)
def _own_clock_and_context() -> Iterator[None]:
    with clock.using(clock.System()), travel.using(travel.begin()):
        yield
