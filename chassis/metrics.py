"""This file exists to keep the closed list of metrics, each with unit and labels.

Owns   the registry and its exposition. A tier adds its own list once, where it is declared.
Fails  LookupError for a metric nobody declared, ValueError for other labels than declared.
Source Prometheus, "Metric and label naming" and the text exposition format 0.0.4.
"""

from enum import Enum
from typing import Any

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Kind(Enum):
    """counter: only grows. gauge: goes up and down. histogram: a distribution."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(Struct, frozen=True):
    """name: without prefix, ends in its unit. labels: few values each, never an id."""

    name: str
    kind: Kind
    tells: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS


CHASSIS = (
    Metric("http_requests_total", Kind.COUNTER, "Requests answered.", ("operation", "status")),
    Metric("http_request_seconds", Kind.HISTOGRAM, "Time to answer.", ("operation",)),
    Metric("http_in_flight", Kind.GAUGE, "Requests being worked on."),
    Metric("outbound_requests_total", Kind.COUNTER, "Calls made.", ("peer", "outcome")),
    Metric("outbound_request_seconds", Kind.HISTOGRAM, "Time a call took.", ("peer",)),
    Metric("outbound_wait_seconds", Kind.HISTOGRAM, "Time waited for a place.", ("peer",)),
    Metric("outbound_waited_total", Kind.COUNTER, "Calls that had to wait.", ("peer", "lane")),
    Metric("outbound_shed_total", Kind.COUNTER, "Calls refused for others.", ("peer", "lane")),
    Metric("outbound_quota_left_share", Kind.GAUGE, "Left, as the peer told last.", ("peer",)),
    Metric("outbound_retries_total", Kind.COUNTER, "Calls made again.", ("peer",)),
    Metric("outbound_breaker_open", Kind.GAUGE, "1 while a breaker is open.", ("peer",)),
    Metric("database_transactions_total", Kind.COUNTER, "Transactions.", ("database", "outcome")),
    Metric("database_transaction_seconds", Kind.HISTOGRAM, "Time a write took.", ("database",)),
    Metric("unknown_fields_total", Kind.COUNTER, "Fields a peer sent unasked.", ("peer", "shape")),
)


class Metrics:
    """One registry. Most code uses the module's functions, which work on the process's own."""

    def __init__(self, declared: tuple[Metric, ...] = ()) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._declared: dict[str, Metric] = {}
        self._made: dict[str, Any] = {}
        self.declare(*declared)

    def declare(self, *metrics: Metric) -> None:
        """Add to the closed list. Declaring the same metric again changes nothing."""
        for metric in metrics:
            if self._declared.get(metric.name) == metric:
                continue
            if metric.name in self._declared:
                raise ValueError(f"{metric.name} is declared twice with different meanings")
            name = f"firmwire_{metric.name}"
            made: Any
            if metric.kind is Kind.COUNTER:
                made = Counter(name, metric.tells, metric.labels, registry=self._registry)
            elif metric.kind is Kind.GAUGE:
                made = Gauge(name, metric.tells, metric.labels, registry=self._registry)
            else:
                made = Histogram(
                    name, metric.tells, metric.labels,
                    registry=self._registry, buckets=metric.buckets,
                )  # fmt: skip
            self._declared[metric.name] = metric
            self._made[metric.name] = made

    def metric(self, name: str, **labels: str) -> Any:
        """The prometheus-client metric itself, for a hot path that keeps it."""
        try:
            made = self._made[name]
        except KeyError:
            raise LookupError(f"metric {name} is not declared; add it to the closed list") from None
        return made.labels(**labels) if labels else made

    def exposition(self) -> bytes:
        """What a scraper reads."""
        return generate_latest(self._registry)

    def declared(self) -> tuple[Metric, ...]:
        """The closed list, in order of declaration."""
        return tuple(self._declared.values())


_own = Metrics(CHASSIS)
declare = _own.declare
metric = _own.metric
exposition = _own.exposition
declared = _own.declared


def count(name: str, by: float = 1, **labels: str) -> None:
    """Add to a counter."""
    _own.metric(name, **labels).inc(by)


def gauge(name: str, value: float, **labels: str) -> None:
    """Set a gauge."""
    _own.metric(name, **labels).set(value)


def observe(name: str, value: float, **labels: str) -> None:
    """Add one observation to a histogram, in the unit of its name."""
    _own.metric(name, **labels).observe(value)
