"""Sandbox keys a partner makes by itself: as JSON and on its page, through a real gateway."""

import asyncio
import base64
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from chassis import clock
from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.identity_calls import create_client
from gateway.identity.clients import ClientDraft
from gateway.routes import Upstream
from gateway.settings import ControlSettings

CHROMIUM = os.environ.get("FIRMWIRE_CHROMIUM") or shutil.which("chromium") or ""
API = "/portal/v1/test-keys"


@pytest.fixture
async def control(upstream, second_upstream, tmp_path: Path) -> AsyncIterator[str]:
    """Its process tier has a sandbox, the others have none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    live, sandbox = (f"http://127.0.0.1:{one.port}" for one in (upstream, second_upstream))
    settings = ControlSettings(
        port=port,
        upstreams=(Upstream("process", (live,), sandbox_origins=(sandbox,)),),
        system_url=live,
        experience_url=live,
    )
    async with serving(control_plane(settings, tmp_path), port=port) as url:
        yield url


@pytest.fixture
async def partner(gate, used) -> AsyncIterator[httpx.AsyncClient]:
    """A program of alder-gmbh, with its live key."""
    bearer = {"authorization": f"Bearer {used.secret}"}
    async with httpx.AsyncClient(base_url=gate, headers=bearer) as client:
        yield client


@pytest.fixture
async def browser(gate, used) -> AsyncIterator[httpx.AsyncClient]:
    """What a browser sends: the key as Basic password, and where a form is from."""
    async with httpx.AsyncClient(base_url=gate, auth=("any", used.secret)) as client:
        yield client


async def alive(gate: str, secret: str, path: str = "/process/v1/billing-runs") -> httpx.Response:
    """The answer to a key as soon as the data plane knows it."""
    async with httpx.AsyncClient(base_url=gate, headers={"x-api-key": secret}) as client:
        async with asyncio.timeout(5):
            while (answer := await client.get(path)).status_code == 401:
                await asyncio.sleep(0.005)
        return answer


async def made(partner: httpx.AsyncClient, **told: str) -> dict:
    answer = await partner.post(API, json=told)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def mark_of(browser: httpx.AsyncClient) -> str:
    page = await browser.get("/portal")
    return re.search(r'name="mark" value="([0-9a-f]{64})"', page.text)[1]


async def test_made_used_listed_and_ended(partner, gate, used, admin, upstream, second_upstream):
    """Shown once, good for the sandbox alone, dead when its owner says so; all in the record."""
    answer = await partner.post(API, json={"label": "trying"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    secret, key = answer.json()["secret"], answer.json()["key"]
    assert secret.startswith("fw_test_")
    assert (key["consumer"], key["environment"], key["label"]) == ("alder-gmbh", "test", "trying")
    assert (await alive(gate, secret)).status_code == 200
    assert (len(upstream.seen), len(second_upstream.seen)) == (0, 1)
    refused = await alive(gate, secret, "/experience/v1/operations")
    assert (refused.status_code, refused.json()["code"]) == (403, "no_sandbox")
    assert (await alive(gate, secret, "/portal/v1/me")).status_code == 200
    assert (await alive(gate, secret, "/openapi")).status_code == 200
    assert (await partner.post(API)).status_code == 201  # without a body
    listed = (await partner.get(API)).json()["items"]
    assert (key["id"], "trying") == (listed[0]["id"], listed[0]["label"])
    assert len(listed) == 2
    assert secret not in str(listed)
    for _ in range(2):
        ended = await partner.delete(f"{API}/{key['id']}")
        assert (ended.status_code, ended.json()["state"]) == (200, "revoked")
    async with asyncio.timeout(5):
        while (await alive_once(gate, secret)) != 401:
            await asyncio.sleep(0.005)
    entries = [e for e in (await admin.audit()).items if e.subject == key["id"]]
    assert [(e.action, e.actor) for e in entries] == [
        ("key.revoked", "partner:alder-gmbh"), ("key.created", "partner:alder-gmbh"),
    ]  # fmt: skip
    assert used.key.id in entries[0].reason
    assert secret not in str(entries)
    assert upstream.seen == []


async def alive_once(gate: str, secret: str) -> int:
    async with httpx.AsyncClient(headers={"x-api-key": secret}) as client:
        return (await client.get(f"{gate}/process/v1/billing-runs")).status_code


async def test_it_never_may_more_than_the_key_that_asked(gate, admin, used):
    """Scopes, networks, plan, version and end are those of the asking key; 90 days at most."""
    now = clock.now()
    narrow = await admin.create_key(
        "alder-gmbh", scopes=("process:billing:read",), networks=("127.0.0.0/8",),
        expires_at=now + timedelta(days=5), version="2026-11-08",
    )  # fmt: skip
    endless = await admin.create_key("brook-advisory")
    for live, days in ((narrow, 5), (endless, 90)):
        await alive(gate, live.secret, API)
        async with httpx.AsyncClient(base_url=gate, headers={"x-api-key": live.secret}) as client:
            key = (await made(client))["key"]
        assert key["scopes"] == list(live.key.scopes)
        assert key["networks"] == list(live.key.networks)
        assert (key["version"], key["plan"]) == (live.key.version, live.key.plan)
        ends = datetime.fromisoformat(key["expires_at"])
        assert timedelta(days=days - 1) < ends - now <= timedelta(days=days, minutes=1)


async def test_a_sandbox_key_makes_and_ends_nothing(partner, gate):
    """Neither for itself nor others: it would outlive itself."""
    first = await made(partner)
    await alive(gate, first["secret"])
    async with httpx.AsyncClient(base_url=gate, headers={"x-api-key": first["secret"]}) as client:
        assert (await client.get(API)).status_code == 200
        for answer in (await client.post(API), await client.delete(f"{API}/{first['key']['id']}")):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "live key" in answer.json()["detail"]
        page = (await client.get("/portal")).text
        assert "Make a sandbox key" not in page


async def test_five_at_once(partner, admin):
    """The sixth is told which to end; an ended one makes room. Somebody else's do not count."""
    await admin.create_key("brook-advisory", environment="test")
    keys = [(await made(partner, label=f"number {n}"))["key"]["id"] for n in range(5)]
    answer = await partner.post(API)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert f"DELETE {API}/{keys[0]}" in answer.json()["detail"]
    assert "number 4" in answer.json()["detail"]
    assert (await partner.delete(f"{API}/{keys[2]}")).status_code == 200
    made_at_once = await asyncio.gather(*(partner.post(API) for _ in range(4)))
    assert sorted(one.status_code for one in made_at_once) == [201, 409, 409, 409]


async def test_only_own_sandbox_keys_are_ended(partner, admin, used):
    """Not a live one, not another consumer's, not by its letters; all in the same words."""
    theirs = await admin.create_key("brook-advisory", environment="test")
    own = await admin.create_key("alder-gmbh", environment="test")
    said = set()
    for id in (used.key.id, theirs.key.id, "key_none", own.key.display):
        answer = await partner.delete(f"{API}/{id}")
        assert answer.status_code == 404, id
        said.add(answer.json()["detail"])
    assert len(said) == 1
    assert (await admin.key(used.key.id)).state == "active"
    assert (await admin.key(theirs.key.id)).state == "active"


async def test_bad_input_is_named(partner):
    """What is wrong, and where."""
    for body, status, pointer in (
        ({"label": 1}, 422, "/label"),
        ({"label": "x" * 501}, 422, "/label"),
        ({"scopes": ["system:*"]}, 422, "/scopes"),
    ):
        answer = await partner.post(API, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert (await partner.post(API, content=b"{")).status_code == 400
    assert (await partner.post(API, content=b"x" * 5000)).status_code == 413
    assert (await partner.put(API)).status_code == 405


async def test_only_a_key_makes_keys(gate, control, admin):
    """A token is short-lived, may be bound, may be for less: nothing that lasts comes of it."""
    made = await create_client(admin, ClientDraft(consumer="alder-gmbh", name="job"))
    async with httpx.AsyncClient() as client:
        got = await client.post(
            f"{control}/oauth/token", auth=(made.client.id, made.secret),
            data={"grant_type": "client_credentials", "scope": "process:billing:read"},
        )  # fmt: skip
        bearer = {"authorization": f"Bearer {got.json()['access_token']}"}
    async with httpx.AsyncClient(base_url=gate, headers=bearer) as client, asyncio.timeout(5):
        while (await client.get("/portal")).status_code == 401:
            await asyncio.sleep(0.005)
        assert "Make a sandbox key" not in (await client.get("/portal")).text
        for _ in range(2):  # also on a line where the token was good for something else
            assert (await client.get(API)).status_code == 200
            assert (await client.post(API)).status_code == 401
            assert (await client.delete(f"{API}/key_x")).status_code == 401


async def test_a_form_counts_from_its_own_page_only(browser, gate, partner):
    """Right site, right mark, right way to send it: all of them, and nothing less."""
    mark = await mark_of(browser)
    good = {"origin": gate}
    form = {"mark": mark, "label": "by form"}
    for headers, data, status in (
        ({}, form, 403),  # a browser always says where a form is from
        ({"origin": "null"}, form, 403),
        ({"origin": "https://evil.example"}, form, 403),
        ({"origin": gate.replace("http:", "https:")}, form, 403),
        ({**good, "sec-fetch-site": "cross-site"}, form, 403),
        ({**good, "sec-fetch-site": "same-site"}, form, 403),
        ({**good, "x-forwarded-host": "evil.example", "origin": "http://evil.example"}, form, 403),
        (good, {"label": "x"}, 403),
        (good, {"mark": "0" * 64}, 403),
        (good, {"mark": "ä"}, 403),
        (good, {**form, "scopes": "system:*"}, 422),
        (good, {**form, "label": "x" * 501}, 422),
    ):
        for path in ("/portal/test-keys", "/portal/test-keys/key_x/revoke"):
            if status == 422 and path.endswith("revoke"):
                continue
            answer = await browser.post(path, data=data, headers=headers)
            assert answer.status_code == status, (headers, data, path)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
    sent = await browser.post("/portal/test-keys", json=form, headers=good)
    assert sent.status_code == 415
    assert (await partner.get(API)).json()["items"] == []
    answer = await browser.post("/portal/test-keys", data=form, headers=good)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")


async def test_a_mark_is_for_one_key(browser, gate, admin, partner):
    """What stands on somebody else's page, or on one's own of another key, is worth nothing."""
    other = await admin.create_key("alder-gmbh")
    await alive(gate, other.secret, "/portal")
    async with httpx.AsyncClient(base_url=gate, auth=("any", other.secret)) as second:
        mark = await mark_of(second)
    answer = await browser.post("/portal/test-keys", data={"mark": mark}, headers={"origin": gate})
    assert answer.status_code == 403
    assert (await partner.get(API)).json()["items"] == []


async def test_basic_does_nothing_anywhere_else(browser, used, gate):
    """A browser's key still is for looking: also at the JSON beside the form, also at the tiers."""
    origin = {"origin": gate}
    for method, path in (
        ("POST", API), ("DELETE", f"{API}/key_x"), ("POST", "/process/v1/billing-runs"),
        ("POST", "/portal"),
    ):  # fmt: skip
        answer = await browser.request(method, path, headers=origin)
        assert answer.status_code in (401, 405), path
    basic = base64.b64encode(f"any:{used.secret}".encode()).decode()
    both = {"authorization": f"Basic {basic}", "x-api-key": used.secret}
    async with httpx.AsyncClient(base_url=gate, headers=both) as client:
        assert (await client.post("/portal/test-keys")).status_code == 401


async def test_page_to_first_call(browser, gate, upstream, second_upstream):
    """The page has a button; its answer has the line that works as it stands."""
    page = await browser.get("/portal")
    assert "Make a sandbox key" in page.text
    assert f"{gate}/process/v1/billing-runs" in page.text
    mark = await mark_of(browser)
    answer = await browser.post(
        "/portal/test-keys", data={"mark": mark, "label": "<b>first</b>"}, headers={"origin": gate}
    )
    line = re.search(r'<code id="call">curl -H "(.+?): (.+?)" (\S+)</code>', answer.text)
    name, value, url = line.groups()
    assert url.startswith(gate)
    async with httpx.AsyncClient() as curl, asyncio.timeout(10):
        while (called := await curl.get(url, headers={name: value})).status_code == 401:
            await asyncio.sleep(0.005)
    assert (called.status_code, called.text) == (200, "ok")
    assert (len(upstream.seen), len(second_upstream.seen)) == (0, 1)
    after = (await browser.get("/portal")).text
    assert "&lt;b&gt;first&lt;/b&gt;" in after
    assert value.removeprefix("Bearer ") not in after


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
@pytest.mark.xdist_group("browser")
async def test_the_button_in_a_browser(gate, used, tmp_path, second_upstream):
    """Without script: make, copy, call, end. Another site's form with the same key is refused."""
    from playwright.async_api import async_playwright, expect

    complaints: list[str] = []
    kept = os.environ.get("FIRMWIRE_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context(
            http_credentials={"username": "any", "password": used.secret},
            viewport={"width": 1280, "height": 800}, java_script_enabled=False,
        )  # fmt: skip
        page = await context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        await page.goto(f"{gate}/portal")
        await page.get_by_label("Label").fill("from the page")
        await page.screenshot(path=folder / "portal-sandbox.png", full_page=True)
        await page.get_by_role("button", name="Make a sandbox key").click()
        await expect(page.get_by_role("heading", name="The sandbox key")).to_be_visible()
        secret = await page.locator("#secret").inner_text()
        assert re.fullmatch(r"fw_test_[0-9A-Za-z]{24}_[0-9A-Za-z]{6}", secret)
        await page.screenshot(path=folder / "portal-key-made.png", full_page=True)
        assert (await alive(gate, secret)).status_code == 200
        await page.get_by_role("link", name="I have it: go on").click()
        await page.get_by_role("button", name="Revoke from the page").click()
        await expect(page.get_by_role("status")).to_contain_text("revoked")
        assert "from the page" not in await page.content()
        assert complaints == []

        answers: list[int] = []
        page.on("response", lambda answer: answers.append(answer.status))
        mark = re.search(r'name="mark" value="([0-9a-f]+)"', await page.content())[1]
        other = gate.replace("127.0.0.1", "localhost")
        form = (
            f'<form method="post" action="{gate}/portal/test-keys"><input name="mark" '
            f'value="{mark}"><button>Win a prize</button></form>'
        )
        await page.route(f"{other}/prize", lambda route: route.fulfill(
            body=form, content_type="text/html"))  # fmt: skip
        await page.goto(f"{other}/prize")
        await page.get_by_role("button", name="Win a prize").click()
        await expect(page.get_by_role("alert")).to_contain_text("your own page only")
        assert 403 in answers
        await browser.close()
