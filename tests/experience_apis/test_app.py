"""The tier's door on a real socket: views, pages and the stream behind identity and scope."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis import clock, identity
from chassis.database import Database
from chassis.identity import HEADER, Signer, Verifier
from chassis.server import DRAIN_S, serving
from experience_apis.app import PREFIX, ExperienceSettings, create

VIEW = f"{PREFIX}/operations"
PAGE = f"{PREFIX}/pages/operations"
STREAM = f"{PAGE}/stream"
SCOPE = "experience:operations:read"


@pytest.fixture
async def door(home: Path, serve_log: Any, signer: Signer) -> AsyncIterator[httpx.AsyncClient]:
    """The running tier over the test's log, and a client that may look."""
    database = Database(f"sqlite:///{home / 'experience.sqlite'}", name="experience")
    database.migrate("experience_apis.migrations")
    async with serve_log() as process_url:
        chosen = ExperienceSettings(process_url=process_url)
        verifier = Verifier(identity.jwks_file(home))
        tier = create(chosen, verifier, Signer.of(home, "experience"), database)
        headers = {HEADER: signer.assertion("ann", (SCOPE,))}
        async with (
            serving(tier) as url,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
        ):
            yield client


async def shown(client: httpx.AsyncClient, position: int) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while (board := (await client.get(VIEW)).json())["position"] < position:
            await asyncio.sleep(0.02)
    return board


async def test_the_view_is_figures_as_json(door: httpx.AsyncClient, log: Any, telling: Any) -> None:
    """Money as minor units with currency, shares as text, positions and instants."""
    await log.tell(
        telling.entry("kantata:1", "READY", 7_000), telling.entry("kantata:2", "HELD", 3_000)
    )
    board = await shown(door, 2)
    assert board["readiness"] == [
        {
            "currency": "GBP", "ready": {"minor": 7_000, "currency": "GBP"},
            "held": {"minor": 3_000, "currency": "GBP"},
            "exception": {"minor": 0, "currency": "GBP"}, "share": "0.7000",
        }
    ]  # fmt: skip
    assert board["as_of"] == "2026-05-04T09:00:02Z"
    assert (await door.get(VIEW)).headers["cache-control"] == "no-store"


async def test_nothing_yet_is_an_answer(door: httpx.AsyncClient) -> None:
    """An empty read model is shown, not an error."""
    board = (await door.get(VIEW)).json()
    assert (board["position"], board["as_of"], board["states"]) == (0, None, [])
    assert "No time has arrived yet." in (await door.get(PAGE)).text


@pytest.mark.parametrize("path", [VIEW, PAGE, STREAM, f"{PREFIX}/pages/static/operations.js"])
async def test_who_may(door: httpx.AsyncClient, signer: Signer, path: str) -> None:
    """Without identity 401, without the scope 403, on every path and in one form."""
    del door.headers[HEADER]
    nobody = await door.get(path)
    other = {HEADER: signer.assertion("ann", ("process:*",))}
    poor = await door.get(path, headers=other)
    assert (nobody.status_code, poor.status_code) == (401, 403)
    for reply in (nobody, poor):
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["type"].startswith("urn:firmwire:problem:")


async def test_the_page_is_complete_without_a_script(
    door: httpx.AsyncClient, log: Any, telling: Any
) -> None:
    """HTML with the figures in it, and headers under which nothing foreign can load or run."""
    await log.tell(telling.entry("kantata:1", "READY", 1_234_567), telling.item("w", "kantata:2"))
    await shown(door, 2)
    page = await door.get(PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "12,345.67 GBP" in page.text
    assert "PROJECT_UNKNOWN" in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text


async def test_what_comes_from_events_is_escaped(
    door: httpx.AsyncClient, log: Any, telling: Any
) -> None:
    """A name from a vendor system is text, never markup."""
    await log.tell(telling.item("w", "kantata:1", owner="<img src=x onerror=alert(1)>"))
    await shown(door, 1)
    page = (await door.get(PAGE)).text
    assert "<img" not in page
    assert "&lt;img" in page


async def test_the_stream_pushes_a_new_fragment(
    door: httpx.AsyncClient, log: Any, telling: Any
) -> None:
    """At once how it stands, and again as soon as an event changed it; the id is the position."""
    async with door.stream("GET", STREAM) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        frames = _frames(reply.aiter_lines())
        first = await asyncio.wait_for(anext(frames), 5)
        assert (first["event"], first["id"]) == ("board", "0")
        await log.tell(telling.entry("kantata:1", "READY", 7_000))
        second = await asyncio.wait_for(anext(frames), 5)
        assert second["id"] == "1"
        assert "70.00 GBP" in second["data"]
        await log.tell(telling.entry("kantata:1", "BILLED", 7_000))
        third = await asyncio.wait_for(anext(frames), 5)
        assert third["id"] == "2"
        assert "BILLED" in third["data"]


async def test_only_its_own_two_files(door: httpx.AsyncClient) -> None:
    """The page's style and script, and no way to any other file."""
    static = f"{PREFIX}/pages/static"
    css = await door.get(f"{static}/operations.css")
    js = await door.get(f"{static}/operations.js")
    assert css.headers["content-type"] == "text/css; charset=utf-8"
    assert js.headers["content-type"] == "text/javascript; charset=utf-8"
    for name in ("operations.py", "..%2foperations.py", "..%2f..%2fapp.py", "other.css"):
        assert (await door.get(f"{static}/{name}")).status_code == 404, name


@pytest.mark.slow
async def test_it_stops_while_somebody_watches(home: Path, signer: Signer, serve_log: Any) -> None:
    """An open dashboard does not hold the process up beyond its drain."""
    database = Database(f"sqlite:///{home / 'stopping.sqlite'}", name="experience")
    database.migrate("experience_apis.migrations")
    headers = {HEADER: signer.assertion("ann", (SCOPE,))}
    watched = asyncio.Event()

    async def watch(url: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            async with (
                httpx.AsyncClient(headers=headers, timeout=30) as client,
                client.stream("GET", f"{url}{STREAM}") as reply,
            ):
                async for _ in reply.aiter_lines():
                    watched.set()

    async with serve_log() as process_url:
        chosen = ExperienceSettings(process_url=process_url)
        verifier = Verifier(identity.jwks_file(home))
        tier = create(chosen, verifier, Signer.of(home, "experience"), database)
        async with serving(tier) as url:
            watcher = asyncio.create_task(watch(url))
            await asyncio.wait_for(watched.wait(), 5)
            began_s = clock.monotonic()
        took_s = clock.monotonic() - began_s
        await asyncio.wait_for(watcher, 5)
    assert took_s < DRAIN_S + 1


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    frame: dict[str, list[str]] = {}
    async for line in lines:
        if not line and "data" in frame:
            yield {name: "\n".join(values) for name, values in frame.items()}
            frame = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            frame.setdefault(name, []).append(value)
