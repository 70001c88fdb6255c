"""The console in a real browser, without any script: in, a key's whole life, the record, out.

Skips where there is no Chromium: `apt-get install chromium`, or FIRMWIRE_CHROMIUM=/path/to/it.
FIRMWIRE_SCREENSHOTS=folder keeps pictures of the pages there.
"""

import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from gateway.control.client import admin_token

CHROMIUM = os.environ.get("FIRMWIRE_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WAIT_MS = 10_000

pytestmark = [
    pytest.mark.skipif(
        not CHROMIUM,
        reason="no Chromium: apt-get install chromium, or set FIRMWIRE_CHROMIUM to its path",
    ),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        await launched.close()


class Visit:
    """A page of the console, its complaints, and where its pictures go."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._folder = folder
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def picture(self, name: str) -> None:
        kept = os.environ.get("FIRMWIRE_SCREENSHOTS")
        folder = Path(kept) if kept else self._folder
        folder.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=folder / f"console-{name}.png", full_page=True)


@pytest.fixture
async def visit(browser: Browser, control: str, tmp_path: Path) -> AsyncIterator[Any]:
    """`await visit(**look)` opens the console signed in as the first admin."""
    contexts = []

    async def opened(**look: Any) -> Visit:
        look = {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False} | look
        context = await browser.new_context(**look)
        contexts.append(context)
        seen = Visit(await context.new_page(), tmp_path / "pictures")
        page = seen.page
        await page.goto(f"{control}/console")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await seen.picture("sign-in")
        await page.get_by_label("Password, or admin token").fill(admin_token(tmp_path))
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        return seen

    yield opened
    for context in contexts:
        await context.close()


async def test_a_key_from_first_to_last(visit: Any, used: Any, admin: Any) -> None:
    """Create, copy the secret, rotate with overlap, revoke with a reason, read the record."""
    seen = await visit()
    page: Page = seen.page
    await seen.picture("overview")
    await page.get_by_role("link", name="Keys", exact=True).click()
    await seen.picture("keys")
    await page.get_by_role("link", name="New key").click()
    await page.get_by_label("Consumer").select_option("brook-advisory")
    await page.get_by_label("Label").fill("month end <b>export</b>")
    await page.get_by_label("Scopes").fill("system:read")
    await page.get_by_label("Why").fill("asked for by the desk")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.get_by_role("alert")).to_contain_text("does not hold system:read")
    await expect(page.get_by_label("Label")).to_have_value("month end <b>export</b>")
    await seen.picture("key-refused")
    await page.get_by_label("Scopes").fill("process:billing:read")
    await page.get_by_role("button", name="Make the key").click()
    secret = await page.locator("#secret").inner_text()
    assert re.fullmatch(r"fw_live_[0-9A-Za-z]{24}_[0-9A-Za-z]{6}", secret)
    await page.locator("#secret").click()
    await seen.picture("key-made")
    await page.get_by_role("link", name="go on to the key").click()
    await expect(page.get_by_text("month end <b>export</b>")).to_be_visible()
    assert secret not in await page.content()
    key_id = page.url.rpartition("/")[2]

    await page.get_by_label("Both keys work for").select_option("7 days")
    await page.get_by_role("button", name="Rotate").click()
    successor = await page.locator("#secret").inner_text()
    assert successor != secret
    await expect(page.get_by_text("works on until")).to_contain_text("in 7 days")
    await page.get_by_role("link", name="go on to the key").click()
    await expect(page.get_by_role("link", name=key_id)).to_be_visible()

    await page.locator("summary", has_text="Revoke").click()
    await page.locator("#revoke-why").fill("found in a mail")
    await page.get_by_role("button", name="Revoke the key").click()
    await expect(page.get_by_role("status")).to_contain_text("revoked")
    await expect(page.get_by_role("main")).to_contain_text("found in a mail")
    await seen.picture("key-revoked")
    assert (await admin.key(page.url.rpartition("/")[2].partition("?")[0])).state == "revoked"
    assert (await admin.key(key_id)).state == "active"

    await page.get_by_role("link", name="Audit trail").click()
    await page.get_by_role("link", name="Check the chain").click()
    await expect(page.get_by_role("status")).to_contain_text("The record is whole")
    await page.get_by_text("key.revoked").first.click()
    await expect(page.get_by_role("main")).to_contain_text("revoked at")
    await seen.picture("audit")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The form that was refused is a page with status 422, which the browser tells.
    assert [said for said in seen.complaints if "status of 422" not in said] == []


async def test_every_page_stands_without_complaint(visit: Any, used: Any, control: str) -> None:
    """No page asks for anything the policy forbids, and each has one heading and its title."""
    seen = await visit()
    page: Page = seen.page
    for where, name in (
        ("", "overview"), ("/keys", "keys"), ("/keys/new", "key-new"),
        (f"/keys/{used.key.id}", "key"), ("/consumers", "consumers"),
        ("/consumers/alder-gmbh", "consumer"), ("/consumers/new", "consumer-new"),
        ("/plans", "plans"), ("/plans/partner", "plan"), ("/plans/new", "plan-new"),
        ("/clients", "clients"), ("/clients/new", "client-new"), ("/issuers", "issuers"),
        ("/signing-keys", "signing-keys"), ("/admins", "admins"), ("/usage?days=7", "usage"),
        ("/versions", "versions"), ("/vendors", "vendors"),
        (f"/why?key={used.key.id}&path=/system/v1/x", "why"), ("/audit", "audit"),
    ):  # fmt: skip
        answer = await page.goto(f"{control}/console{where}")
        assert (answer.status, 1) == (200, await page.locator("h1").count()), where
        assert (await page.title()).endswith(" - Firmwire")
        await seen.picture(name)
    assert seen.complaints == []


async def test_on_a_phone_and_in_the_dark(visit: Any, used: Any, control: str) -> None:
    """A page never scrolls sideways; what is too wide scrolls in its card."""
    seen = await visit(viewport={"width": 390, "height": 844}, color_scheme="dark",
                       java_script_enabled=True)  # fmt: skip
    page: Page = seen.page
    for where, name in (
        ("", "overview"), ("/keys", "keys"), (f"/keys/{used.key.id}", "key"),
        ("/consumers/alder-gmbh", "consumer"), ("/vendors", "vendors"), ("/audit", "audit"),
        ("/plans/partner", "plan"), ("/issuers", "issuers"), ("/admins", "admins"),
        ("/clients/new", "client-new"),
    ):  # fmt: skip
        await page.goto(f"{control}/console{where}")
        await seen.picture(f"phone-{name}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, where
    assert seen.complaints == []


async def test_in_the_dark_on_a_desk(visit: Any, used: Any, control: str) -> None:
    """Pictures to look at."""
    seen = await visit(color_scheme="dark")
    for where, name in (("", "overview"), (f"/keys/{used.key.id}", "key"), ("/audit", "audit")):
        await seen.page.goto(f"{control}/console{where}")
        await seen.picture(f"dark-{name}")
    assert seen.complaints == []


async def test_plans_clients_and_people_by_hand(visit: Any, used: Any, admin: Any) -> None:
    """Without a script: a plan edited beside its mistakes, a subscription, a secret, a password."""
    seen = await visit()
    page: Page = seen.page
    await page.get_by_role("link", name="Plans", exact=True).click()
    await page.get_by_role("link", name="partner", exact=True).click()
    await page.get_by_label("Amount of limit 1").fill("lots")
    await page.get_by_label("Routes").fill("nowhere")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".wrong").first).to_contain_text("there is no route nowhere")
    await expect(page.get_by_label("Amount of limit 1")).to_have_value("lots")
    await seen.picture("plan-refused")
    await page.get_by_label("Amount of limit 1").fill("75")
    await page.get_by_label("Routes").fill("process")
    await page.get_by_label("Name of limit 3").fill("at-once")
    await page.get_by_label("Kind of limit 3").select_option("concurrency")
    await page.get_by_label("Amount of limit 3").fill("8")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("Saved")
    plan = await admin.plan("partner")
    assert (plan.limits[0].amount, plan.limits[2].kind) == (75, "concurrency")

    await page.get_by_role("link", name="Consumers", exact=True).click()
    await page.get_by_role("link", name="alder-gmbh").click()
    await page.get_by_label("Subscribe to").select_option("internal")
    await page.get_by_role("button", name="Subscribe", exact=True).click()
    await expect(page.get_by_role("heading", name="Limits on internal")).to_be_visible()
    await seen.picture("consumer-two-plans")

    await page.get_by_role("link", name="Clients", exact=True).click()
    await page.get_by_role("link", name="New client").click()
    await page.get_by_label("Consumer").select_option("alder-gmbh")
    await page.get_by_label("Plan", exact=True).fill("internal")
    await page.get_by_label("Name").fill("Night job")
    await page.get_by_role("button", name="Make the client").click()
    assert (await page.locator("#secret").inner_text()).startswith("fwcs_")
    await seen.picture("client-made")
    await page.get_by_role("link", name="go on to the client").click()
    await page.get_by_role("button", name="Rotate").click()
    await expect(page.get_by_text("The old secret is dead.")).to_be_visible()
    await page.get_by_role("link", name="go on to the client").click()
    await seen.picture("client")

    await page.get_by_role("link", name="Admins", exact=True).click()
    await page.get_by_label("Name").fill("ann")
    await page.get_by_label("Role").select_option("auditor")
    await page.get_by_role("button", name="Add", exact=True).click()
    assert len(await page.locator("#secret").inner_text()) >= 20
    await page.get_by_role("link", name="back to the list").click()
    await expect(page.get_by_role("cell", name="ann", exact=True)).to_be_visible()
    await page.get_by_text("change", exact=True).click()
    await seen.picture("admins")
    await page.get_by_role("link", name="Issuers", exact=True).click()
    await page.get_by_role("link", name="Our signing keys").click()
    await page.get_by_role("button", name="Rotate").click()
    await expect(page.get_by_role("status")).to_contain_text("A new key signs")
    await seen.picture("signing-keys")
    assert [said for said in seen.complaints if "status of 422" not in said] == []
