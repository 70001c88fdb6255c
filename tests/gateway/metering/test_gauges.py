"""The law of each kind of limit, against the simplest thing that could be true."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from gateway.metering.gauges import NEVER, Held, Quota, Rate
from gateway.metering.limit import Limit
from gateway.metering.periods import NS, Calendar, bounds

GAPS_NS = st.lists(st.integers(0, 3 * NS), min_size=1, max_size=150)
COSTS = st.integers(1, 4)


def rate(amount, burst=0, window_s=1, share=1):
    return Rate(
        Limit(name="rate", kind="rate", amount=amount, burst=burst, window_s=window_s), share
    )


@given(st.integers(1, 50), st.integers(1, 20), st.sampled_from((1, 7, 60)), GAPS_NS, COSTS)
def test_never_more_than_burst_plus_rate_times_time(amount, burst, window_s, gaps_ns, cost):
    """In every span between two admissions, exactly: whole numbers, no slack."""
    gauge, at_ns, admitted = rate(amount, burst, window_s), 10**12, []
    for gap_ns in gaps_ns:
        at_ns += gap_ns
        if not gauge.wait(cost, at_ns):
            gauge.take(cost, at_ns)
            admitted.append(at_ns)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span_ns = admitted[last] - admitted[first]
            assert (last - first + 1) * cost * window_s * NS <= (
                burst * window_s * NS + amount * span_ns
            )


@given(st.integers(1, 50), st.integers(1, 20), GAPS_NS, COSTS)
def test_a_refused_caller_is_let_in_after_the_wait_it_was_told(amount, burst, gaps_ns, cost):
    """The wait is the truth, one nanosecond less is too early, and being refused costs nothing."""
    gauge, at_ns = rate(amount, burst), 10**12
    for gap_ns in gaps_ns:
        at_ns += gap_ns
        wait_ns = gauge.wait(cost, at_ns)
        if cost > burst:
            assert wait_ns == NEVER or wait_ns > 0
            continue
        if wait_ns:
            assert wait_ns == gauge.wait(cost, at_ns)
            assert gauge.wait(cost, at_ns + wait_ns - 1) == 1
            at_ns += wait_ns
        assert gauge.wait(cost, at_ns) == 0
        gauge.take(cost, at_ns)


@given(st.integers(1, 50), st.integers(1, 20))
def test_a_full_bucket_gives_exactly_its_burst(amount, burst):
    """And `left` counts down to nothing."""
    gauge, told = rate(amount, burst), []
    for _ in range(burst):
        assert gauge.wait(1, 5 * NS) == 0
        gauge.take(1, 5 * NS)
        told.append(gauge.left(5 * NS))
    assert told == list(reversed(range(burst)))
    assert gauge.wait(1, 5 * NS) > 0
    assert gauge.wait(burst + 1, 5 * NS) == NEVER


def test_a_cost_that_never_fits_burns_nothing():
    """Or one caller could empty the bucket with requests that are all refused."""
    gauge = rate(10)
    assert gauge.wait(11, NS) == NEVER
    assert gauge.left(NS) == 10


def test_a_share_is_a_part_of_the_rate_and_of_the_burst():
    """Three workers together give no more than one limit."""
    gauges, admitted = [rate(90, 30, share=3) for _ in range(3)], 0
    for gauge in gauges:
        for at_ns in range(0, 10 * NS, NS // 200):
            if not gauge.wait(1, at_ns):
                gauge.take(1, at_ns)
                admitted += 1
    assert admitted <= 30 + 90 * 10
    assert admitted >= 0.99 * (30 + 90 * 10)


def test_a_raised_limit_does_not_wait_for_the_debts_of_the_old_one():
    """Empty is empty."""
    gauge = rate(1, 60, 60)
    for _ in range(60):
        gauge.take(1, NS)
    gauge.define(Limit(name="rate", kind="rate", amount=1000), 1, NS)
    assert gauge.wait(1, NS + NS // 1000) == 0


@pytest.mark.parametrize(
    ("period", "begins", "ends"),
    [
        ("minute", "2024-02-29T23:59:00", "2024-03-01T00:00:00"),
        ("hour", "2024-02-29T23:00:00", "2024-03-01T00:00:00"),
        ("day", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        ("month", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        ("year", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period, begins, ends):
    """Not 30 days, and not in anybody's time zone."""
    expected = tuple(
        int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) for at in (begins, ends)
    )
    at_s = datetime(2024, 2, 29, 23, 59, 59, 500_000, tzinfo=UTC).timestamp()
    assert expected == bounds(period, at_s)


@settings(max_examples=50)
@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=60),
)
def test_a_quota_admits_what_the_library_limits_admits(amount, asked):
    """Fixed windows of a minute that begin with the clock's minute, costs included.

    The library charges a refused cost as well (ours does not): after a refusal it is asked for
    the rest of that window only what fits again, by its own test before its hit.
    """
    at_s, unix = 0.0, 1_700_000_040.0  # a whole minute
    calendar = Calendar("minute", lambda: unix + at_s)
    gauge = Quota(Limit(name="q", kind="quota", amount=amount, period="minute"), calendar)
    theirs: dict[int, FixedWindowRateLimiter] = {}
    item = RateLimitItemPerMinute(amount)
    for gap_s, cost in asked:
        at_s += gap_s
        window = int((unix + at_s) // 60)
        limiter = theirs.setdefault(window, FixedWindowRateLimiter(MemoryStorage()))
        expected = limiter.test(item, "a", cost=cost) and limiter.hit(item, "a", cost=cost)
        now_ns = int(at_s * NS)
        admitted = gauge.wait(cost, now_ns) == 0
        if admitted:
            gauge.take(cost, now_ns)
        assert expected == admitted


class AgainstAList(RuleBasedStateMachine):
    """Three kinds at once, decided together, beside plain lists of what was admitted."""

    AMOUNT, BURST, DAILY, AT_ONCE = 3, 5, 12, 3

    def __init__(self):
        super().__init__()
        self.now_ns = 10**12
        unix_s = datetime(2024, 5, 5, 12, tzinfo=UTC).timestamp() - self.now_ns / NS
        calendar = Calendar("hour", lambda: unix_s + self.now_ns / NS)
        self.quota = Quota(
            Limit(name="q", kind="quota", amount=self.DAILY, period="hour"), calendar
        )
        self.unix_s = unix_s
        self.rate, self.held = rate(self.AMOUNT, self.BURST), Held(
            Limit(name="c", kind="concurrency", amount=self.AT_ONCE)
        )  # fmt: skip
        self.level, self.level_at_ns = self.BURST * 10**9, self.now_ns
        self.hours: dict[int, int] = {}
        self.running = 0

    @rule(gap_ns=st.one_of(st.integers(0, NS), st.just(3600 * NS)))
    def pass_time(self, gap_ns):
        self.now_ns += gap_ns

    @rule(cost=COSTS)
    def ask(self, cost):
        gained = (self.now_ns - self.level_at_ns) * self.AMOUNT
        self.level = min(self.BURST * 10**9, self.level + gained)
        self.level_at_ns = self.now_ns
        hour = int((self.unix_s + self.now_ns / NS) // 3600)
        # A nanosecond is rounded up for each that was taken: at the edge either answer is true.
        at_edge = 0 <= self.level - cost * 10**9 < 100 * self.AMOUNT
        expected = (
            self.level >= cost * 10**9
            and self.hours.get(hour, 0) + cost <= self.DAILY
            and self.running < self.AT_ONCE
        )
        gauges = (self.rate, self.quota, self.held)
        admitted = not any(gauge.wait(cost, self.now_ns) for gauge in gauges)
        assert admitted == expected or (at_edge and expected)
        if admitted:
            for gauge in gauges:
                gauge.take(cost, self.now_ns)
            self.level -= cost * 10**9
            self.hours[hour] = self.hours.get(hour, 0) + cost
            self.running += 1

    @precondition(lambda self: self.running)
    @rule()
    def end_one(self):
        self.held.done()
        self.running -= 1

    @invariant()
    def as_many_run_as_were_let_in(self):
        assert self.held.running == self.running


TestAgainstAList = AgainstAList.TestCase
