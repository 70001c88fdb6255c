"""What callers use arrives at the control plane once, by hour, and keys know their last use."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from chassis import clock
from chassis.outbound import Outbound
from chassis.versions import head
from contracts.change import FIRST
from contracts.problem import Fault, Problem
from gateway import tokens, usage
from gateway.usage import Tally, UsageBatch, UsageRow


class Somebody:
    consumer, key_id, plan = "acme", "key_1", "gold"


def test_a_tally_counts_each_request_once():
    """What was gathered is gone from the memory; a batch stays the same until it arrived."""
    counts = {(Somebody, b"2026-11-01", 200): 3, (Somebody, b"2026-11-01", 429): 2}
    memory = {"system": counts, "": {(None, b"", 404): 1}}
    tally = Tally(memory)
    tally.gather(7201.5)
    assert (counts, memory[""]) == ({}, {})
    counts[Somebody, b"2026-11-01", 503] = 1
    tally.gather(7203.0)
    batch = tally.batch()
    assert batch is tally.batch()
    assert {
        UsageRow(7200, "acme", "key_1", "system", "2026-11-01", 6, 0, 2, 1, 7203, "gold"),
        UsageRow(7200, "", "", "", "", 1, 1, 0, 0, 7201),
    } == set(batch.rows)
    counts[Somebody, b"", 200] = 1
    tally.gather(10_800.0)
    assert batch is tally.batch()
    tally.done()
    later = tally.batch()
    assert (batch.sequence + 1, 10_800) == (later.sequence, later.rows[0].hour_s)


def test_a_tally_forgets_the_oldest_when_nobody_listens(monkeypatch):
    """Memory stays bounded, and how much was lost is known."""
    monkeypatch.setattr(usage, "ROWS_MOST", 2)
    counts = {}
    tally = Tally({"system": counts})
    for hour in range(4):
        counts[Somebody, b"", 200] = 5
        tally.gather(hour * 3600.0)
    assert [row.hour_s for row in tally.batch().rows] == [7200, 10_800]
    assert tally.lost == 10


async def test_a_batch_that_comes_again_counts_once(admin, control, tmp_path):
    """A push whose answer was lost is sent again; a stranger cannot push at all."""
    made = await admin.create_key("acme")
    now_s = int(clock.now().timestamp())
    row = UsageRow(now_s // 3600 * 3600, "acme", made.key.id, "system", "2026-11-01",
                   7, 1, 2, 1, now_s)  # fmt: skip
    batch = UsageBatch("worker-1", 1, (row,))
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    assert (await out.send("POST", "/usage", json=batch)).status == 401
    for sent in (batch, batch, msgspec.structs.replace(batch, sequence=2)):
        assert (await out.send("POST", "/usage", json=sent, headers=bearer)).status == 204
    await out.aclose()
    (hour,) = await admin.usage(consumer="acme")
    assert (hour.requests, hour.refused, hour.throttled, hour.failed) == (14, 2, 4, 2)
    assert await admin.usage(consumer="zeta") == ()
    assert len(await admin.usage(key=made.key.id, route="system", version="2026-11-01")) == 1
    (who,) = await admin.usage_by_consumer()
    assert (who.consumer, who.requests) == ("acme", 14)
    (caller,) = await admin.usage_by_version()
    assert (caller.version, caller.consumer, caller.requests) == ("2026-11-01", "acme", 14)
    assert now_s == (await admin.key(made.key.id)).last_used_at.timestamp()


async def test_who_still_calls_an_old_version_is_a_metric(admin, control, tmp_path):
    """By consumer, with when it last did; those at head and strangers make no series."""
    now_s = int(clock.now().timestamp())
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    rows = tuple(
        UsageRow(now_s // 3600 * 3600, consumer, "k", "system", version, 7, 0, 0, 0, now_s)
        for consumer, version in (
            ("late", FIRST), ("early", head()), ("", FIRST), ("acme", ""), ("late", "2020-01-01"),
        )
    )  # fmt: skip
    out = Outbound(control, peer="test")
    for _ in range(2):
        await out.send("POST", "/usage", json=UsageBatch("worker-1", 1, rows), headers=bearer)
    told = (await out.send("GET", "/metrics")).body.decode()
    await out.aclose()
    old = [line for line in told.splitlines() if line.startswith("firmwire_control_version_")]
    late = [line.rpartition(" ") for line in old if 'consumer="late"' in line]
    who = f'{{consumer="late",version="{FIRST}"}}'
    assert [(name, float(value)) for name, _, value in late] == [
        (f"firmwire_control_version_requests_total{who}", 7),
        (f"firmwire_control_version_last_seen_seconds{who}", now_s),
    ]
    assert not [line for line in old if head() in line or 'consumer=""' in line]


async def test_last_used_is_written_at_most_once_a_minute(admin, control, tmp_path):
    """A busy key does not keep the database busy."""
    made = await admin.create_key("acme")
    now_s = int(clock.now().timestamp())
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    seen = []
    for number, at_s in enumerate((now_s, now_s + 59, now_s + 60), start=1):
        row = UsageRow(at_s // 3600 * 3600, "acme", made.key.id, "system", "", 1, 0, 0, 0, at_s)
        batch = UsageBatch("worker-1", number, (row,))
        await out.send("POST", "/usage", json=batch, headers=bearer)
        seen.append((await admin.key(made.key.id)).last_used_at.timestamp() - now_s)
    await out.aclose()
    assert seen == [0, 0, 60]


async def test_what_passes_a_data_plane_is_seen_by_the_admin(admin, control, tmp_path, Plane):
    """Requests, refusals and strangers, each on its own account, also those of the last moment."""
    made = await admin.create_key("acme", scopes=("system:read",))
    async with Plane(tmp_path, control) as plane:
        while await plane.status(made.secret) != 200:
            await asyncio.sleep(0.005)
        assert await plane.feed.push()
        before = {use.consumer: use.requests for use in await admin.usage_by_consumer()}
        assert before["acme"] == 1
        assert await plane.status(made.secret) == 200
        assert await plane.status("fw_live_wrong") == 401
    after = {use.consumer: use for use in await admin.usage_by_consumer()}
    assert after["acme"].requests == 2
    assert after[""].requests == after[""].refused > before.get("", 0)
    assert (await admin.key(made.key.id)).last_used_at is not None


async def test_a_span_of_time_is_held_to_reason(admin):
    """Backwards, or years of it, names the field."""
    now = clock.now()
    for asked, pointer in (
        ({"since": now, "until": now - timedelta(hours=1)}, "/until"),
        ({"since": now - timedelta(days=90)}, "/since"),
    ):
        with pytest.raises(Problem) as refused:
            await admin.usage(**asked)
        assert (Fault.INVALID, pointer) == (refused.value.fault, refused.value.errors[0].pointer)
