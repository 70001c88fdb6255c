"""The tier's door on a real socket: who may, what is answered, what streams."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from chassis import call, identity
from chassis.database import Database
from chassis.identity import HEADER, Signer, Verifier
from chassis.server import serving
from contracts.entities.record import CrossReference
from contracts.entities.time_entry import TimeEntry
from contracts.ids import Ref
from contracts.ports.process.events import Events
from contracts.ports.process.exceptions import Claim, Exceptions, Resolution, Waiver
from contracts.ports.process.master_data import MasterData, RecordRequest
from contracts.ports.process.time_entries import EvaluationRequest, TimeEntries
from contracts.problem import Fault, Problem
from process_apis import app, audit
from process_apis.settings import ProcessSettings


class Door:
    """The running tier and clients of its ports."""

    def __init__(self, url: str, signer: Signer, world: Any) -> None:
        self.url, self.world, self.signer = url, world, signer
        self.time = call.client(TimeEntries, url, signer=signer, prefix=app.PREFIX)
        self.exceptions = call.client(Exceptions, url, signer=signer, prefix=app.PREFIX)
        self.master = call.client(MasterData, url, signer=signer, prefix=app.PREFIX)
        self.events = call.client(Events, url, signer=signer, prefix=app.PREFIX)

    def headers(self, *scopes: str) -> dict[str, str]:
        return {HEADER: self.signer.assertion("ann", scopes or ("process:*",))}

    def batch(self, *entries: TimeEntry) -> msgspec.Raw:
        events = [
            {
                "specversion": "1.0", "id": f"time_entry:{e.ref}:{e.source_version}",
                "source": "/acme/kantata", "type": "firmwire.time_entry.approved.v1",
                "subject": str(e.ref), "time": "2026-05-04T09:00:00Z", "data": e,
            }
            for e in entries
        ]  # fmt: skip
        return msgspec.Raw(msgspec.json.encode(events))

    async def until(self, id: str, state: str) -> Any:
        async with asyncio.timeout(15):
            while True:
                found = await self.time.entry(id)
                if found is not None and found.billing_state == state:
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def door(world: Any, url: str, tmp_path: Path) -> AsyncIterator[Door]:
    identity.ensure(tmp_path)
    verifier, signer = Verifier(identity.jwks_file(tmp_path)), Signer.of(tmp_path, "process")
    chosen = ProcessSettings(sources=(), idle_s=0.1)
    database = Database(url, name="process", durable=False)
    served = app.create(chosen, verifier, signer, database, tmp_path)
    async with serving(served) as base_url:
        opened = Door(base_url, signer, world)
        yield opened
        await call.close(opened.time, opened.exceptions, opened.master, opened.events)


async def test_from_a_posted_batch_to_an_answer(door: Door) -> None:
    """The whole way through the wire: accepted, judged, and readable with its ledger rows."""
    result = await door.time.receive(door.batch(door.world.entry()))
    assert (result.accepted, result.duplicates, result.refused) == (1, 0, ())
    entry = await door.until("kantata:1", "READY")
    assert sorted(row.type for row in entry.transactions) == ["COST", "UNBILLED_SALES"]
    assert entry.entry.minutes == 60
    page = await door.time.entries(state="READY")
    assert [item.entry_id for item in page.items] == ["kantata:1"]
    assert (await door.time.progress()).by_state == {"READY": 1}


async def test_who_may(door: Door) -> None:
    """No identity: 401. Another scope: 403. Health is for everybody."""
    async with httpx.AsyncClient(base_url=door.url) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 200
        path = "/process/v1/time-entries/progress"
        assert (await client.get(path)).status_code == 401
        poor = door.headers("process:events:read")
        assert (await client.get(path, headers=poor)).status_code == 403
        assert (await client.get(path, headers=door.headers())).status_code == 200


async def test_every_port_of_the_tier_is_served(door: Door) -> None:
    """Billing, journeys and reconciliation answer behind the same door."""
    async with httpx.AsyncClient(base_url=door.url, headers=door.headers()) as client:
        for path in ("/billing-runs", "/invoices", "/journeys", "/runs", "/reconciliations"):
            assert (await client.get(f"/process/v1{path}")).status_code == 200, path


async def test_a_body_beyond_the_limit_is_refused(door: Door) -> None:
    """10 MB is more than a batch may be; the tier says so and lives on."""
    headers = door.headers() | {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=door.url) as client:
        reply = await client.post(
            "/process/v1/time-entries", content=b"[" + b" " * 10_000_000 + b"]", headers=headers
        )
        assert reply.status_code == 413
        assert (await client.get("/health")).status_code == 200


async def test_the_same_key_is_the_same_answer(door: Door) -> None:
    """A batch sent again after a lost answer is answered as the first time."""
    body = door.batch(door.world.entry())
    first = await door.time.receive(body, idempotency_key="k1")
    assert await door.time.receive(body, idempotency_key="k1") == first
    assert first.accepted == 1


async def test_a_dry_run_stores_nothing(door: Door) -> None:
    """What would happen, without anything happening."""
    reply = await door.time.evaluate(EvaluationRequest(entries=(door.world.entry(),)))
    assert (reply[0].billing_state, reply[0].amount.minor) == ("READY", 14_000)
    assert await door.time.entry("kantata:1") is None


async def test_a_person_mends_a_map_and_its_group_is_free(door: Door) -> None:
    """The queue groups by cause with its worth; one PUT closes the group; the act is audited."""
    lost = [door.world.entry(str(n), project=Ref("legacy", "x"), minutes=n) for n in range(1, 4)]
    await door.time.receive(door.batch(*lost))
    await door.until("kantata:3", "EXCEPTION")
    groups = await door.exceptions.groups(owner="PMO")
    assert [(group.code, group.items) for group in groups] == [("PROJECT_UNKNOWN", 3)]
    mended = await door.master.put_cross_reference(
        CrossReference(entity="project", code="P-1", system="legacy", external_id="x")
    )
    assert mended.redriven == 3
    await door.until("kantata:3", "READY")
    assert await door.exceptions.groups() == ()
    page = await door.master.cross_references(system="legacy")
    assert [(item.code, item.match) for item in page.items] == [("P-1", "MANUAL")]
    with door.world.database.reading() as connection:
        assert audit.broken_at(connection) is None


async def test_a_hold_is_waived_until_a_day_and_a_block_is_not(door: Door) -> None:
    """A waiver lets held time through; what blocks can only be mended."""
    await door.world.change("contract", status="SUSPENDED")
    await door.time.receive(door.batch(door.world.entry()))
    held = await door.until("kantata:1", "HELD")
    item = held.work_items[0]
    claimed = await door.exceptions.claim(item.id, Claim(assignee="bob"))
    assert (claimed.state, claimed.assignee) == ("ASSIGNED", "bob")
    with pytest.raises(Problem) as short:
        await door.exceptions.waive(item.id, Waiver(reason="please", last_day=date(2999, 1, 1)))
    assert short.value.fault is Fault.INVALID
    until = (await door.exceptions.item(item.id)).opened_at.date()
    waived = await door.exceptions.waive(
        item.id, Waiver(reason="the client agreed by letter", last_day=until)
    )
    assert waived.state == "WAIVED"
    await door.until("kantata:1", "READY")
    with pytest.raises(Problem) as closed:
        await door.exceptions.claim(item.id, Claim(assignee="eve"))
    assert closed.value.fault is Fault.CONFLICT
    await door.time.receive(door.batch(door.world.entry("2", project=Ref("legacy", "y"))))
    blocked = await door.until("kantata:2", "EXCEPTION")
    with pytest.raises(Problem) as refused:
        await door.exceptions.waive(
            blocked.work_items[0].id, Waiver(reason="long enough a reason", last_day=until)
        )
    assert refused.value.fault is Fault.CONFLICT


async def test_a_resolved_item_whose_cause_stands_comes_back(door: Door) -> None:
    """Saying that it is mended does not mend it."""
    await door.time.receive(door.batch(door.world.entry(project=Ref("legacy", "x"))))
    first = (await door.until("kantata:1", "EXCEPTION")).work_items[0]
    await door.exceptions.resolve(first.id, Resolution(resolution="DATA_FIX", reason="mended"))
    async with asyncio.timeout(15):
        while not (page := await door.exceptions.items(subject_id="kantata:1")).items:
            await asyncio.sleep(0.02)
    assert page.items[0].id != first.id


async def test_records_of_the_firm_itself(door: Door) -> None:
    """What no system feeds comes by PUT, and sets free like any feed."""
    await door.time.receive(door.batch(door.world.entry(project=Ref("kantata", "2002"))))
    await door.until("kantata:1", "EXCEPTION")
    project = msgspec.structs.replace(
        door.world.records["project"], ref=Ref("kantata", "2002"), code="P-2"
    )
    assignment = msgspec.structs.replace(
        door.world.records["assignment"], ref=Ref("kantata", "as2"), code="AS-2",
        project=Ref("", "P-2"),
    )  # fmt: skip
    recorded = await door.master.put_records(RecordRequest(records=(project, assignment)))
    assert (recorded.records, recorded.redriven) == (2, 1)
    await door.until("kantata:1", "READY")


async def test_a_reader_waits_for_the_next_event(door: Door) -> None:
    """A long poll answers as soon as something happens, and by type."""
    waiting = asyncio.create_task(
        door.events.feed(wait_s=10.0, types="firmwire.time_entry.evaluated.")
    )
    await door.time.receive(door.batch(door.world.entry()))
    page = await asyncio.wait_for(waiting, 8)
    assert [event.subject for event in page.events] == ["kantata:1"]
    assert page.events[0].data["billing_state"] == "READY"
    assert (await door.events.feed(after=page.after)).events == ()
    assert (await door.events.feed(types="firmwire.invoice.")).events == ()


async def test_events_stream_and_go_on_where_a_reader_left(door: Door) -> None:
    """Server-sent events: id is the position, Last-Event-ID goes on behind it."""
    await door.time.receive(door.batch(door.world.entry("1"), door.world.entry("2")))
    await door.until("kantata:2", "READY")
    whole = await _events(door, 2, {})
    assert [event["position"] for event in whole] == [1, 2]
    assert await _events(door, 1, {"last-event-id": "1"}) == whole[1:]


async def _events(door: Door, count: int, more: dict[str, str]) -> list[Any]:
    found: list[Any] = []
    async with (
        httpx.AsyncClient(base_url=door.url, timeout=10) as client,
        client.stream("GET", "/process/v1/events/stream", headers=door.headers() | more) as reply,
    ):
        assert reply.headers["content-type"].startswith("text/event-stream")
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                found.append(msgspec.json.decode(line.removeprefix("data: ")))
                if len(found) == count:
                    return found
    return found
