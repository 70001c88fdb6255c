"""Why-denied: the same answers as the data plane would give, question by question."""

import re
from datetime import timedelta

import pytest

from chassis import clock
from chassis.outbound import Outbound
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.control.explain import Asked
from gateway.control.shapes import PlanDraft, QuotaRaise
from gateway.control.state import State, Wanted
from gateway.control.version_shapes import BrownoutSpan
from gateway.metering.limit import Limit
from gateway.usage import UsageBatch, UsageRow


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


async def test_what_is_left_of_each_limit_is_told(admin, control, tmp_path):
    """Of quotas as data planes pushed it, with its age; of rates only they know; used up is no."""
    day = Limit(name="day", kind="quota", amount=100, period="day")
    each = Limit(name="each", kind="quota", amount=30, period="month", per=("key", "route"))
    where = Limit(name="where", kind="quota", amount=30, period="month", per=("address",))
    limits = (Limit(name="rate", kind="rate", amount=5), day, each, where)
    await admin.set_plan("metered", PlanDraft(scopes=("process:*",), limits=limits))
    await admin.set_consumer("ben", "internal", "metered")
    made = (await admin.create_key("ben", plan="metered")).key
    asked = Asked(key_id=made.id, path="/process/v1/x")

    async def seen():
        told = await admin.why_denied(asked)
        branch = next(one for one in told.verdicts if one.name == "limits")
        return branch, {one.name: (one.answer, one.left) for one in branch.below}, told.let_in

    branch, left, _ = await seen()
    assert (branch.answer, branch.say) == ("unknown", "no data plane has told anything yet")
    assert set(left.values()) == {("unknown", None)}

    async def pushed(sequence, requests):
        now_s = int(clock.now().timestamp())
        row = UsageRow(now_s // 3600 * 3600, "ben", made.id, "process", "", requests, 0, 0, 0,
                       now_s, "metered")  # fmt: skip
        out = Outbound(control, peer="test")
        bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
        batch = UsageBatch("w", sequence, (row,))
        await out.send("POST", "/usage", json=batch, headers=bearer)
        await out.aclose()

    await pushed(1, 20)
    branch, left, let_in = await seen()
    assert re.fullmatch(r"data planes last told \d+ s ago what was used", branch.say)
    assert left == {
        "plan: rate": ("unknown", None), "plan: day": ("yes", 80), "plan: each": ("yes", 10),
        "plan: where": ("unknown", None),
    }  # fmt: skip
    await pushed(2, 80)
    branch, left, let_in = await seen()
    assert (left["plan: day"], left["plan: each"], let_in) == (("no", 0), ("no", 0), False)
    until = clock.now() + timedelta(hours=1)
    told = QuotaRaise(plan="metered", limit="day", amount=150, until=until)
    await admin.raise_limit("ben", told)
    assert (await seen())[1]["plan: day"] == ("yes", 50)
    await admin.reset_quota("ben", plan="metered")
    left = (await seen())[1]
    assert (left["plan: day"], left["plan: each"]) == (("yes", 150), ("unknown", None))
