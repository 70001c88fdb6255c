"""The console's manners without a browser: who comes in, forms, headers, roles, hostile text."""

import re
import tempfile
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from chassis import clock
from gateway.console.app import console
from gateway.console.chart import chart
from gateway.console.frame import FILES, _templates, signed_in
from gateway.control.app import control_plane
from gateway.control.client import admin_token
from gateway.control.shapes import UsageHour
from gateway.identity.roles import ROLES, may
from gateway.metering.limit import Limit
from gateway.settings import ControlSettings

OPEN = {"/console/static/{name:str}"}
ADMINS_ALONE = {"admins:write", "issuers:write", "signing:write"}


@pytest.fixture
async def visitor(control):
    """A client that keeps cookies and follows nothing."""
    async with httpx.AsyncClient(base_url=control) as client:
        yield client


async def sign_in(visitor, tmp_path):
    page = await visitor.get("/oauth/login?next=/console/keys")
    token = re.search(r'name="form" value="([^"]+)"', page.text)[1]
    told = {"form": token, "password": admin_token(tmp_path), "next": "/console/keys"}
    return await visitor.post("/oauth/login", data=told)


def csrf_of(page) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


def routes():
    app = control_plane(ControlSettings(), Path(tempfile.mkdtemp())).litestar
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and route.path.startswith("/console"):
                yield route.path, handler


def test_every_page_has_a_guard_and_an_action_some_role_has():
    """A page somebody adds without one fails here."""
    seen = 0
    for path, handler in routes():
        if path in OPEN or handler.http_methods == {"OPTIONS"}:
            continue
        seen += 1
        assert signed_in in handler.resolve_guards(), path
        action = handler.opt["action"]
        others = any(may(role, action) for role in ROLES if role != "admin")
        assert others is not (action in ADMINS_ALONE), (path, action)
        if "POST" in handler.http_methods:
            assert action.endswith(":write"), path
    assert seen >= 20
    assert console.exception_handlers


async def test_nobody_sees_a_page_without_signing_in(visitor):
    """They are sent to sign in, and brought back afterwards."""
    for path, handler in routes():
        if path in OPEN or "GET" not in handler.http_methods:
            continue
        where = re.sub(r"\{[^}]+\}", "x", path)
        answer = await visitor.get(where)
        assert (303, f"/oauth/login?next={where}") == (
            answer.status_code, answer.headers["location"],
        )  # fmt: skip


async def test_signing_in_and_out(visitor, tmp_path):
    """The cookie is the browser's alone, and dead after signing out."""
    answer = await sign_in(visitor, tmp_path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/keys")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie.lower() for word in ("httponly", "samesite=lax", "path=/"))
    page = await visitor.get("/console")
    assert page.status_code == 200
    kept = dict(visitor.cookies)
    out = await visitor.post("/console/sign-out", data={"csrf": csrf_of(page)})
    assert (out.status_code, out.headers["location"]) == (303, "/oauth/login")
    visitor.cookies.update(kept)
    assert (await visitor.get("/console")).status_code == 303


async def test_no_form_works_without_its_token(visitor, tmp_path, admin):
    """Every POST there is; and none that another site sends."""
    await sign_in(visitor, tmp_path)
    before = (await admin.audit()).items[0].seq
    posts = 0
    for path, handler in routes():
        if path in OPEN or "POST" not in handler.http_methods:
            continue
        posts += 1
        where = re.sub(r"\{[^}]+\}", "x", path)
        for told in ({}, {"csrf": "wrong"}):
            answer = await visitor.post(where, data={**told, "reason": "x", "overlap_hours": "1"})
            assert answer.status_code == 403, where
        token = csrf_of(await visitor.get("/console"))
        headers = {"sec-fetch-site": "cross-site"}
        answer = await visitor.post(where, data={"csrf": token}, headers=headers)
        assert answer.status_code == 403, where
        answer = await visitor.post(where, json={"csrf": token})
        assert answer.status_code == 415, where
    assert posts >= 7
    assert before == (await admin.audit()).items[0].seq
    assert (await visitor.get("/console")).status_code == 200


async def test_pages_carry_strict_headers(visitor, tmp_path):
    """No script at all, no frame, nothing kept; the style sheet is kept for good by its name."""
    await sign_in(visitor, tmp_path)
    page = await visitor.get("/console")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert (
        page.headers["cache-control"], page.headers["x-content-type-options"],
        page.headers["x-frame-options"],
    ) == ("no-store", "nosniff", "DENY")  # fmt: skip
    for name in FILES:
        file = await visitor.get(f"/console/static/{name}")
        assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True)
    assert (await visitor.get("/console/static/console.css")).status_code == 404


def test_no_template_holds_script_or_style():
    """The policy would refuse them; a page that needs them is a mistake."""
    names = _templates.list_templates()
    assert len(names) > 15
    for name in names:
        source = _templates.loader.get_source(_templates, name)[0]
        assert not re.search(r"<script|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe\b", source), name
        _templates.get_template(name)


async def test_hostile_text_is_text(visitor, tmp_path, admin):
    """What a consumer is called by, a label, a reason, a search."""
    nasty = "<img src=x onerror=alert(1)>\"'{{ 7*7 }}"
    await admin.set_consumer("acme", "internal", owner=nasty, reason=nasty)
    made = await admin.create_key("acme", label=nasty, reason=nasty)
    await sign_in(visitor, tmp_path)
    for where in (
        "/console", "/console/keys", f"/console/keys/{made.key.id}", "/console/consumers/acme",
        "/console/consumers", "/console/audit",
    ):  # fmt: skip
        page = await visitor.get(where, params={"search": nasty})
        assert page.status_code == 200, where
        assert "<img" not in page.text
        assert "49" not in re.findall(r"alert\(1\)[^<]{0,40}", page.text)
    assert made.secret not in (await visitor.get(f"/console/keys/{made.key.id}")).text


async def test_an_error_is_a_page(visitor, tmp_path):
    """With its status, and nothing of the inside."""
    await sign_in(visitor, tmp_path)
    for where, status in (
        ("/console/keys/key_no", 404),
        ("/console/consumers/nobody", 404),
        ("/console/usage?days=5000", 422),
        ("/console/keys?state=odd", 422),
        ("/console/audit?since=yesterday", 422),
    ):
        page = await visitor.get(where)
        assert (status, True) == (page.status_code, "<h1>That did not work</h1>" in page.text)
        assert "Traceback" not in page.text


def test_a_chart_holds_every_request_once():
    """Few hours or two months: bars are joined, sums stay; the axis is above the highest."""
    until = clock.now()
    for days in (1, 7, 30, 60):
        since = until - timedelta(days=days) + timedelta(hours=1)
        begin = since.replace(minute=0, second=0, microsecond=0)
        used = [UsageHour(begin + timedelta(hours=hour), 10, 1, 2, 3) for hour in range(24 * days)]
        drawn = chart(used, since, until)
        assert 240 * days == drawn.total
        assert len(drawn.bars) <= 96
        assert all(part.y >= 10 for bar in drawn.bars for part in bar.parts)
        assert {"passed", "refused", "throttled", "failed"} == {
            part.kind for bar in drawn.bars for part in bar.parts
        }
    assert chart([], until - timedelta(hours=3), until).total == 0


async def test_a_role_sees_only_what_it_may(visitor, tmp_path, admin, control):
    """An auditor reads; a form of hers is refused, and no button offers it."""
    from sqlalchemy import update

    from chassis.database import Database, url_of
    from gateway.control.tables import admin_token as tokens

    await admin.set_consumer("acme", "internal")
    made = await admin.create_key("acme")
    await sign_in(visitor, tmp_path)
    database = Database(url_of(tmp_path, "gateway"), name="look")
    try:
        with database.transaction() as connection:
            connection.execute(update(tokens).values(role="auditor"))
    finally:
        database.close()
    page = await visitor.get(f"/console/keys/{made.key.id}")
    assert page.status_code == 200
    assert "Rotate" not in page.text
    assert "Audit trail" in page.text
    answer = await visitor.post(
        f"/console/keys/{made.key.id}/revoke", data={"csrf": csrf_of(page), "reason": "x"}
    )
    assert answer.status_code == 403
    assert (await visitor.get("/console/keys/new")).status_code == 403


async def test_every_form_does_what_it_says(visitor, tmp_path, admin):
    """Consumers, plans, limits and a key's end, each with its reason in the record."""
    await sign_in(visitor, tmp_path)
    csrf = csrf_of(await visitor.get("/console"))

    async def sent(where: str, **told: str) -> httpx.Response:
        return await visitor.post(f"/console{where}", data={"csrf": csrf, "reason": "why", **told})

    made = await sent("/consumers", name="ned", plan="partner", owner="Ned")
    assert (
        made.status_code, made.headers["location"],
    ) == (303, "/console/consumers/ned?done=saved")  # fmt: skip
    assert (await sent("/consumers", name="N!", plan="partner")).status_code == 422
    assert (await sent("/consumers/ned", plan="gone")).status_code == 422
    await sent("/consumers/ned", plan="partner", owner="Ned", tenant="lisbon")
    assert (await admin.consumer("ned")).tenant == "lisbon"
    assert (await sent("/consumers/ned/raise", limit="month", amount="x")).status_code == 422
    await sent("/consumers/ned/raise", limit="month", amount="2000000", days="7")
    await sent("/consumers/ned/reset", limit="month")
    month = {one.name: one for one in (await admin.quotas("ned"))[0].limits}["month"]
    assert (month.raised_to, month.resets) == (2_000_000, 1)
    await sent("/plans/partner", scopes="process:time:read")
    assert (await admin.plan("partner")).scopes == ("process:time:read",)
    key = (await admin.create_key("ned")).key
    assert (await sent(f"/keys/{key.id}/expire", ends="2000-01-01")).status_code == 422
    day = (clock.now() + timedelta(days=3)).date().isoformat()
    await sent(f"/keys/{key.id}/expire", ends=day)
    assert day < (await admin.key(key.id)).expires_at.isoformat()
    assert (await sent(f"/keys/{key.id}/revoke", reason="")).status_code == 422
    await sent(f"/keys/{key.id}/revoke")
    assert (await admin.key(key.id)).state == "revoked"
    assert (await sent(f"/keys/{key.id}/rotate", overlap_hours="24")).status_code == 409
    trail = (await admin.audit(search="why")).items
    assert [entry.action for entry in trail[:5]] == [
        "key.revoked",
        "key.shortened",
        "plan.set",
        "quota.reset",
        "quota.raised",
    ]


async def test_a_plan_is_edited_whole(visitor, tmp_path, admin):
    """What its form says is the plan; what is wrong stands beside its field, nothing changes."""
    await sign_in(visitor, tmp_path)
    csrf = csrf_of(await visitor.get("/console"))

    async def sent(where: str, **told: str) -> httpx.Response:
        told = {name.replace("__", "."): value for name, value in told.items()}
        return await visitor.post(f"/console/plans{where}", data={"csrf": csrf, **told})

    made = await sent(
        "", name="narrow", scopes="process:time:read", routes="process",
        origins="https://portal.example", version_default="2026-11-01",
        limit__0__name="rate", limit__0__kind="rate", limit__0__amount="50", limit__0__burst="100",
        limit__3__name="month", limit__3__kind="quota", limit__3__amount="1000",
        limit__3__period="month", limit__3__per="key, route", limit__3__shadow="on",
    )  # fmt: skip
    assert made.headers["location"] == "/console/plans/narrow?done=saved"
    seen = await admin.plan("narrow")
    month = Limit(name="month", kind="quota", amount=1000, period="month", per=("key", "route"),
                  shadow=True)  # fmt: skip
    assert seen.limits == (Limit(name="rate", kind="rate", amount=50, burst=100), month)
    assert (seen.routes, seen.origins, seen.version_default) == (
        ("process",), ("https://portal.example",), "2026-11-01",
    )  # fmt: skip
    wrong = await sent(
        "/narrow", scopes="nonsense", routes="gone", origins="nowhere",
        limit__1__name="Big", limit__1__kind="quota", limit__1__amount="lots",
        limit__2__name="m", limit__2__kind="quota", limit__2__amount="5",
    )  # fmt: skip
    assert wrong.status_code == 422
    beside = re.findall(r'<p class="wrong">([^<]*)</p>', wrong.text)
    for said in ("there is no route gone", "amount is not a whole number", "period: a quota has"):
        assert any(said in one for one in beside), said
    assert len(beside) >= 6
    assert 'value="lots"' in wrong.text
    assert (await sent("/narrow", scopes="process:*", version_default="2020-01-01")).text.count(
        'class="wrong">is no version one may speak'
    ) == 1
    assert seen == await admin.plan("narrow")
    assert (await sent("", name="narrow", scopes="process:*")).status_code == 422
    many = {f"limit__{n}__name": f"l{n}" for n in range(30)}
    many |= {f"limit__{n}__{name}": value for n in range(30) for name, value in (
        ("kind", "rate"), ("amount", str(n + 1)), ("window_s", "60"), ("burst", ""),
        ("period", ""), ("per", "consumer"), ("when_store_down", "open"))}  # fmt: skip
    await sent("/internal", scopes="system:*", **many)
    assert [limit.amount for limit in (await admin.plan("internal")).limits] == [*range(1, 31)]
    page = (await visitor.get("/console/plans/narrow")).text
    assert 'name="limit.1.per" aria-label="Counted for each, limit 2" value="key route"' in page
    found = (await visitor.get("/console/plans?search=arro")).text
    assert ("/console/plans/narrow" in found, "/console/plans/internal" in found) == (True, False)
    assert (await sent("/partner/remove")).status_code in (303, 409)
    await sent("/narrow/remove", reason="over")
    assert "narrow" not in [plan.name for plan in (await admin.plans()).items]


async def test_subscriptions_on_pages(visitor, tmp_path, admin):
    """Subscribe, make a key for the plan, and be told why it cannot be taken away."""
    await sign_in(visitor, tmp_path)
    csrf = csrf_of(await visitor.get("/console"))

    async def sent(where: str, **told: str) -> httpx.Response:
        return await visitor.post(f"/console{where}", data={"csrf": csrf, "reason": "x", **told})

    await admin.set_consumer("ned", "partner", owner="Ned")
    await sent("/consumers/ned/subscribe", plan="internal")
    made = await sent("/keys", consumer="ned", plan="internal", scopes="system:read", days="7")
    assert made.status_code == 201
    refused = await sent("/consumers/ned/unsubscribe", plan="internal")
    key = (await admin.keys(consumer="ned")).items[0]
    assert (refused.status_code, key.id in refused.text, key.plan) == (409, True, "internal")
    page = (await visitor.get("/console/consumers/ned")).text
    assert "Limits on partner" in page
    assert "Limits on internal" in page
    await sent("/consumers/ned", plan="internal", owner="Ned")
    assert (await admin.consumer("ned")).plans == ("internal", "partner")
    await sent("/consumers/ned/unsubscribe", plan="partner")
    assert (await admin.consumer("ned")).plans == ("internal",)
