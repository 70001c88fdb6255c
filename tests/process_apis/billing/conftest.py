"""The process tier's billing at work against an ERP witness on a socket."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from billed_firm import seed, snapshot_of
from erp_witness import Witness, witnessing
from office import Office

from chassis.database import Database
from chassis.identity import Signer
from process_apis import durable, journey
from process_apis.billing import around as billing_around
from process_apis.billing import gates, recovery
from process_apis.billing.around import Around
from process_apis.durable import Durable
from process_apis.systems import Systems


@pytest.fixture
def opened(tmp_path: Path):
    """`async with opened(witness, contracts=1, rows_each=7) as office`."""

    @asynccontextmanager
    async def made(
        witness: Witness, *, contracts: int = 1, rows_each: int = 7, **more
    ) -> AsyncIterator[Office]:
        database = Database(f"sqlite:///{tmp_path / 'process.sqlite'}", name="process")
        await asyncio.to_thread(database.migrate, "process_apis.migrations")
        await database.write(lambda c: seed(c, contracts=contracts, rows_each=rows_each))
        snapshot = snapshot_of(contracts)
        around = Around(
            database=database, tenant="acme", snapshot=lambda: snapshot, poll_s=0.02, **more
        )
        async with witnessing(witness, tmp_path) as url:
            systems = Systems(url, Signer.of(tmp_path, "process"))
            before = billing_around.bind(around), journey.bind(systems)
            async with durable.running(Durable(poll_s=0.02), tmp_path):
                await recovery.recover()
                yield Office(database, witness)
            gates.forget()
            await systems.aclose()
            billing_around.bind(before[0])
            journey.bind(before[1])
            await database.aclose()

    return made
