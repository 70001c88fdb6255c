"""Metrics are a closed list."""

import pytest

from chassis import metrics
from chassis.metrics import Kind, Metric, Metrics

ORDERS = Metric("orders_total", Kind.COUNTER, "Orders.", ("shop",))


def test_what_is_declared_is_exposed():
    """With prefix, help, type and labels; no `_created` noise."""
    own = Metrics((ORDERS, Metric("load", Kind.GAUGE, "Load."), Metric("s", Kind.HISTOGRAM, "S.")))
    own.metric("orders_total", shop="a").inc(2)
    own.metric("load").set(3)
    own.metric("s").observe(0.2)
    text = own.exposition().decode()
    assert 'firmwire_orders_total{shop="a"} 2.0' in text
    assert "firmwire_load 3.0" in text
    assert 'firmwire_s_bucket{le="0.25"} 1.0' in text
    assert "_created" not in text


def test_the_unknown_is_refused():
    """A typo is an error, not a second metric."""
    own = Metrics((ORDERS,))
    with pytest.raises(LookupError, match="order_total is not declared"):
        own.metric("order_total")
    with pytest.raises(ValueError, match="label"):
        own.metric("orders_total", nope="x")


def test_a_list_may_be_declared_twice_but_not_contradicted():
    """Modules are imported in any order."""
    own = Metrics((ORDERS,))
    own.declare(ORDERS)
    assert own.declared() == (ORDERS,)
    with pytest.raises(ValueError, match="twice"):
        own.declare(Metric("orders_total", Kind.GAUGE, "Other."))


def test_every_name_tells_its_unit():
    """total, seconds, or a plain count."""
    for metric in metrics.declared():
        if metric.kind is Kind.COUNTER:
            assert metric.name.endswith("_total")
        if metric.kind is Kind.HISTOGRAM:
            assert metric.name.endswith(("_seconds", "_bytes", "_rows"))


def test_the_processs_own_metrics_work():
    """The short forms."""
    metrics.count("outbound_retries_total", peer="test")
    metrics.gauge("outbound_breaker_open", 1, peer="test")
    metrics.observe("outbound_wait_seconds", 0.1, peer="test")
    assert b'firmwire_outbound_breaker_open{peer="test"} 1.0' in metrics.exposition()
