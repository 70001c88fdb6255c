"""The process tier's billing at work against an ERP witness on a socket."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from billed_firm import CUTOFF, seed, snapshot_of
from erp_witness import Witness, witnessing
from sqlalchemy import select

from chassis import travel
from chassis.database import Database
from chassis.identity import Signer
from contracts.ports.process.billing import BillingRunRequest, Decision
from contracts.principal import Principal
from process_apis import durable, journey
from process_apis.billing import around as billing_around
from process_apis.billing import gates, recovery
from process_apis.billing.around import Around
from process_apis.billing.desk import Desk
from process_apis.durable import Durable
from process_apis.systems import Systems
from process_apis.tables import invoice


class Office:
    """What a test holds: the desk, the database, the witness."""

    def __init__(self, database: Database, witness: Witness) -> None:
        self.desk, self.database, self.witness = Desk(), database, witness

    def acting(self, name: str):
        """Requests inside are this person's."""
        principal = Principal(name, frozenset({"process:*"}), "gateway")
        return travel.using(travel.begin(principal=principal))

    async def released(self, request: BillingRunRequest | None = None) -> str:
        """A run previewed, approved and released by two people; its id."""
        with self.acting("ann"):
            run = await self.desk.start_run(request or request_of())
        await until(lambda: self.state_of(run.id), "PREVIEW")
        with self.acting("bob"):
            await self.desk.approve_run(run.id, Decision())
            await self.desk.release_run(run.id, Decision())
        return run.id

    async def state_of(self, id: str) -> str:
        run = await self.desk.run(id)
        return "" if run is None else run.state

    async def statuses(self) -> list[str]:
        query = select(invoice.c.status).order_by(invoice.c.external_ref)
        return await self.database.read(lambda c: list(c.execute(query).scalars()))

    async def only(self):
        """The one invoice there is."""
        return await self.database.read(lambda c: c.execute(select(invoice)).one())


def request_of(**more) -> BillingRunRequest:
    return BillingRunRequest(cutoff=CUTOFF, invoice_date=CUTOFF, **more)


async def until(look: Callable, expected, within_s: float = 15.0) -> None:
    """Poll until look() answers as expected."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while (found := await look()) != expected:
        if loop.time() > end:
            raise AssertionError(f"still {found!r}, expected {expected!r}")
        await asyncio.sleep(0.02)


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
