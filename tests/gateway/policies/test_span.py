"""One span an exchange, under the ids that the tier behind us is told."""

import pytest

from chassis import spans

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PARTNER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def recorded(gate):
    """What was recorded, in the order it ended."""
    memory = InMemorySpanExporter()
    spans.switch_on("gateway", SimpleSpanProcessor(memory))
    gate.worker._policies = dict(gate.worker._policies)
    gate.publish()  # pipes are bound with the collector in place
    yield memory.get_finished_spans
    spans.switch_off()


def ids(span):
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


async def test_a_span_stands_between_partner_and_tier(gate, upstream, recorded, eventually):
    """Its parent is what the partner told; its own id is the parent that the tier is told."""
    await gate.ask(traceparent=PARTNER)
    await eventually(recorded)
    (span,) = recorded()
    _, trace_id, told_id, _ = upstream.seen[0].header("traceparent")[0].split("-")
    assert ids(span) == (trace_id, told_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", told_id)
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert (span.kind.name, span.name) == ("SERVER", "GET /system/v1")
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["firmwire.consumer"] == "acme"
    assert span.end_time >= span.start_time


async def test_a_trace_that_begins_here_has_the_id_of_the_log(gate, upstream, recorded, eventually):
    """No parent, and the ids that travel on."""
    await gate.ask()
    await eventually(recorded)
    (span,) = recorded()
    _, trace_id, told_id, _ = upstream.seen[0].header("traceparent")[0].split("-")
    assert (ids(span), span.parent) == ((trace_id, told_id), None)


async def test_a_refusal_has_a_span_too(gate, recorded, eventually):
    """A caller nobody knows: the fault's code, and no error of ours."""
    await gate.ask(key=None)
    await eventually(recorded)
    (span,) = recorded()
    assert span.attributes["error.type"] == "unauthenticated"
    assert span.status.is_ok


async def test_what_a_caller_does_not_sample_is_not_recorded(gate, recorded):
    """Their choice holds."""
    await gate.ask(traceparent=PARTNER[:-2] + "00")
    assert recorded() == ()
