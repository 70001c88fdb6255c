"""One clock for the whole process."""

from datetime import UTC, date, datetime, timedelta

import pytest

from chassis import clock


def test_now_is_aware_and_in_utc():
    """Nobody has to ask in which zone an instant is."""
    assert timedelta(0) == clock.now().utcoffset()


def test_a_fixed_clock_moves_both_readings(fixed):
    """Deadlines and instants stay in step in a test."""
    began, mark = clock.now(), clock.monotonic()
    fixed.move(90)
    assert began + timedelta(seconds=90) == clock.now()
    assert clock.monotonic() - mark == 90


def test_today_depends_on_the_zone():
    """23:30 in Berlin on Sunday is not yet Monday in UTC, and already is in Auckland."""
    with clock.using(clock.Fixed(datetime(2026, 11, 1, 22, 30, tzinfo=UTC))):
        assert clock.today("Europe/Berlin") == date(2026, 11, 1)
        assert clock.today("Pacific/Auckland") == date(2026, 11, 2)


def test_the_own_clock_is_back_afterwards(fixed):
    """A clock put in place is only lent, also when the block raises."""
    with pytest.raises(RuntimeError), clock.using(clock.System()):
        raise RuntimeError
    assert clock.now() == fixed.now()


def test_a_clock_refuses_what_time_cannot_do():
    """No naive instants, no way back."""
    with pytest.raises(ValueError, match="aware"):
        clock.Fixed(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="backwards"):
        clock.Fixed(datetime(2026, 1, 1, tzinfo=UTC)).move(-1)
