"""How a version ends, from the admin's words to the caller's headers; and who still calls it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chassis import clock, versions
from chassis.outbound import Outbound
from contracts.change import FIRST
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.control import audit
from gateway.control.version_shapes import BrownoutSpan
from gateway.settings import ControlSettings
from gateway.usage import UsageBatch, UsageRow

HEAD = versions.head()
LINK = "https://firm.example/moving"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, upstream):
    """The same on both databases."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return ControlSettings(system_url=f"http://127.0.0.1:{upstream.port}", database_url=url)


def soon(days: float) -> datetime:
    return (clock.now() + timedelta(days=days)).replace(microsecond=0)


async def seen_by(plane, key, version=""):
    """Status and headers of one call through a data plane."""
    out = Outbound(f"http://127.0.0.1:{plane.port}", peer="test")
    headers = {"x-api-key": key} | ({"firmwire-version": version} if version else {})
    try:
        return await out.send("GET", "/system/v1/x", headers=headers, safe=False)
    finally:
        await out.aclose()


async def test_versions_are_listed_newest_first(admin):
    """With what broke, and that the newest is head."""
    found = await admin.versions()
    assert tuple(view.version for view in found) == tuple(reversed(versions.versions()))
    assert [view.state for view in found] == ["head", *["current"] * (len(found) - 1)]
    assert (found[-1].tells, bool(found[0].tells)) == ((), True)
    assert await admin.version(FIRST) == found[-1]


async def test_the_life_of_a_version(admin, control, tmp_path, Plane):
    """Announced, given an end, rehearsed, over: each step reaches callers within a second."""
    made = await admin.create_key("acme", version=FIRST)
    async with Plane(tmp_path, control) as plane:
        while await plane.status(made.secret) != 200:
            pass

        async def until(what) -> object:
            begun_s = clock.monotonic()
            while not what(reply := await seen_by(plane, made.secret)):
                assert clock.monotonic() - begun_s < 1.0
            return reply

        reply = await seen_by(plane, made.secret)
        assert reply.headers["firmwire-version"] == FIRST
        assert "deprecation" not in reply.headers
        begins = soon(-1)
        await admin.set_version(FIRST, deprecated_at=begins, link=LINK, reason="grown up")
        reply = await until(lambda r: "deprecation" in r.headers)
        assert reply.headers["deprecation"] == f"@{int(begins.timestamp())}"
        ends = soon(90)
        assert (await admin.set_version(FIRST, sunset_at=ends)).state == "deprecated"
        reply = await until(lambda r: "sunset" in r.headers)
        assert f'<{LINK}>; rel="sunset"' in reply.headers["link"]
        now = clock.now().replace(microsecond=0)
        span = BrownoutSpan(now - timedelta(seconds=5), now + timedelta(minutes=5))
        assert (await admin.set_version(FIRST, brownouts=(span,))).state == "brownout"
        reply = await until(lambda r: r.status == 503)
        assert reply.json(dict)["type"] == "urn:firmwire:problem:version_brownout"
        assert (await seen_by(plane, made.secret, HEAD)).status == 200
        await admin.set_version(FIRST, brownouts=())
        await until(lambda r: r.status == 200)
        await admin.set_version(FIRST, deprecated_at=None, sunset_at=None, link="")
        reply = await until(lambda r: "deprecation" not in r.headers)
        assert (await admin.version(FIRST)).state == "current"


@pytest.mark.parametrize(
    ("told", "pointer"),
    [
        ({"deprecated_at": soon(1)}, "/link"),
        ({"sunset_at": soon(9), "link": LINK}, "/sunset_at"),
        ({"deprecated_at": soon(9), "sunset_at": soon(8), "link": LINK}, "/sunset_at"),
        ({"deprecated_at": soon(-9), "sunset_at": soon(-8), "link": LINK}, "/sunset_at"),
        ({"deprecated_at": datetime(2027, 1, 1), "link": LINK}, "/deprecated_at"),  # noqa: DTZ001
        ({"deprecated_at": soon(1), "link": "javascript:alert(1)"}, "/link"),
        ({"deprecated_at": soon(1), "link": 'https://a/>; rel="x"'}, "/link"),
        ({"deprecated_at": soon(1), "link": "https://a/\r\nx: y"}, "/link"),
        ({"deprecated_at": soon(1), "link": LINK,
          "brownouts": (BrownoutSpan(soon(0.5), soon(0.6)),)}, "/brownouts"),
        ({"deprecated_at": soon(1), "link": LINK,
          "brownouts": (BrownoutSpan(soon(2), soon(4)),)}, "/brownouts/0"),
        ({"deprecated_at": soon(1), "sunset_at": soon(2), "link": LINK,
          "brownouts": (BrownoutSpan(soon(1.9), soon(2.1)),)}, "/brownouts"),
    ],
)  # fmt: skip
async def test_422_dates_that_do_not_fit(admin, told, pointer):
    """Nothing is kept of it."""
    with pytest.raises(Problem) as refused:
        await admin.set_version(FIRST, **told)
    assert (refused.value.fault, refused.value.errors[0].pointer) == (Fault.INVALID, pointer)
    assert (await admin.version(FIRST)).state == "current"


async def test_409_head_has_no_successor_and_404_unknown(admin):
    """There would be nothing to move to."""
    with pytest.raises(Problem) as refused:
        await admin.set_version(HEAD, deprecated_at=soon(1), link=LINK)
    assert refused.value.fault is Fault.CONFLICT
    for work in (admin.version("2020-01-01"), admin.set_version("2020-01-01", link=LINK)):
        with pytest.raises(Problem) as refused:
            await work
        assert refused.value.fault is Fault.NOT_FOUND


async def test_a_key_is_pinned_when_it_is_made(admin):
    """To head, so that no later change surprises its holder; or as told; a rotation keeps it."""
    made = await admin.create_key("acme")
    assert made.key.version == HEAD
    older = await admin.create_key("acme", version=FIRST)
    assert older.key.version == FIRST
    assert (await admin.rotate_key(older.key.id)).key.version == FIRST
    assert (await admin.pin_key(made.key.id, "2026-11-08", reason="asked")).version == "2026-11-08"
    for work in (
        admin.create_key("acme", version="2026-11-02"), admin.pin_key(made.key.id, "latest"),
    ):  # fmt: skip
        with pytest.raises(Problem) as refused:
            await work
        assert (refused.value.fault, refused.value.errors[0].pointer) == (Fault.INVALID, "/version")


async def test_a_plan_says_what_its_keys_speak(admin):
    """Then a new key has no pin of its own, unless told."""
    from gateway.control.shapes import PlanDraft

    draft = PlanDraft(scopes=("system:*",), version_default="2026-11-08", reason="careful")
    assert (await admin.set_plan("careful", draft)).version_default == "2026-11-08"
    await admin.set_consumer("slow", "careful")
    assert (await admin.create_key("slow")).key.version == ""
    assert (await admin.create_key("slow", version=FIRST)).key.version == FIRST
    with pytest.raises(Problem) as refused:
        await admin.set_plan("careful", msgspec.structs.replace(draft, version_default="v1"))
    assert refused.value.errors[0].pointer == "/version_default"


async def test_who_still_calls_what(admin, control, tmp_path):
    """Exactly the consumers that called, or hold a key that would; with whom to ask."""
    await admin.set_consumer("acme", "internal", owner="Partners", contact="ops@acme.example")
    await admin.set_consumer("zeta", "internal", owner="Portals")
    await admin.set_consumer("idle", "internal")
    key = (await admin.create_key("acme", version=FIRST)).key.id
    await admin.create_key("idle", version=FIRST)
    gone = await admin.create_key("zeta", version=FIRST)
    await admin.revoke_key(gone.key.id)
    now_s = int(clock.now().timestamp())
    hour_s = now_s // 3600 * 3600
    old_s = hour_s - 40 * 86_400
    rows = (
        UsageRow(hour_s, "acme", key, "process", FIRST, 5, 1, 0, 0, now_s),
        UsageRow(hour_s - 3600, "acme", key, "system", FIRST, 2, 0, 0, 0, now_s),
        UsageRow(hour_s, "zeta", "", "process", HEAD, 9, 0, 0, 0, now_s),
        UsageRow(old_s, "zeta", "", "process", FIRST, 99, 0, 0, 0, old_s),
        UsageRow(hour_s, "", "", "", "", 7, 7, 0, 0, now_s),
    )
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    await out.send("POST", "/usage", json=UsageBatch("w", 1, rows), headers=bearer)
    await out.aclose()
    found = await admin.version_callers(FIRST)
    assert [(c.consumer, c.requests, c.keys, c.owner, c.contact) for c in found] == [
        ("acme", 7, 1, "Partners", "ops@acme.example"), ("idle", 0, 1, "", ""),
    ]  # fmt: skip
    assert found[0].last_at == datetime.fromtimestamp(hour_s, UTC)
    assert found[1].last_at is None
    everything = await admin.version_callers()
    assert {(c.version, c.consumer) for c in everything} == {
        (FIRST, "acme"), (FIRST, "idle"), (HEAD, "zeta"),
    }  # fmt: skip
    view = await admin.version(FIRST)
    assert (view.consumers, view.requests, view.keys) == (1, 7, 2)


async def test_every_step_is_in_the_trail(admin, settings, tmp_path):
    """What was announced before and after, and why; not the numbers of the day."""
    from chassis.database import Database, url_of

    await admin.set_version(FIRST, deprecated_at=soon(1), link=LINK, reason="grown up")
    await admin.set_version(FIRST, sunset_at=soon(99), reason="and over")
    newest, before = (await admin.audit(action="version.set")).items
    assert (before.reason, newest.reason, newest.subject) == ("grown up", "and over", FIRST)
    assert (newest.before["sunset_at"], newest.before["link"]) == (None, LINK)
    assert newest.after["sunset_at"].startswith(soon(99).date().isoformat())
    assert "requests" not in newest.after
    database = Database(url_of(tmp_path, "gateway", settings.database_url), name="look")
    try:
        with database.reading() as connection:
            assert audit.broken_at(connection) is None
    finally:
        database.close()
