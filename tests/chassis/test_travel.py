"""Ids, trace, deadline and caller reach the last hop."""

import asyncio

import pytest

from chassis import clock, trace, travel
from chassis.limiter import Lane
from contracts.principal import Principal
from contracts.problem import Fault, Problem

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def arrived(headers, deadline_s=10.0):
    return travel.received(headers.get, deadline_s)


def test_what_arrives_is_adopted():
    """A caller's ids and trace go on."""
    found = arrived({
        "firmwire-request-id": "r-1", "firmwire-correlation-id": "c-1", "traceparent": HEADER,
    })  # fmt: skip
    assert (found.request_id, found.correlation_id) == ("r-1", "c-1")
    assert found.trace.header() == HEADER


def test_what_does_not_arrive_is_made():
    """One id for both, a new trace."""
    found = arrived({})
    assert found.request_id == found.correlation_id
    assert trace.received(found.trace.header()).header() == found.trace.header()
    assert found.trace.begun_here


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "a\nb", "<script>"])
def test_an_id_unfit_for_a_log_line_is_replaced(bad):
    """Nobody writes into our log."""
    assert arrived({"firmwire-request-id": bad}).request_id != bad


def test_a_deadline_only_ever_shrinks(fixed):
    """min(ours, the caller's); nonsense is ours."""
    assert arrived({"firmwire-deadline-ms": "2500"}).until_s == fixed.monotonic() + 2.5
    assert arrived({"firmwire-deadline-ms": "99999"}).until_s == fixed.monotonic() + 10
    for nonsense in ("-1", "x", "1e9", "9" * 30, ""):
        assert arrived({"firmwire-deadline-ms": nonsense}).until_s == fixed.monotonic() + 10


def test_the_budget_runs_down(fixed):
    """What is left is passed on, and running out is a Problem."""
    with travel.using(travel.begin(deadline_s=5)):
        assert travel.budget_s(10) == 5
        assert travel.budget_s(2) == 2
        fixed.move(4)
        assert travel.budget_s(10) == pytest.approx(1)
        assert travel.headers()["firmwire-deadline-ms"] == "1000"
        assert travel.narrow(0.5) == 0.5
        assert travel.budget_s(10) == pytest.approx(0.5)
        fixed.move(2)
        assert travel.headers()["firmwire-deadline-ms"] == "1"
        with pytest.raises(Problem) as caught:
            travel.budget_s(10)
    assert caught.value.fault is Fault.DEADLINE_EXCEEDED


def test_the_next_hop_is_a_child_span():
    """Same trace, same ids, another span."""
    with travel.using(travel.begin(correlation_id="c-1")) as now:
        sent = travel.headers()
    assert (sent["firmwire-request-id"], sent["firmwire-correlation-id"]) == (now.request_id, "c-1")
    child = trace.received(sent["traceparent"])
    assert child.trace_id == now.trace.trace_id
    assert child.span_id != now.trace.span_id
    assert "firmwire-deadline-ms" not in sent


async def test_tasks_inherit_and_do_not_leak():
    """What a task adopts is its own."""
    me = Principal("me", frozenset(), "gateway")

    async def other():
        assert travel.caller() == me
        travel.adopt(Principal("other", frozenset(), "gateway"))

    with travel.using(travel.begin(principal=me)):
        await asyncio.create_task(other())
        assert travel.caller() == me


def test_nobody_is_calling_outside():
    """And a run of our own has no caller either."""
    with pytest.raises(Problem) as caught:
        travel.caller()
    assert caught.value.fault is Fault.UNAUTHENTICATED
    assert travel.begin().until_s is None
    assert clock.monotonic() > 0


@pytest.mark.parametrize(
    "header",
    [
        None, "", "x", HEADER.upper(), HEADER.replace("00-", "ff-", 1), HEADER[:-1],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)  # fmt: skip
def test_a_malformed_trace_starts_a_new_one(header):
    """W3C Trace Context, section 3.2.2."""
    found = trace.received(header)
    assert found.trace_id != "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(found.trace_id) == 32


def test_a_later_version_and_an_unsampled_trace_are_read():
    """Forward compatible; the flag is kept."""
    later = trace.received(HEADER.replace("00-", "cc-", 1) + "-more")
    assert later.sampled
    assert trace.received(HEADER[:-1] + "0").header().endswith("-00")


@pytest.mark.parametrize("lane", list(Lane))
def test_a_lane_travels(lane):
    """As the journey says; what is inside a lane is in it, with the ids of the journey."""
    with travel.using(travel.begin(correlation_id="c-1")), travel.in_lane(lane):
        sent = travel.headers()
    assert (sent["firmwire-lane"], sent["firmwire-correlation-id"]) == (lane.value, "c-1")
    assert arrived(sent).lane is lane


@pytest.mark.parametrize("nonsense", ["", "POSTING", "posting ", "express", "\x00"])
def test_a_lane_nobody_knows_is_that_of_the_tier(nonsense):
    """It is not made up, and neither is one that is not told."""
    for lane in Lane:
        for sent in ({"firmwire-lane": nonsense}, {}):
            assert travel.received(sent.get, 10, lane).lane is lane
