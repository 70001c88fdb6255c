"""What a test of billing holds: the desk, the database, the witness, and patience."""

import asyncio
from collections.abc import Callable

from billed_firm import CUTOFF
from erp_witness import Witness
from sqlalchemy import select

from chassis import travel
from chassis.database import Database
from contracts.ports.process.billing import BillingRunRequest, Decision
from contracts.principal import Principal
from process_apis.billing.desk import Desk
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
