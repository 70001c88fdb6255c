"""Files make it so, whole or not at all, and a second time changes nothing."""

import asyncio
import json

import pytest
from joserfc.jwk import ECKey

from chassis.server import serving
from contracts.problem import Fault, Problem
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.state import State, Wanted
from gateway.settings import ControlSettings, IdentitySettings

INVOICES = {
    "prefix": "/process/v1/invoices",
    "upstream": "process",
    "methods": ["GET"],
    "policies": {"authenticate": {}, "authorise": {"scope": "process:billing:read"}},
}
TRIAL = {"scopes": ["process:billing:read"]}


def wanted(*, prune: bool = False, **sections) -> Wanted:
    return Wanted(state=State(**sections), prune=prune, reason="from files")


def told_of(applied) -> list[tuple[str, str, str]]:
    return [(change.verb, change.kind, change.name) for change in applied.changes]


async def test_a_dry_run_tells_and_changes_nothing(admin):
    """Also no audit entry, and no new snapshot."""
    before, trail = await admin.state(), await admin.audit()
    seen = await admin.plan_state(
        wanted(plans={"trial": TRIAL}, consumers={"ben": {"plans": ["trial"]}})
    )
    assert told_of(seen) == [("added", "plan", "trial"), ("added", "consumer", "ben")]
    assert before == await admin.state()
    assert trail == await admin.audit()


async def test_applying_twice_is_applying_once(admin):
    """The second time: nothing to do, no new version, no audit entry."""
    files = wanted(
        plans={"trial": TRIAL},
        consumers={"ben": {"plans": ["trial"], "owner": "Ben"}},
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
    } == set(told_of(first))  # fmt: skip
    state = await admin.state()
    assert [*state.routes] == [
        "invoices", "openapi", "portal", "portal-keys", "portal-keys-made", "portal-form",
        "leaked-keys",
    ]  # fmt: skip
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
    assert told_of(seen) == []


async def test_only_pruning_removes_plans_and_consumers(admin):
    """A consumer that has had keys is never removed by a file; then all of it stays."""
    await admin.set_consumer("ben", "partner")
    keep = {"acme": {"plans": ["internal"]}, "operator": {"plans": ["internal"]}}
    assert told_of(await admin.plan_state(wanted(consumers=keep))) == []
    pruned = await admin.apply_state(wanted(prune=True, consumers=keep))
    assert told_of(pruned) == [("removed", "consumer", "ben")]
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
        ({"consumers": {"ben": {"plans": ["gone"]}}}, "/consumers/ben/plans"),
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
    right = {"consumers": {"zoe": {"plans": ["partner"]}}}
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


@pytest.fixture
async def issuer():
    """URL of somebody who signs tokens."""
    key = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})

    async def answer(reader, writer) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        found = {"issuer": url, "jwks_uri": f"{url}/keys"}
        body = found if path.endswith("openid-configuration") else {
            "keys": [key.as_dict(private=False)]
        }  # fmt: skip
        raw = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                     % (len(raw), raw))  # fmt: skip
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield url
    server.close()


async def test_issuers_are_in_files_too(tmp_path, issuer):
    """Their keys are fetched before anything is done; one that cannot be asked refuses it all."""
    own = ControlSettings(identity=IdentitySettings(loopback_issuers=True))
    async with (
        serving(control_plane(own, tmp_path)) as url,
        ControlClient(url, admin_token(tmp_path)) as admin,
    ):
        told = {"audience": "https://api.firm.example", "consumer": "ben"}
        files = wanted(consumers={"ben": {"plans": ["partner"]}}, issuers={issuer: told})
        assert [("added", "consumer", "ben"), ("added", "issuer", issuer)] == told_of(
            await admin.plan_state(files)
        )
        await admin.apply_state(files)
        kept = (await admin.state()).issuers
        assert (f"{issuer}/keys", "ben") == (kept[issuer]["jwks_uri"], kept[issuer]["consumer"])
        assert told_of(await admin.apply_state(files)) == []
        assert told_of(await admin.plan_state(Wanted(state=await admin.state(), prune=True))) == []
        for wrong, pointer in (
            ({issuer: told | {"consumer": "nobody"}}, "/consumer"),
            ({issuer: told | {"audiense": "x"}}, "/audiense"),
            ({"http://127.0.0.1:9": told}, None),  # nobody answers there
        ):
            with pytest.raises(Problem) as refused:
                await admin.apply_state(wanted(issuers=wrong, plans={"trial": TRIAL}))
            assert pointer is None or refused.value.errors[0].pointer.endswith(pointer)
        assert "trial" not in (await admin.state()).plans
        gone = await admin.apply_state(wanted(issuers={}, prune=True))
        assert [("removed", "issuer", issuer)] == told_of(gone)


async def test_a_sandbox_is_part_of_the_files(admin):
    """Given, kept and shown; one that is live as well is refused, with the upstream named."""
    one = {"urls": ["http://127.0.0.1:9"], "sandbox_origins": ["http://127.0.0.1:10"]}
    await admin.apply_state(wanted(upstreams={"process": one}))
    kept = (await admin.state()).upstreams["process"]
    assert kept["sandbox_origins"] == ["http://127.0.0.1:10"]
    one["urls"] = ["http://127.0.0.1:9", "http://127.0.0.1:10/"]
    with pytest.raises(Problem) as refused:
        await admin.apply_state(wanted(upstreams={"process": one}))
    assert refused.value.errors[0].pointer == "/upstreams/process"
    assert "serves live keys as well" in refused.value.say
