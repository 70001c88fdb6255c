"""A partner's own page, through a real gateway with its own key: its own things, nobody else's."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from chassis import identity
from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.settings import ControlSettings

CHROMIUM = os.environ.get("FIRMWIRE_CHROMIUM") or shutil.which("chromium") or ""


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[str]:
    """At a port that its settings know: data planes are sent there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serving(control_plane(ControlSettings(port=port), tmp_path), port=port) as url:
        yield url


async def test_a_partner_reads_its_own_things(gate, used, control, tmp_path):
    """Its keys without their hashes, its use, its limits, every version; only its own."""
    async with httpx.AsyncClient(base_url=gate) as client:
        bearer = {"authorization": f"Bearer {used.secret}"}
        answer = await client.get("/portal/v1/me", headers=bearer)
        assert answer.status_code == 200
        mine = answer.json()
        assert (mine["consumer"], mine["plan"]) == ("alder-gmbh", "partner")
        assert [used.key.id] == [key["id"] for key in mine["keys"]]
        assert sum(hour["requests"] for hour in mine["usage"]) > 1000
        assert {"rate", "month"} == {limit["name"] for limit in mine["limits"]}
        assert [use["version"] for use in mine["calls"]] == ["2026-11-01"]
        assert all(version["consumers"] == 0 for version in mine["versions"])
        assert "brook-advisory" not in answer.text
        page = await client.get("/portal", headers=bearer)
        assert (page.status_code, "default-src 'none'" in str(page.headers)) == (200, True)
        assert "alder-gmbh" in page.text
        assert "brook-advisory" not in page.text
        assert used.secret not in page.text


async def test_nobody_else_gets_in(gate, used, control, tmp_path):
    """Not without a key, not around the gateway, not with an assertion of another service."""
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{gate}/portal")).status_code == 401
        for path in ("/admin/v1/keys", "/console", "/snapshot", "/portal/../admin/v1/keys"):
            answer = await client.get(gate + path, headers={"x-api-key": used.secret})
            assert answer.status_code in (400, 404), path
        assert (await client.get(f"{control}/portal")).status_code == 401
        for issuer, status in (("process", 403), ("gateway", 200)):
            token = identity.Signer.of(tmp_path, issuer).assertion("alder-gmbh", frozenset())
            answer = await client.get(f"{control}/portal", headers={identity.HEADER: token})
            assert answer.status_code == status
        posted = await client.post(f"{gate}/portal", headers={"x-api-key": used.secret})
        assert posted.status_code == 405
    async with ControlClient(control, admin_token(tmp_path)) as admin:
        assert (await admin.key(used.key.id)).state == "active"


async def test_a_key_found_in_public_ends_through_the_gateway(gate, used, control, tmp_path):
    """Anybody may say so, at the public door."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{gate}/leaked-keys", json={"key": used.secret})
        assert (answer.status_code, answer.json()) == (202, {"taken": True})
        async with asyncio.timeout(5):
            while (
                await client.get(f"{gate}/portal", headers={"x-api-key": used.secret})
            ).is_success:
                await asyncio.sleep(0.005)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
@pytest.mark.xdist_group("browser")
async def test_the_page_in_a_browser(gate, used, tmp_path):
    """The key is the password the browser asks for; nothing to complain about."""
    from playwright.async_api import async_playwright

    complaints: list[str] = []
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
        assert await page.title() == "alder-gmbh - Firmwire"
        kept = os.environ.get("FIRMWIRE_SCREENSHOTS")
        folder = Path(kept) if kept else tmp_path
        await page.screenshot(path=folder / "portal.png", full_page=True)
        await browser.close()
    assert complaints == []


async def test_each_key_sees_the_plan_it_is_for(gate, used, control, tmp_path):
    """One consumer, two plans: limits and scopes are those that hold for the key that asks."""
    async with ControlClient(control, admin_token(tmp_path)) as admin:
        await admin.subscribe("alder-gmbh", "internal", reason="test")
        second = await admin.create_key("alder-gmbh", plan="internal")
    async with httpx.AsyncClient(base_url=gate) as client, asyncio.timeout(10):
        for secret, plan in ((used.secret, "partner"), (second.secret, "internal")):
            headers = {"x-api-key": secret}
            while (answer := await client.get("/portal/v1/me", headers=headers)).status_code == 401:
                await asyncio.sleep(0.005)
            assert answer.json()["plan"] == plan
            assert f"for the plan {plan}" in (await client.get("/portal", headers=headers)).text
