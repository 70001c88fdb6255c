"""Consumers subscribe to plans; what is for one of them keeps exactly its rights."""

import asyncio

import pytest

from chassis import clock
from chassis.outbound import Outbound
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.control import identity_calls
from gateway.control.explain import Asked
from gateway.control.shapes import ConsumerView, PlanDraft
from gateway.identity.clients import ClientDraft
from gateway.metering.limit import Limit
from gateway.snapshot import decode
from gateway.usage import UsageBatch, UsageRow

DAY = Limit(name="day", kind="quota", amount=100, period="day")


async def refused(work) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


@pytest.fixture
async def ben(admin):
    await admin.set_plan("time", PlanDraft(scopes=("process:time:read",), limits=(DAY,)))
    await admin.set_plan("bills", PlanDraft(scopes=("process:billing:read",), limits=(DAY,)))
    await admin.set_consumer("ben", "time", owner="Ben")
    return "ben"


async def snapshot(control, tmp_path):
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    reply = await out.send("GET", "/snapshot?after=0", headers=bearer)
    await out.aclose()
    return decode(reply.body)


async def test_a_key_is_for_a_plan_its_consumer_subscribes_to(admin, ben, control, tmp_path):
    """Its scopes are of that plan; what names none follows the default, also when that moves."""
    follows = (await admin.create_key(ben)).key
    wrong = await refused(admin.create_key(ben, plan="bills"))
    assert (wrong.fault, wrong.errors[0].pointer) == (Fault.INVALID, "/plan")
    seen = await admin.subscribe(ben, "bills", reason="asked for")
    assert (seen.plans, seen.owner) == (("time", "bills"), "Ben")
    assert seen == await admin.subscribe(ben, "bills")
    wrong = await refused(admin.create_key(ben, plan="bills", scopes=("process:time:read",)))
    assert wrong.errors[0].pointer == "/scopes/0"
    bills = (await admin.create_key(ben, plan="bills")).key
    assert (follows.plan, bills.plan) == ("", "bills")
    made = await admin.rotate_key(bills.id, overlap_s=0)
    assert made.key.plan == "bills"
    now = await snapshot(control, tmp_path)
    assert {("time", "bills")} == {one.plans for one in now.consumers if one.name == ben}
    assert {(follows.id, ""), (made.key.id, "bills")} == {
        (key.id, key.plan) for key in now.keys if key.consumer == ben
    }
    path = {"path": "/process/v1/x", "scope": "process:billing:read"}
    assert not (await admin.why_denied(Asked(key_id=follows.id, **path))).let_in
    assert (await admin.why_denied(Asked(key_id=made.key.id, **path))).let_in
    await admin.set_consumer(ben, "bills", "time")
    assert (await admin.why_denied(Asked(key_id=follows.id, **path))).let_in


async def test_a_plan_in_use_is_not_taken_away(admin, ben):
    """Whoever uses it is named; the default is used by all that name none."""
    await admin.subscribe(ben, "bills")
    key = (await admin.create_key(ben, plan="bills")).key
    client = await identity_calls.create_client(admin, ClientDraft(consumer=ben, plan="bills"))
    for work in (admin.unsubscribe(ben, "bills"), admin.set_consumer(ben, "time")):
        problem = await refused(work)
        assert problem.fault is Fault.CONFLICT
        assert key.id in problem.say
        assert client.client.id in problem.say
    follows = (await admin.create_key(ben)).key
    problem = await refused(admin.unsubscribe(ben, "time"))
    assert (problem.fault, follows.id in problem.say, key.id in problem.say) == (
        Fault.CONFLICT, True, False,
    )  # fmt: skip
    assert Fault.CONFLICT is (await refused(admin.remove_plan("bills"))).fault
    for id in (key.id, follows.id):
        await admin.revoke_key(id)
    await identity_calls.revoke_client(admin, client.client.id)
    assert (await admin.unsubscribe(ben, "time", reason="over")).plans == ("bills",)
    assert Fault.CONFLICT is (await refused(admin.unsubscribe(ben, "bills"))).fault
    assert Fault.NOT_FOUND is (await refused(admin.unsubscribe(ben, "time"))).fault
    await admin.remove_plan("time")
    newest = (await admin.audit(action="consumer", subject=ben)).items[0]
    assert (newest.reason, newest.before["plans"], newest.after["plans"]) == (
        "over", ["time", "bills"], ["bills"],
    )  # fmt: skip


async def test_a_consumer_is_found_by_any_of_its_plans(admin, ben):
    """And goes with its subscriptions."""
    await admin.subscribe(ben, "bills")
    for plan in ("time", "bills"):
        assert [one.name for one in (await admin.consumers(plan=plan)).items] == [ben]
    twice = {"plans": ["time", "time"]}
    problem = await refused(admin.ask("PUT", "/consumers/ben", ConsumerView, twice))
    assert (problem.fault, "plans: one is named twice" in problem.say) == (Fault.INVALID, True)
    assert (await refused(admin.set_consumer(ben, "time", "gone"))).errors[0].pointer == "/plans/1"
    await admin.remove_consumer(ben)
    await admin.remove_plan("bills")


async def test_each_plan_has_its_own_figures(admin, ben, control, tmp_path):
    """What was used, reset and raised of one says nothing of the other."""
    await admin.subscribe(ben, "bills")
    now_s = int(clock.now().timestamp())
    hour_s = now_s // 3600 * 3600
    rows = (
        UsageRow(hour_s, ben, "k", "process", "", 30, 0, 10, 0, now_s, "time"),
        UsageRow(hour_s, ben, "k", "process", "", 5, 0, 0, 0, now_s, "bills"),
    )
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    await out.send("POST", "/usage", json=UsageBatch("w", 1, rows), headers=bearer)

    async def used():
        return [(one.plan, one.limits[0].used) for one in await admin.quotas(ben)]

    assert await used() == [("time", 20), ("bills", 5)]
    await admin.reset_quota(ben, plan="bills")
    assert await used() == [("time", 20), ("bills", 0)]
    await out.send("POST", "/usage", json=UsageBatch("w", 2, rows), headers=bearer)
    await out.aclose()
    assert await used() == [("time", 40), ("bills", 5)]
    (told,) = (await snapshot(control, tmp_path)).adjusted
    assert (told.consumer, told.plan, told.limit, told.generation) == (ben, "bills", "day", 1)
    assert (await refused(admin.reset_quota(ben, plan="gone"))).errors[0].pointer == "/plan"


async def test_a_real_data_plane_counts_by_plan(admin, control, tmp_path, upstream, Plane):
    """From the key to the figure an admin sees; the second plan is not touched by the first."""
    two = Limit(name="day", kind="quota", amount=2, period="day")
    for plan in ("one", "other"):
        await admin.set_plan(plan, PlanDraft(scopes=("system:*",), limits=(two,)))
    await admin.set_consumer("ben", "one", "other")
    first, second = [(await admin.create_key("ben", plan=plan)) for plan in ("one", "other")]
    async with Plane(tmp_path, control) as plane, asyncio.timeout(10):
        while await plane.status(second.secret) != 200:
            await asyncio.sleep(0.005)
        statuses = [await plane.status(first.secret) for _ in range(3)]
        assert (statuses, await plane.status(second.secret)) == ([200, 200, 429], 200)
        await plane.feed.push()
    used = [(one.plan, one.limits[0].used) for one in await admin.quotas("ben")]
    assert used == [("one", 2), ("other", 2)]
    asked = Asked(key_id=first.key.id, path="/system/v1/x")
    assert not (await admin.why_denied(asked)).let_in
