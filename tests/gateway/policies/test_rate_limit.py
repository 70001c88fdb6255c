"""The law of the limiter, and what a caller is told."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.rate_limit import Gcra

GAPS_MS = st.lists(st.integers(0, 3_000), min_size=1, max_size=200)


@given(st.integers(1, 50), st.integers(1, 20), GAPS_MS)
def test_never_more_than_burst_plus_rate_times_time(rate_per_s, burst, gaps_ms):
    """In every window between two admissions, however requests arrive."""
    gcra, at_s, admitted = Gcra({}), 1_000.0, []
    for gap_ms in gaps_ms:
        at_s += gap_ms / 1000
        if not gcra.take("b", rate_per_s, burst, at_s)[0]:
            admitted.append(at_s)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span_s = admitted[last] - admitted[first]
            assert last - first + 1 <= burst + rate_per_s * span_s + 1e-3


@given(st.integers(1, 50), st.integers(1, 20), GAPS_MS)
def test_a_refused_caller_is_let_in_after_the_wait_it_was_told(rate_per_s, burst, gaps_ms):
    """The wait is the truth, and being refused costs nothing."""
    gcra, at_s = Gcra({}), 1_000.0
    for gap_ms in gaps_ms:
        at_s += gap_ms / 1000
        wait_s, left = gcra.take("b", rate_per_s, burst, at_s)
        if wait_s:
            assert left == 0
            assert wait_s == gcra.take("b", rate_per_s, burst, at_s)[0]
            at_s += wait_s
            assert gcra.take("b", rate_per_s, burst, at_s)[0] == 0.0


@given(st.integers(1, 50), st.integers(1, 20))
def test_a_full_bucket_gives_exactly_its_burst(rate_per_s, burst):
    """And `left` counts down to nothing."""
    gcra = Gcra({})
    told = [gcra.take("b", rate_per_s, burst, 5.0) for _ in range(burst)]
    assert [(0.0, burst - 1 - n) for n in range(burst)] == told
    assert gcra.take("b", rate_per_s, burst, 5.0)[0] > 0
    assert gcra.take("other", rate_per_s, burst, 5.0)[0] == 0.0


async def test_429_with_the_wait_and_nothing_charged(gate, upstream):
    """Refused calls reach no tier, cost no quota, and say when to come back."""
    from gateway.snapshot import Plan

    gate.plan = Plan(name="gold", scopes=("system:*",), rate_per_s=0.1, burst=3, quota_per_month=4)
    gate.publish()
    statuses = [(await gate.ask()).status for _ in range(8)]
    assert statuses == [200] * 3 + [429] * 5
    answered = await gate.ask()
    assert answered.problem == "rate_limited"
    assert 1 <= int(answered.headers["retry-after"]) <= 10
    assert answered.headers["ratelimit-policy"] == '"rate";q=3;w=30'
    assert answered.headers["ratelimit"].startswith('"rate";r=0;t=')
    assert len(upstream.seen) == 3
    gate.plan = Plan(name="gold", scopes=("system:*",), rate_per_s=1e6, burst=99, quota_per_month=4)
    gate.publish()
    await gate.ask()  # tells the bucket of the new plan
    assert [(await gate.ask()).status for _ in range(2)] == [200, 429]


async def test_a_swapped_snapshot_and_a_second_key_share_the_bucket(gate):
    """Neither a new snapshot nor a rotation hands out a fresh allowance."""
    from gateway import keys
    from gateway.snapshot import Plan

    gate.plan = Plan(name="gold", scopes=("system:*",), rate_per_s=0.01, burst=2)
    second = keys.mint("live")
    gate.key_rows = (*gate.key_rows, gate.row(second))
    gate.publish()
    assert (await gate.ask()).status == 200
    gate.publish()
    assert [(await gate.ask(key=second)).status for _ in range(2)] == [200, 429]
