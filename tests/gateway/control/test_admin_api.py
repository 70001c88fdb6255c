"""The admin API: find, shorten and report keys, keep plans and consumers, read the trail."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from chassis import clock
from chassis.outbound import Outbound
from chassis.server import serving
from contracts.problem import Fault, Problem
from gateway import keys
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.shapes import PlanDraft
from gateway.settings import ControlSettings


async def refused(work) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


async def test_keys_are_found_by_what_one_knows_of_them(admin):
    """By consumer, label, id, the letters shown, a whole pasted key; by state."""
    await admin.set_consumer("zeta", "internal")
    night = await admin.create_key("acme", label="nightly 100%")
    day = await admin.create_key("zeta", label="portal")
    await admin.revoke_key(day.key.id)

    async def found(**asked):
        return [key.id for key in (await admin.keys(**asked)).items]

    assert [night.key.id] == await found(search="NIGHTLY")
    assert [night.key.id] == await found(search="100%")
    assert await found(search="100_") == []
    assert [day.key.id] == await found(search=day.key.id[-9:])
    assert day.key.id in await found(search=day.secret)
    assert [day.key.id] == await found(state="revoked")
    assert [night.key.id] == await found(state="active", search="acme")
    assert await found(state="expired") == []
    assert day.key.id == (await admin.key(day.key.id)).id
    assert Fault.NOT_FOUND is (await refused(admin.key("key_no"))).fault


async def test_the_end_of_a_key_only_comes_closer(admin):
    """Whoever may shorten a key cannot give it a longer life by the same door."""
    made = await admin.create_key("acme")
    now = clock.now()
    shorter = await admin.expire_key(made.key.id, at=now + timedelta(days=9), reason="audit")
    assert shorter.state == "active"
    longer = admin.expire_key(made.key.id, at=now + timedelta(days=10))
    assert Fault.CONFLICT is (await refused(longer)).fault
    assert (await admin.expire_key(made.key.id)).state == "expired"
    assert Fault.CONFLICT is (await refused(admin.rotate_key(made.key.id))).fault


async def test_an_overlap_is_at_most_ninety_days(admin):
    """And names the field that asks for more."""
    made = await admin.create_key("acme")
    problem = await refused(admin.rotate_key(made.key.id, overlap_s=91 * 86_400))
    assert problem.errors[0].pointer == "/overlap_s"


async def test_a_key_found_in_public_dies_and_a_stranger_learns_nothing(admin, control):
    """Known, unknown and garbage get the same answer; the known one is dead and audited."""
    made = await admin.create_key("acme")
    out = Outbound(control, peer="test")
    answers = []
    for key in (made.secret, keys.mint("live"), "fw_live_nonsense", made.secret):
        body = {"key": key, "found_at": "https://forge.example/commit/1"}
        reply = await out.send("POST", "/leaked-keys", json=body)
        answers.append((reply.status, reply.body))
    await out.aclose()
    assert {(202, b'{"taken":true}')} == set(answers)
    assert (await admin.key(made.key.id)).state == "revoked"
    (entry,) = (await admin.audit(action="key.revoked")).items
    assert ("leak-report", made.key.id) == (entry.actor, entry.subject)
    assert "https://forge.example/commit/1" in entry.reason
    assert made.secret not in str(entry)


async def test_plans_and_consumers_go_only_when_nothing_hangs_on_them(admin):
    """What is removed is audited with what it was."""
    await admin.set_plan("trial", PlanDraft(scopes=("process:time:read",), reason="a try"))
    await admin.set_consumer("ben", "trial", owner="Ben", contact="ben@firm.example", tenant="f1")
    assert Fault.CONFLICT is (await refused(admin.remove_plan("trial"))).fault
    seen = await admin.set_consumer("ben", "partner")
    assert (seen.owner, seen.contact, seen.tenant) == ("Ben", "ben@firm.example", "f1")
    assert [c.name for c in (await admin.consumers(search="firm.example")).items] == ["ben"]
    await admin.remove_plan("trial", reason="over")
    await admin.remove_consumer("ben", reason="over")
    assert Fault.NOT_FOUND is (await refused(admin.plan("trial"))).fault
    assert Fault.NOT_FOUND is (await refused(admin.consumer("ben"))).fault
    await admin.create_key("acme")
    assert Fault.CONFLICT is (await refused(admin.remove_consumer("acme"))).fault
    gone = (await admin.audit(search="over")).items
    assert [entry.action for entry in gone] == ["consumer.removed", "plan.removed"]
    assert gone[0].before["contact"] == "ben@firm.example"


async def test_a_plan_is_for_routes_and_pages_that_there_are(admin):
    """Kept, shown and explained; a route nobody has is refused and nothing changed."""
    draft = PlanDraft(
        scopes=("system:*",), routes=("system",), origins=("https://portal.example",), reason="x"
    )
    made = await admin.set_plan("narrow", draft)
    assert (made.routes, made.origins) == (("system",), ("https://portal.example",))
    assert await admin.plan("narrow") == made
    wrong = await refused(admin.set_plan("narrow", replace(draft, routes=("gone",))))
    assert (wrong.fault, "no route gone" in wrong.say) == (Fault.INVALID, True)
    assert await admin.plan("narrow") == made


async def test_the_trail_is_found_by_who_what_and_when(admin):
    """Newest first, in pages, and the chain holds."""
    made = [await admin.create_key("acme", reason=f"number {n}") for n in range(3)]
    await admin.revoke_key(made[0].key.id, reason="leaked")
    newest, *_ = (await admin.audit(limit=1)).items
    assert ("key.revoked", made[0].key.id) == (newest.action, newest.subject)
    subject = (await admin.audit(subject=made[0].key.id)).items
    assert [entry.action for entry in subject] == ["key.revoked", "key.created"]
    assert len((await admin.audit(action="key")).items) == 4
    assert len((await admin.audit(action="key", actor=newest.actor)).items) == 4
    assert (await admin.audit(action="key", actor="nobody")).items == ()
    assert (await admin.audit(since=clock.now() + timedelta(seconds=1))).items == ()
    assert [e.reason for e in (await admin.audit(search="number 1")).items] == ["number 1"]
    assert await admin.audit_broken_at() is None


async def test_a_grace_shortens_a_leaked_key_instead(tmp_path):
    """For firms that would rather warn first; a key that ends sooner keeps its day."""
    settings = ControlSettings(leak_grace_s=3600)
    async with (
        serving(control_plane(settings, tmp_path)) as url,
        ControlClient(url, admin_token(tmp_path)) as admin,
    ):
        made = await admin.create_key("operator")
        out = Outbound(url, peer="test")
        for _ in range(2):
            assert (await out.send("POST", "/leaked-keys", json={"key": made.secret})).status == 202
        await out.aclose()
        seen = await admin.key(made.key.id)
        assert seen.state == "active"
        assert 3500 < (seen.expires_at - clock.now()).total_seconds() <= 3600
        assert len((await admin.audit(action="key.shortened")).items) == 1
