"""Files make it so, whole or not at all, and a second time changes nothing."""

import pytest

from contracts.problem import Fault, Problem
from gateway.control.state import State, Wanted

INVOICES = {
    "prefix": "/process/v1/invoices",
    "upstream": "process",
    "methods": ["GET"],
    "policies": {"authenticate": {}, "authorise": {"scope": "process:billing:read"}},
}
TRIAL = {"scopes": ["process:billing:read"]}


def wanted(*, prune: bool = False, **sections) -> Wanted:
    return Wanted(state=State(**sections), prune=prune, reason="from files")


def told(applied) -> list[tuple[str, str, str]]:
    return [(change.verb, change.kind, change.name) for change in applied.changes]


async def test_a_dry_run_tells_and_changes_nothing(admin):
    """Also no audit entry, and no new snapshot."""
    before, trail = await admin.state(), await admin.audit()
    seen = await admin.plan_state(
        wanted(plans={"trial": TRIAL}, consumers={"ben": {"plan": "trial"}})
    )
    assert told(seen) == [("added", "plan", "trial"), ("added", "consumer", "ben")]
    assert before == await admin.state()
    assert trail == await admin.audit()


async def test_applying_twice_is_applying_once(admin):
    """The second time: nothing to do, no new version, no audit entry."""
    files = wanted(
        plans={"trial": TRIAL},
        consumers={"ben": {"plan": "trial", "owner": "Ben"}},
        upstreams={"reports": {"urls": ["http://127.0.0.1:9"]}},
        routes={"invoices": INVOICES},
        hosts=["api.firm.example"],
    )
    first = await admin.apply_state(files)
    assert {
        ("added", "plan", "trial"), ("added", "consumer", "ben"), ("added", "upstream", "reports"),
        ("added", "route", "invoices"), ("changed", "hosts", "hosts"),
        ("removed", "route", "system"), ("removed", "route", "process"),
        ("removed", "route", "experience"),
    } == set(told(first))  # fmt: skip
    state = await admin.state()
    assert [*state.routes] == ["invoices", "openapi", "portal", "leaked-keys"]
    assert state.hosts == ("api.firm.example",)
    assert {"system", "process", "experience", "reports", "control"} == set(state.upstreams)
    trail = await admin.audit()
    assert {"from files"} == {entry.reason for entry in trail.items[:8]}
    again = await admin.apply_state(files)
    assert ((), first.version) == (again.changes, again.version)
    assert trail == await admin.audit()


async def test_what_is_exported_applies_without_a_change(admin):
    """What is in force, said as files, is what is in force."""
    await admin.apply_state(wanted(plans={"trial": TRIAL}, routes={"invoices": INVOICES}))
    seen = await admin.plan_state(Wanted(state=await admin.state(), prune=True))
    assert told(seen) == []


async def test_only_pruning_removes_plans_and_consumers(admin):
    """A consumer that has had keys is never removed by a file; then all of it stays."""
    await admin.set_consumer("ben", "partner")
    keep = {"acme": {"plan": "internal"}, "operator": {"plan": "internal"}}
    assert told(await admin.plan_state(wanted(consumers=keep))) == []
    pruned = await admin.apply_state(wanted(prune=True, consumers=keep))
    assert told(pruned) == [("removed", "consumer", "ben")]
    await admin.create_key("acme")
    del keep["acme"]
    with pytest.raises(Problem) as refused:
        await admin.apply_state(wanted(prune=True, consumers=keep, plans={}))
    assert Fault.CONFLICT is refused.value.fault
    assert "acme" in (await admin.state()).consumers


@pytest.mark.parametrize(
    ("sections", "pointer"),
    [
        ({"plans": {"trial": {"scopes": []}}}, "/plans/trial/scopes"),
        ({"plans": {"trial": TRIAL | {"brust": 1}}}, "/plans/trial/brust"),
        ({"plans": {"trial": TRIAL | {"reason": "x"}}}, "/plans/trial/reason"),
        ({"consumers": {"ben": {"plan": "gone"}}}, "/consumers/ben/plan"),
        ({"routes": {"a": INVOICES | {"upstream": "b"}}}, "/routes/a/upstream"),
        ({"routes": {"a": INVOICES | {"policies": {}}}}, "/routes/a/policies"),
        (
            {"routes": {"a": INVOICES | {"policies": {"authenticate": {}}}}},
            "/routes/a/policies",
        ),
        ({"routes": {}}, "/routes"),
    ],
)
async def test_a_wrong_thing_is_named_and_nothing_is_done(admin, sections, pointer):
    """Beside something right, which stays undone too."""
    before = await admin.state()
    right = {"consumers": {"zoe": {"plan": "partner"}}}
    with pytest.raises(Problem) as refused:
        await admin.apply_state(wanted(**(right | sections)))
    assert (Fault.INVALID, pointer) == (refused.value.fault, refused.value.errors[0].pointer)
    assert before == await admin.state()


async def test_what_only_the_whole_shows_is_refused_too(admin):
    """Two routes at one address: each is right by itself."""
    before = await admin.state()
    with pytest.raises(Problem) as refused:
        await admin.apply_state(wanted(routes={"a": INVOICES, "b": INVOICES}))
    assert Fault.INVALID is refused.value.fault
    assert "two routes serve GET /process/v1/invoices" in refused.value.say
    assert before == await admin.state()
