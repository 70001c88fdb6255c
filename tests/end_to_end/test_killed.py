"""Each process killed in turn while time is received and judged: nothing lost, nothing twice."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contracts.ports.process.time_entries import event_data_example

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]

BATCH = "/process/v1/time-entries"
BATCHES, SIZE = 8, 100


def event(id: str) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"time_entry:{id}:1", "source": "/acme/kantata",
        "type": "firmwire.time_entry.approved.v1", "subject": f"kantata:{id}",
        "time": "2026-05-04T09:00:00Z",
        "data": event_data_example() | {"ref": {"system": "kantata", "id": id}},
    }  # fmt: skip


class Sender(threading.Thread):
    """A partner that sends batches and sends again what was not answered, as told to."""

    def __init__(self, firm: Any, key: str, name: str) -> None:
        super().__init__(daemon=True)
        self.client = firm.client(key)
        self.label = name
        self.done = 0
        self.again = 0
        self.gave_up = ""
        self.enough = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if number >= BATCHES and self.enough.wait(0.1):
                self.client.close()
                return
            events = [event(f"{self.label}-{number}-{n}") for n in range(SIZE)]
            end_s = time.monotonic() + 40
            while not self._sent(events):
                self.again += 1
                if time.monotonic() > end_s:
                    self.gave_up = f"batch {number} was not taken"
                    return
                time.sleep(0.1)
            self.done += 1

    def _sent(self, events: list[dict[str, Any]]) -> bool:
        try:
            reply = self.client.post(BATCH, json=events)
        except httpx.HTTPError:
            return False
        if reply.status_code != 202:
            assert reply.status_code >= 500, reply.text
            return False
        result = reply.json()
        assert (result["accepted"] + result["duplicates"], result["refused"]) == (SIZE, [])
        return True


@pytest.mark.parametrize(
    "name", ["gateway", "control", "system", "experience", "sandbox", "process"]
)
def test_killed_while_time_arrives(firm: Any, key: str, partner: httpx.Client, name: str) -> None:
    """SIGKILL in the middle: it is started again, and every entry sent is judged exactly once."""
    before = judged(partner)
    sender = Sender(firm, key, f"{name}-{time.time_ns()}")
    sender.start()
    until(lambda: sender.done >= 2)
    pid = firm.supervisor.pid(name)
    os.kill(pid, signal.SIGKILL)
    until(lambda: firm.supervisor.pid(name) != pid)
    firm.run(firm.supervisor.ready(name), 40)
    sender.enough.set()
    sender.join(60)
    assert sender.gave_up == ""
    sent = before + sender.done * SIZE
    until(lambda: judged(partner) >= sent)
    assert judged(partner) == sent
    assert not firm.supervisor.failed.is_set()


def test_afterwards_everything_agrees(partner: httpx.Client) -> None:
    """Entries, work items and the dashboard tell the same numbers after all that."""
    by_state = partner.get(f"{BATCH}/progress").json()["by_state"]
    listed: Counter[str] = Counter()
    for entry in pages(partner, BATCH):
        listed[entry["billing_state"]] += 1
    assert dict(listed) == by_state
    items = Counter(
        (item["subject_id"], item["code"])
        for item in pages(partner, "/process/v1/exceptions")
        if item["subject_type"] == "time_entry"
    )
    assert [twice for twice, count in items.items() if count > 1] == []

    def shown() -> dict[str, int]:
        board = partner.get("/experience/v1/operations").json()
        return {state["state"]: state["entries"] for state in board["states"]}

    until(lambda: shown() == by_state, 20)


def judged(partner: httpx.Client) -> int:
    """Entries that came to a billing state."""
    try:
        reply = partner.get(f"{BATCH}/progress")
    except httpx.HTTPError:
        return -1
    if reply.status_code != 200:
        return -1
    counts = reply.json()["by_state"]
    return sum(n for state, n in counts.items() if state not in ("RECEIVED", "EVALUATING"))


def pages(partner: httpx.Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = partner.get(path, params={"limit": "1000", **cursor}).json()
        found += page["items"]
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def until(holds: Callable[[], bool], within_s: float = 40.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)
