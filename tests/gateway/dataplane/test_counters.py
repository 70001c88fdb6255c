"""What a scrape is told: latency by route, version and class, in a bounded number of series."""

import asyncio
import re
from collections import Counter

import pytest

from chassis.versions import head, versions
from contracts.principal import Principal
from gateway.dataplane import counters
from gateway.dataplane.counters import BOUNDS_S, Book, exposition
from gateway.dataplane.siblings import added
from gateway.policy import Caller, Exchange

HEAD, OLD = head(), versions()[0]
COUNT = re.compile(
    r'^firmwire_gateway_request_seconds_count\{route="([^"]*)",version="([^"]*)",class="([^"]*)"\} '
    r"(\d+)$",
    re.MULTILINE,
)


def exchange(*, version=b"", token=None, took_s=0.003):
    """One that ended. token: None for nobody."""
    x = Exchange(None, "127.0.0.1", 1.0)
    x.progress_s, x.status, x.version = 1.0 + took_s, 200, version
    if token is not None:
        x.caller = Caller(Principal("acme", frozenset(), "gateway", "k"), "k")
        x.caller.token = token
    return x


def counted(text):
    """By route, version and class."""
    found = COUNT.findall(text.decode())
    return {(route, version, kind): int(number) for route, version, kind, number in found}


async def test_latency_is_told_by_route_version_and_class(gate):
    """Who came with nothing speaks no version; an unknown version makes no series."""
    for more in (
        {},
        {},
        {"Firmwire_Version": OLD},
        {"key": None},
        {"Firmwire_Version": "1999-1-1"},
    ):
        await gate.ask(**more)
    await gate.ask(path="/nowhere")
    assert counted(gate.worker.metrics()) == {
        ("-", "", "none"): 1,
        ("system", "", "none"): 1,
        ("system", HEAD, "key"): 2,
        ("system", OLD, "key"): 1,
        ("system", "", "key"): 1,
    }


def test_a_histogram_is_cumulative_and_ends_with_all():
    """Each bound counts what took no longer, as the exposition format has it."""
    book = Book()
    for took_s in (0.0005, 0.003, 0.003, 99.0):
        book.of("system").add(exchange(version=b"2026-11-01", token=True, took_s=took_s))
    text = exposition(book.by_route, {}).decode()
    told = re.findall(
        r'_bucket\{route="system",version="2026-11-01",class="token",le="(.*)"\} (\d)', text
    )
    assert [bound for bound, _ in told] == [*map(str, BOUNDS_S), "+Inf"]
    assert [int(number) for _, number in told] == [1, 1, *[3] * 12, 4]
    assert (
        'request_seconds_sum{route="system",version="2026-11-01",class="token"} 99.006500' in text
    )


def test_series_are_bounded_and_nothing_goes_uncounted(monkeypatch):
    """Beyond the bound a route has one more histogram, for all the rest."""
    monkeypatch.setattr(counters, "SERIES_MOST", 3)
    book = Book()
    for route in ("a", "b"):
        for version in (b"1", b"2", b"2"):
            for token in (None, True):
                book.of(route).add(exchange(version=version, token=token))
    found = counted(exposition(book.by_route, {}))
    assert len(found) == 3 + 2
    assert sum(found.values()) == 12
    assert (found["a", "other", "other"], found["b", "other", "other"]) == (2, 6)


def test_a_route_that_is_gone_leaves_room():
    """Its series end with it; those of the others stay."""
    book = Book()
    for route in ("a", "b"):
        book.of(route).add(exchange())
    book.keep({"b"})
    assert (book.series, set(counted(exposition(book.by_route, {})))) == (1, {("b", "", "none")})


async def test_a_route_that_leaves_the_snapshot_leaves_the_metrics(gate):
    """And the others go on counting through the swap."""
    other = {"name": "other", "prefix": "/other", "upstream": "system", "public": True,
             "policies": {"size_limit": {}}}  # fmt: skip
    gate.more_routes = (other,)
    gate.publish()
    await asyncio.gather(gate.ask(), gate.ask(path="/other"))
    gate.more_routes = ()
    gate.publish()
    await gate.ask()
    assert counted(gate.worker.metrics()) == {("system", HEAD, "key"): 2}


@pytest.mark.parametrize("workers", [1, 3])
def test_histograms_of_workers_are_added_up(workers):
    """By all their labels: series of one worker that another does not have stay as they are."""
    texts, expected = [], Counter()
    for worker in range(workers):
        book = Book()
        for version, token in ((b"1", True), (b"1", False), (b"%d" % worker, None)):
            book.of("system").add(exchange(version=version, token=token))
        texts.append(exposition(book.by_route, {}))
        expected.update(counted(texts[-1]))
    assert counted(added(texts)) == expected
