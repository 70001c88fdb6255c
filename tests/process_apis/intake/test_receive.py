"""Batches: good items are taken, bad ones named by index, each event once."""

import json
from typing import Any

import msgspec
import pytest

from contracts.ports.process.time_entries import event_data_example
from contracts.problem import Fault, Problem
from process_apis.intake import receive


def event(id: str = "1", **data: Any) -> dict[str, Any]:
    ref = {"system": "kantata", "id": id}
    return {
        "specversion": "1.0", "id": f"time_entry:kantata:{id}:1", "source": "/acme/kantata",
        "type": "firmwire.time_entry.approved.v1", "subject": id, "time": "2026-11-02T08:00:00Z",
        "traceparent": "00-1-2-01", "data": event_data_example() | {"ref": ref} | data,
    }  # fmt: skip


def read(batch: Any) -> Any:
    return receive.read(msgspec.Raw(json.dumps(batch).encode()))


def test_bad_items_are_named_and_good_ones_taken() -> None:
    """One wrong cell must not hold up a timesheet of five thousand."""
    wrong_type = event("4") | {"type": "firmwire.invoice.posted.v1"}
    good, refused = read(
        [event("1"), event("2", minutes="many"), {"id": "x"}, wrong_type, event("5")]
    )
    assert [item.entry_id for item in good] == ["kantata:1", "kantata:5"]
    assert [(item.index, item.pointer) for item in refused] == [
        (1, "/1/data/minutes"), (2, "/2/source"), (3, "/3/type"),
    ]  # fmt: skip
    assert all(item.reason and item.hint for item in refused)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{}", Fault.MALFORMED),
        (b"nonsense", Fault.MALFORMED),
        (b"[]", Fault.INVALID),
        (b"[" + b",".join([b"{}"] * 5_001) + b"]", Fault.INVALID),
    ],
)
def test_what_is_no_batch_is_refused_whole(body: bytes, fault: Fault) -> None:
    """Not an array, nothing in it, or too much."""
    with pytest.raises(Problem) as raised:
        receive.read(msgspec.Raw(body))
    assert raised.value.fault is fault


def test_a_withdrawal_is_a_tombstone() -> None:
    """Sources that only name the event `withdrawn` mean the same as those that say deleted."""
    good, _ = read([event() | {"type": "firmwire.time_entry.withdrawn.v1"}])
    assert msgspec.json.decode(good[0].payload)["deleted"] is True


async def test_a_redelivery_is_dropped_and_counted(world: Any) -> None:
    """The same event twice, in one batch and in two, is taken once."""
    one, two = world.entry("1"), world.entry("2")
    assert await world.deliver(one, two, one, judge=False) == (2, 1)
    assert await world.deliver(two, judge=False) == (0, 1)
    assert world.waiting() == 2
