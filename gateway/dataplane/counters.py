"""This file exists to count what passes, by route, and to show it as Prometheus text.

Owns   one Counts a route, plain integers of this worker; they live through snapshot swaps, as long
       as the route does. How many series there can be is bounded.
       prometheus-client stays with the tiers: its locks and label look-ups cost more than the
       whole pipe.
Fails  never.
Source Prometheus text exposition format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Container, Mapping

from gateway.policy import Exchange

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BOUNDS = (*map(str, BOUNDS_S), "+Inf")


# Histograms of one worker, by route, version and class; beyond them a route has one for the rest.
SERIES_MOST = 1_000


class Times:
    """buckets: exchanges by how long they took, bounds as in BOUNDS_S."""

    __slots__ = ("buckets", "took_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.took_s = 0.0


class Counts:
    """One route's. times: by what the caller was proven by, and the dated version it spoke."""

    __slots__ = (
        "_book", "_by_key", "_by_nothing", "_by_token", "in_bytes", "out_bytes", "problems", "rest",
        "statuses", "times",
    )  # fmt: skip

    def __init__(self, book: "Book") -> None:
        self._book = book
        self.statuses: dict[int, int] = {}
        self.problems: dict[str, int] = {}
        self._by_key: dict[bytes, Times] = {}
        self._by_token: dict[bytes, Times] = {}
        self._by_nothing: dict[bytes, Times] = {}
        self.times = {"key": self._by_key, "none": self._by_nothing, "token": self._by_token}
        self.rest: Times | None = None
        self.in_bytes = self.out_bytes = 0

    def add(self, x: Exchange) -> None:
        """One exchange ended."""
        took_s = x.progress_s - x.started_s
        try:
            self.statuses[x.status] += 1
        except KeyError:
            self.statuses[x.status] = 1
        if (caller := x.caller) is None:
            by_version = self._by_nothing
        else:
            by_version = self._by_token if caller.token else self._by_key
        try:
            times = by_version[x.version]
        except KeyError:
            times = by_version[x.version] = self._first()
        times.buckets[bisect_left(BOUNDS_S, took_s)] += 1
        times.took_s += took_s
        self.out_bytes += x.sent_bytes
        if x.received_bytes:
            self.in_bytes += x.received_bytes
        if x.problem is not None:
            code = x.problem.fault.code
            self.problems[code] = self.problems.get(code, 0) + 1

    def histograms(self) -> list[tuple[str, Times]]:
        """With their labels."""
        told = [
            (f'version="{version.decode()}",class="{kind}"', times)
            for kind, by_version in self.times.items()
            for version, times in sorted(by_version.items())
            if times is not self.rest
        ]
        return told if self.rest is None else [*told, ('version="other",class="other"', self.rest)]

    def _first(self) -> Times:
        """Of a version and class; versions are those we have, and still there is a bound."""
        if self._book.series < SERIES_MOST:
            self._book.series += 1
            return Times()
        if self.rest is None:
            self.rest = Times()
        return self.rest


class Book:
    """The counts of a worker, by route. series: histograms there are."""

    def __init__(self) -> None:
        self.by_route: dict[str, Counts] = {}
        self.series = 0

    def of(self, route: str) -> Counts:
        """Those of a route, from now on."""
        counts = self.by_route.get(route)
        if counts is None:
            counts = self.by_route[route] = Counts(self)
        return counts

    def keep(self, routes: Container[str]) -> None:
        """Forget what is no route any more."""
        for route in [route for route in self.by_route if route not in routes]:
            gone = self.by_route.pop(route)
            self.series -= len(gone.histograms()) - (gone.rest is not None)


def exposition(
    by_route: Mapping[str, Counts],
    gauges: Mapping[str, float],
    versions: Mapping[bytes, list[int]] | None = None,
) -> bytes:
    """All of it. gauges: name to value; a name may carry labels, those of one name together.

    versions: requests by the dated version they were in, a cell each.
    """
    lines: list[str] = ["# TYPE firmwire_gateway_version_requests_total counter"]
    lines += (
        f'firmwire_gateway_version_requests_total{{version="{version.decode()}"}} {number}'
        for version, (number,) in sorted((versions or {}).items())
    )
    before = ""
    for name, value in gauges.items():
        if (bare := name.partition("{")[0]) != before:
            lines.append(f"# TYPE {bare} gauge")
            before = bare
        lines.append(f"{name} {value:g}")
    lines.append("# TYPE firmwire_gateway_requests_total counter")
    for route, counts in by_route.items():
        lines += (
            f'firmwire_gateway_requests_total{{route="{route}",status="{status}"}} {number}'
            for status, number in sorted(counts.statuses.items())
        )
    lines.append("# TYPE firmwire_gateway_problems_total counter")
    for route, counts in by_route.items():
        lines += (
            f'firmwire_gateway_problems_total{{route="{route}",code="{code}"}} {number}'
            for code, number in sorted(counts.problems.items())
        )
    for direction in ("in", "out"):
        lines.append(f"# TYPE firmwire_gateway_{direction}_bytes_total counter")
        for route, counts in by_route.items():
            number = counts.in_bytes if direction == "in" else counts.out_bytes
            lines.append(f'firmwire_gateway_{direction}_bytes_total{{route="{route}"}} {number}')
    lines.append("# TYPE firmwire_gateway_request_seconds histogram")
    for route, counts in by_route.items():
        for labels, times in counts.histograms():
            lines += _histogram(f'route="{route}",{labels}', times)
    return ("\n".join(lines) + "\n").encode()


def _histogram(labels: str, times: Times) -> list[str]:
    name = "firmwire_gateway_request_seconds"
    lines, total = [], 0
    for bound, number in zip(_BOUNDS, times.buckets, strict=True):
        total += number
        lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
    lines.append(f"{name}_sum{{{labels}}} {times.took_s:.6f}")
    lines.append(f"{name}_count{{{labels}}} {total}")
    return lines
