"""This file exists to count what passes, by route, and to show it as Prometheus text.

Owns   one Counts a route, plain integers of this worker; they live through snapshot swaps.
       prometheus-client stays with the tiers: its locks and label look-ups cost more than the
       whole pipe.
Fails  never.
Source Prometheus text exposition format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Mapping

from gateway.policy import Exchange

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Counts:
    """One route's. buckets: exchanges by how long they took, bounds as in BOUNDS_S."""

    __slots__ = ("buckets", "in_bytes", "out_bytes", "problems", "statuses", "took_s")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.problems: dict[str, int] = {}
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.took_s = 0.0
        self.in_bytes = self.out_bytes = 0

    def add(self, x: Exchange) -> None:
        """One exchange ended."""
        took_s = x.progress_s - x.started_s
        try:
            self.statuses[x.status] += 1
        except KeyError:
            self.statuses[x.status] = 1
        self.buckets[bisect_left(BOUNDS_S, took_s)] += 1
        self.took_s += took_s
        self.out_bytes += x.sent_bytes
        if x.received_bytes:
            self.in_bytes += x.received_bytes
        if x.problem is not None:
            code = x.problem.fault.code
            self.problems[code] = self.problems.get(code, 0) + 1


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
        lines += _histogram(route, counts)
    return ("\n".join(lines) + "\n").encode()


def _histogram(route: str, counts: Counts) -> list[str]:
    name = "firmwire_gateway_request_seconds"
    lines, total = [], 0
    for bound, number in zip((*map(str, BOUNDS_S), "+Inf"), counts.buckets, strict=True):
        total += number
        lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {total}')
    lines.append(f'{name}_sum{{route="{route}"}} {counts.took_s:.6f}')
    lines.append(f'{name}_count{{route="{route}"}} {total}')
    return lines
