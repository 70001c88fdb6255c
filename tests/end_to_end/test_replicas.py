"""The main job with two process tiers on one PostgreSQL: the same story, every verdict of it."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from firmwire.chapters import Chapters
from firmwire.console import Console
from firmwire.platform import Platform, Ports
from firmwire.supervisor import Child, Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]


def with_a_second(children: tuple[Child, ...], port: int) -> tuple[Child, ...]:
    """The process tier once more, under another name, on another port."""
    (first,) = (child for child in children if child.name == "process")
    of_its_own = (f"FIRMWIRE_PROCESS_PORT={port}", "FIRMWIRE_PROCESS_DURABLE_EXECUTOR=process-2")
    second = Child(
        name="process-2",
        command=("/usr/bin/env", *of_its_own, *first.command),
        port=port,
        after=(*first.after, "process"),
    )
    return (*children, second)


async def test_the_story_holds_with_two_process_tiers(tmp_path: Path, postgres_url: str) -> None:
    """Both read, judge, book and post; the first is killed while it posts. 0 differences."""
    runs = f"{postgres_url}_runs"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {runs.rpartition('/')[2]}")
    more = {"FIRMWIRE_PROCESS_DATABASE_URL": postgres_url, "FIRMWIRE_PROCESS_DURABLE_URL": runs}
    platform = Platform(home=tmp_path / "home", ports=Ports.free(), more=more)
    platform.prepare()
    said: list[str] = []
    supervisor = Supervisor(
        with_a_second(platform.children(), Ports.free().process),
        platform.environment(),
        lambda name, line: said.append(f"{name}: {line}"),
    )
    await supervisor.start(ready_within_s=120)
    try:
        chapters = Chapters(platform, supervisor, Console(quiet=True))
        try:
            held = await asyncio.wait_for(chapters.tell(), 180)
        finally:
            await chapters.aclose()
    finally:
        await supervisor.stop()
    assert held, "\n".join(said[-40:])
    assert not [line for line in said if '"request.failed"' in line]
