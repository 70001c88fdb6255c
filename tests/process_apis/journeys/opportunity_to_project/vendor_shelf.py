"""Four vendor systems in memory that create or match by reference, and a replica of them."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal

from chassis.database import Database
from contracts.entities.deal import Deal, DealLinks
from contracts.entities.engagement import RateCard
from contracts.entities.party import Client, LegalEntity
from contracts.ids import Ref
from contracts.ports.system.system import Placed
from contracts.problem import Fault, Problem
from process_apis.journeys.approved_time_to_invoice.rules import Policies, Snapshot

AT = datetime(2026, 6, 1, tzinfo=UTC)


def deal(**more) -> Deal:
    fields = {
        "ref": Ref("salesforce", "006-1"), "source_version": 1, "source_updated_at": AT,
        "name": "Rollout", "client": Ref("salesforce", "001-1"), "stage": "WON",
        "amount": Decimal(90000), "currency": "GBP", "contract_type": "TM",
        "legal_entity": "LE-UK", "project_code": "P-0042", "start": date(2026, 7, 1),
        "end": date(2027, 1, 1), "rate_card": "RC-STD-GBP", "signed": True,
    }  # fmt: skip
    return Deal(**(fields | more))


class Shelf:
    """Records by reference in one system. faults: by operation, taken one at a time."""

    def __init__(self) -> None:
        self.there: dict[tuple[str, str], str] = {}
        self.gone: list[str] = []
        self.calls: list[str] = []
        self.faults: dict[str, list[str]] = {}
        self.links = DealLinks()
        self.won: Deal | None = deal()
        self.hold: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()

    async def _called(self, name: str) -> str:
        self.calls.append(name)
        if name in self.hold:
            self.reached.set()
            await self.hold[name].wait()
        fault = (self.faults.get(name) or [""]).pop(0)
        if fault == "refused":
            raise Problem(Fault.VENDOR_REJECTED, f"{name} refused.")
        if fault == "down":
            raise Problem(Fault.VENDOR_DOWN, "Nothing was sent.")
        return fault

    async def _put(self, kind: str, reference: str) -> Placed:
        fault = await self._called(f"put_{kind}")
        created = (kind, reference) not in self.there
        id = self.there.setdefault((kind, reference), f"{kind}-{len(self.there) + 1}")
        if fault == "lost_reply":
            raise Problem(Fault.VENDOR_SILENT, "No answer.")
        return Placed(ref=Ref("x", id), created=created)

    async def _by(self, kind: str, reference: str) -> Placed | None:
        id = self.there.get((kind, reference))
        return None if id is None else Placed(ref=Ref("x", id), created=False)

    async def _end(self, kind: str, id: str) -> None:
        await self._called(f"end_{kind}")
        self.gone.append(id)
        self.there = {key: value for key, value in self.there.items() if value != id}

    # Crm
    async def deal(self, id):
        await self._called("deal")
        return self.won

    async def link_deal(self, id, body):
        await self._called("link_deal")
        self.links = body

    async def put_client(self, reference, body):
        return await self._put("client", reference)

    async def put_contract(self, reference, body):
        return await self._put("contract", reference)

    async def contract_by_reference(self, reference):
        return await self._by("contract", reference)

    async def terminate_contract(self, id):
        await self._end("contract", id)

    # Psa
    async def put_project(self, reference, body):
        return await self._put("project", reference)

    async def project_by_reference(self, reference):
        return await self._by("project", reference)

    async def cancel_project(self, id):
        await self._end("project", id)

    # Erp
    async def put_customer(self, reference, body):
        return await self._put("customer", reference)

    async def put_job(self, reference, body):
        return await self._put("job", reference)

    async def job_by_reference(self, reference):
        return await self._by("job", reference)

    async def close_job(self, id):
        await self._end("job", id)

    # Scheduling
    async def put_scheduled_project(self, reference, body):
        return await self._put("scheduled", reference)

    async def put_booking(self, reference, body):
        return await self._put("booking", reference)

    async def booking_by_reference(self, reference):
        return await self._by("booking", reference)

    async def release_booking(self, id):
        await self._end("booking", id)


class Firm:
    """The systems, and the port of runs over them."""

    def __init__(self, database: Database) -> None:
        self.systems = Shelf()
        self.database, self.runs = database, None

    def port(self, kind, instance):
        return self.systems

    def kinds(self) -> set[str]:
        """What stands in the systems."""
        return {kind for kind, _ in self.systems.there}

    async def ended(self, id: str, within_s: float = 15.0):
        """The run, once it has ended."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while loop.time() < end:
            run = await self.runs.run(id)
            if run is not None and run.state in ("DONE", "FAILED", "CANCELLED"):
                return run
            await asyncio.sleep(0.02)
        raise AssertionError(f"{id} has not ended: {run}")


def replica() -> Snapshot:
    base = {"source_version": 1, "source_updated_at": AT}
    records = [
        LegalEntity(ref=Ref("netsuite", "7"), code="LE-UK", name="UK", country="GB",
                    functional_currency="GBP", **base),
        Client(ref=Ref("salesforce", "001-1"), code="CL-0001", name="Client", country="GB", **base),
        RateCard(ref=Ref("kantata", "5"), code="RC-STD-GBP", name="std", currency="GBP", **base),
    ]  # fmt: skip
    return Snapshot.build(
        records, [], erp_instance_of={"LE-UK": "netsuite"}, policies=Policies(), version="1"
    )
