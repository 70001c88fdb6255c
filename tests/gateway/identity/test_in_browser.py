"""A real browser signs in, consents, and is sent back with a code: cookies and CSP let it.

Skips where there is no Chromium: `apt-get install chromium`, or FIRMWIRE_CHROMIUM=/path/to/it.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
import pytest

from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.identity_calls import create_admin, create_client
from gateway.identity.clients import ClientDraft
from gateway.identity.jose import b64
from gateway.identity.people import PersonDraft
from gateway.settings import ControlSettings

CHROMIUM = os.environ.get("FIRMWIRE_CHROMIUM") or shutil.which("chromium") or ""
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture
async def portal():
    """The client's own site, on another origin: (address, what it was sent)."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader, writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("GET /back"):
            seen.put_nowait(head.split(" ")[1])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nback")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/back", seen
    server.close()


async def test_a_browser_gets_from_the_portal_to_its_code(portal, tmp_path):
    """Sign-in page, consent page, redirect to another origin; nothing is blocked on the way."""
    playwright = pytest.importorskip("playwright.async_api")
    back, seen = portal
    async with serving(control_plane(ControlSettings(), tmp_path)) as url:
        async with ControlClient(url, admin_token(tmp_path)) as control:
            made = await create_client(
                control,
                ClientDraft(
                    consumer="operator", name="Portal", method="none", redirect_uris=(back,),
                    grants=("authorization_code", "refresh_token"),
                ),
            )  # fmt: skip
            kim = await create_admin(control, PersonDraft(name="kim", role="user"))
        verifier = secrets.token_urlsafe(48)
        asked = urlencode({
            "response_type": "code", "client_id": made.client.id, "redirect_uri": back,
            "state": "s1", "scope": "system:read", "code_challenge_method": "S256",
            "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
        })  # fmt: skip
        async with playwright.async_playwright() as started:
            browser = await started.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            page = await browser.new_page()
            complaints: list[str] = []
            page.on("console", lambda said: complaints.append(said.text))
            await page.goto(f"{url}/oauth/authorize?{asked}")
            await page.get_by_label("Name").fill("kim")
            await page.get_by_label("Password").fill(kim.password)
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("button", name="Allow").wait_for(timeout=15_000)
            assert "Portal" in await page.locator("h1").inner_text()
            assert "system:read" in await page.locator("ul").inner_text()
            colour = await page.get_by_role("button", name="Allow").evaluate(
                "e => getComputedStyle(e).backgroundColor"
            )
            assert colour == "rgb(27, 79, 156)"  # the page's style is not blocked
            await page.get_by_role("button", name="Allow").click()
            async with asyncio.timeout(15):
                sent = parse_qs(urlsplit(await seen.get()).query)
            await browser.close()
        assert complaints == []
        assert sent["state"] == ["s1"]
        form = {
            "grant_type": "authorization_code", "client_id": made.client.id,
            "code": sent["code"][0], "redirect_uri": back, "code_verifier": verifier,
        }  # fmt: skip
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            reply = await http.post(f"{url}/oauth/token", data=form)
        assert (reply.status_code, msgspec.json.decode(reply.content)["scope"]) == (
            200, "system:read",
        )  # fmt: skip
