"""Runs of the journey against the shelf."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from vendor_shelf import Firm, Shelf, replica

from chassis import travel
from chassis.database import Database
from contracts.principal import Principal
from process_apis import durable, journey
from process_apis.billing import around as billing_around
from process_apis.billing.around import Around
from process_apis.durable import Durable
from process_apis.runs import Runs


@pytest.fixture
def firm(tmp_path: Path):
    """`async with firm() as f`: again on the same folder is the process started again."""

    @asynccontextmanager
    async def made(systems: Shelf | None = None) -> AsyncIterator[Firm]:
        database = Database(f"sqlite:///{tmp_path / 'process.sqlite'}", name="process")
        await asyncio.to_thread(database.migrate, "process_apis.migrations")
        here = Firm(database)
        if systems is not None:
            here.systems = systems
        snapshot = replica()
        before = (
            billing_around.bind(
                Around(database=database, tenant="acme", snapshot=lambda: snapshot)
            ),
            journey.bind(here),
        )
        principal = Principal("ann", frozenset({"process:*"}), "gateway")
        here.runs = Runs()
        async with durable.running(Durable(poll_s=0.02), tmp_path):
            with travel.using(travel.begin(principal=principal)):
                yield here
        billing_around.bind(before[0])
        journey.bind(before[1])
        await database.aclose()

    return made
