"""The operations page in a real browser, through the gateway: figures, live updates, no errors.

Skips where there is no Chromium: `apt-get install chromium`, or FIRMWIRE_CHROMIUM=/path/to/it.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, async_playwright, expect

from chassis import identity
from chassis.database import Database
from chassis.discovery import plugs
from chassis.identity import Signer, Verifier
from chassis.server import serving
from experience_apis.app import PREFIX, ExperienceSettings, create
from gateway import keys, tokens
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.worker import Worker
from gateway.policy import Policy
from gateway.settings import ControlSettings, Limits
from gateway.snapshot import Shelf

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


@asynccontextmanager
async def gateway(home: Path, experience_url: str) -> AsyncIterator[tuple[str, str]]:
    """A control plane and a data plane before the experience tier; its URL and a key."""
    chosen = ControlSettings(experience_url=experience_url)
    async with serving(control_plane(chosen, home)) as control_url:
        async with ControlClient(control_url, admin_token(home)) as control:
            await control.set_consumer("office", "internal")
            made = await control.create_key("office", scopes=("experience:*",))
        worker = Worker(
            limits=Limits(drain_s=0.1),
            peppers=keys.peppers(home),
            signer=Signer.of(home, "gateway"),
            policies=plugs("gateway.policies", "POLICY", Policy),
            access_log=LogFile(home / "access.jsonl"),
        )
        shelf = Shelf(home / "gateway" / "snapshot")
        feed = Feed(worker, shelf, control_url, lambda: tokens.data_plane(home))
        feed.begin_from_disk()
        port = await worker.listen("127.0.0.1", 0)
        asking = asyncio.create_task(feed.run())
        try:
            yield f"http://127.0.0.1:{port}", made.secret
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await worker.drain()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        await launched.close()


class Door:
    """The page as a partner sees it: origin, and the key that is the password.

    cut and mend stop the experience tier behind the gateway and start it again.
    """

    def __init__(self, home: Path, process_url: str) -> None:
        self._home, self._process_url = home, process_url
        self._port, self._running = 0, AsyncExitStack()
        self.origin = self.key = ""

    async def mend(self) -> str:
        database = Database(f"sqlite:///{self._home / 'experience.sqlite'}", name="experience")
        database.migrate("experience_apis.migrations")
        chosen = ExperienceSettings(process_url=self._process_url)
        verifier = Verifier(identity.jwks_file(self._home))
        tier = create(chosen, verifier, Signer.of(self._home, "experience"), database)
        url = await self._running.enter_async_context(serving(tier, port=self._port))
        self._port = int(url.rsplit(":", 1)[1])
        return url

    async def cut(self) -> None:
        await self._running.aclose()


@pytest.fixture
async def door(
    home: Path, serve_log: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    monkeypatch.setattr("chassis.server.DRAIN_S", 1)  # an open stream takes all of it
    async with serve_log() as process_url:
        made = Door(home, process_url)
        async with gateway(home, await made.mend()) as (made.origin, made.key):
            yield made
        await made.cut()


@asynccontextmanager
async def opened(browser: Browser, door: Door, **look: Any) -> AsyncIterator[Any]:
    """The page, and the list of everything the browser complained about."""
    credentials = {"username": "any", "password": door.key}
    context = await browser.new_context(http_credentials=credentials, **look)
    page = await context.new_page()
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda r: complaints.append(f"{r.url} {r.failure}"))
    await page.goto(f"{door.origin}{PREFIX}/pages/operations", timeout=WAIT_MS)
    try:
        yield page, complaints
    finally:
        await context.close()


def firm(telling: Any) -> list[Any]:
    """Enough to fill every table."""
    told = [telling.entry(f"kantata:{n}", "READY", 14_000 + n) for n in range(40)]
    told += [telling.entry(f"kantata:b{n}", "BILLED", 90_000, "EUR", 480) for n in range(25)]
    told += [telling.entry(f"kantata:h{n}", "HELD", 30_000) for n in range(5)]
    told += [telling.entry(f"kantata:x{n}", "EXCEPTION", 0, "") for n in range(7)]
    told += [telling.item(f"w{n}", f"kantata:x{n}", minor=21_000) for n in range(7)]
    told += [
        telling.item(f"h{n}", f"kantata:h{n}", "OPEN", "HOLD", "PO_EXHAUSTED", "ACCOUNT", 30_000)
        for n in range(5)
    ]
    told += [
        telling.item(f"v{n}", f"kantata:{n}", "OPEN", "WARN", "LATE_TIME", "PMO") for n in range(3)
    ]
    told += [
        telling.invoice(
            f"i{n}", "POSTED", 1_250_000, "EUR", "2026-04-30", f"2026-05-0{n + 2}T08:00:00Z"
        )
        for n in range(6)
    ]
    return [*told, telling.invoice("d1", "DRAFT", 480_000)]


async def test_the_page_shows_figures_and_keeps_itself_up_to_date(
    browser: Browser, door: Door, log: Any, telling: Any, tmp_path: Path
) -> None:
    """Figures at once, new ones when events arrive, nothing on the console."""
    await log.tell(*firm(telling))
    async with opened(browser, door) as (page, complaints):
        assert await page.title() == "Operations - Firmwire"
        await expect(page.locator("#live")).to_have_text("live", timeout=WAIT_MS)
        ready = page.locator("tr[data-state=READY]")
        await expect(ready).to_contain_text("40", timeout=WAIT_MS)
        await expect(page.locator("#board")).to_contain_text("PROJECT_UNKNOWN")
        await expect(page.locator("#board")).to_contain_text("75,000.00 EUR")
        await page.screenshot(path=tmp_path / "operations.png", full_page=True)
        await log.tell(telling.entry("kantata:new", "READY", 100))
        await expect(ready).to_contain_text("41", timeout=WAIT_MS)
        assert complaints == []


async def test_on_a_phone_and_in_the_dark(
    browser: Browser, door: Door, log: Any, telling: Any, tmp_path: Path
) -> None:
    """The page itself never scrolls sideways; tables that are too wide scroll in their card."""
    await log.tell(*firm(telling))
    look = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    async with opened(browser, door, **look) as (page, complaints):
        await expect(page.locator("tr[data-state=READY]")).to_contain_text("40", timeout=WAIT_MS)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        await page.screenshot(path=tmp_path / "operations-phone.png", full_page=True)
        assert wide <= 390
        assert complaints == []


async def test_what_the_firm_calls_things_cannot_run(
    browser: Browser, door: Door, log: Any, telling: Any
) -> None:
    """A script in a vendor's text is shown as text, also when it arrives over the stream."""
    async with opened(browser, door) as (page, complaints):
        await expect(page.locator("#live")).to_have_text("live", timeout=WAIT_MS)
        await log.tell(telling.item("w", "k:1", owner="<img src=x onerror=alert(1)>"))
        await expect(page.locator("#board")).to_contain_text("<img src=x", timeout=WAIT_MS)
        assert await page.locator("img").count() == 0
        assert complaints == []


async def test_it_says_when_it_is_cut_off_and_comes_back(
    browser: Browser, door: Door, log: Any, telling: Any
) -> None:
    """While the tier behind the gateway starts again the page says so, then goes on by itself."""
    async with opened(browser, door) as (page, _):
        await expect(page.locator("#live")).to_have_text("live", timeout=WAIT_MS)
        await door.cut()
        await expect(page.locator("#live")).to_have_text("reconnecting", timeout=WAIT_MS)
        await asyncio.sleep(4)  # the browser's own second try meets the gateway's refusal
        await log.tell(telling.entry("kantata:1", "READY", 7_000))
        await door.mend()
        await expect(page.locator("#live")).to_have_text("live", timeout=WAIT_MS)
        await expect(page.locator("#board")).to_contain_text("70.00 GBP", timeout=WAIT_MS)
