"""Why-denied: the same answers as the data plane would give, question by question."""

from datetime import timedelta

import pytest

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.control.explain import Asked
from gateway.control.shapes import PlanDraft
from gateway.control.state import State, Wanted
from gateway.control.version_shapes import BrownoutSpan


def answers(seen) -> dict[str, str]:
    """Every question of the tree with its answer."""

    def walk(verdicts):
        for verdict in verdicts:
            yield verdict.name, verdict.answer
            yield from walk(verdict.below)

    return dict(walk(seen.verdicts))


@pytest.fixture
async def key(admin):
    plan = PlanDraft(scopes=("process:billing:read", "process:time:read"))
    await admin.set_plan("small", plan)
    await admin.set_consumer("ben", "small")
    made = await admin.create_key(
        "ben", scopes=("process:billing:read",), networks=("203.0.113.0/24",)
    )
    return made.key


@pytest.mark.parametrize(
    ("told", "refusing"),
    [
        ({"path": "/process/v1/invoices?x=1"}, set()),
        ({"path": "/process/v1/invoices", "client": "203.0.113.9"}, set()),
        ({"path": "/process/v1/invoices", "client": "198.51.100.1"}, {"key", "network"}),
        ({"path": "/process/v12"}, {"route"}),
        ({"path": "/process/v1/x", "method": "TRACE"}, {"route"}),
        ({"path": "/system/v1/x"}, {"rights", "gateway scope"}),
        ({"path": "/process/v1/x", "scope": "process:billing:read"}, set()),
        ({"path": "/process/v1/x", "scope": "process:time:read"}, {"rights", "tier scope"}),
    ],
)
async def test_it_names_what_would_refuse(admin, key, told, refusing):
    """And nothing else; what only the request can tell is said to be unknown."""
    seen = await admin.why_denied(Asked(key_id=key.id, **told))
    given = answers(seen)
    assert refusing == {name for name, answer in given.items() if answer == "no"}
    assert seen.let_in is not bool(refusing)


async def test_a_test_key_is_told_where_it_would_go(admin, key):
    """The same as the data plane does: to the sandbox, or nowhere; the gateway's own answers."""
    test = (await admin.create_key("ben", environment="test")).key
    for path, answer in (("/process/v1/invoices", "no"), ("/portal", "yes")):
        seen = await admin.why_denied(Asked(key_id=test.id, path=path))
        assert (answers(seen)["sandbox"], seen.let_in) == (answer, answer == "yes")
        assert "sandbox" not in answers(await admin.why_denied(Asked(key_id=key.id, path=path)))
    state = State(
        upstreams={
            "process": {"urls": ["http://127.0.0.1:1"], "sandbox_origins": ["http://127.0.0.1:2"]}
        }
    )
    await admin.apply_state(Wanted(state=state, reason="a sandbox"))
    seen = await admin.why_denied(Asked(key_id=test.id, path="/process/v1/invoices"))
    assert "http://127.0.0.1:2" in next(v for v in seen.verdicts if v.name == "sandbox").say
    assert seen.let_in


async def test_a_version_that_has_ended_is_named(admin, key):
    """Told, pinned or of the plan: whose it is, and what it answers."""
    path = "/process/v1/invoices"

    async def asked(version=""):
        seen = await admin.why_denied(Asked(key_id=key.id, path=path, version=version))
        return next(v for v in seen.verdicts if v.name == "version")

    assert (await asked()).answer == "yes"
    assert (await asked()).say == f"{key.version} (the key's pin)"
    assert (await asked("2020-01-01")).say.endswith("400")
    now = clock.now()
    span = BrownoutSpan(now - timedelta(minutes=1), now + timedelta(minutes=1))
    told = {"deprecated_at": now - timedelta(days=1), "link": "/moving", "brownouts": (span,)}
    await admin.set_version("2026-11-01", **told)
    assert ((await asked("2026-11-01")).answer, (await asked()).answer) == ("no", "yes")
    assert (await asked("2026-11-01")).say.endswith("503")


async def test_a_dead_and_an_unknown_key_are_told_apart_to_an_admin(admin, key):
    """To a caller they look the same; whoever helps the caller must know."""
    await admin.revoke_key(key.id)
    path = "/process/v1/x"
    assert answers(await admin.why_denied(Asked(key_id=key.id, path=path)))["state"] == "no"
    unknown = await admin.why_denied(Asked(key_id="key_nobody", path=path))
    assert (answers(unknown)["key"], unknown.let_in) == ("no", False)
    by_letters = await admin.why_denied(Asked(key_id=key.display, path=path))
    assert answers(by_letters)["state"] == "no"


async def test_a_request_that_is_none_is_refused(admin):
    """Our own input: a misspelt field is named."""
    with pytest.raises(Problem) as refused:
        await admin._send("POST", "/why-denied", dict, {"key_id": "key_1", "pth": "/"})
    assert Fault.INVALID is refused.value.fault
