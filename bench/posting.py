"""Posting throughput against an ERP witness: what share of its lanes is used, and none beyond.

Run: python bench/posting.py [--invoices 300] [--lanes 15] [--latency-ms 400]
Prints one JSON object. used_share: time the ERP's lanes were busy, over lanes x time from the
first call to the last answer.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import msgspec

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "process_apis" / "billing")]

# ruff: noqa: E402, ASYNC110 - the helpers lie beside their tests; polling is what a bench does
from billed_firm import CUTOFF, seed, snapshot_of
from erp_witness import Witness, witnessing
from sqlalchemy import func, select

from chassis import log, travel
from chassis.database import Database
from chassis.identity import Signer
from contracts.ports.process.billing import BillingRunRequest, Decision
from contracts.principal import Principal
from process_apis import durable, journey
from process_apis.billing import around as billing_around
from process_apis.billing.around import Around
from process_apis.billing.desk import Desk
from process_apis.durable import Durable
from process_apis.systems import Systems
from process_apis.tables import invoice


class Timed(Witness):
    """Adds up how long its lanes were busy."""

    first_s = last_s = 0.0
    beyond = 0

    async def post_invoice(self, body):
        began = perf_counter()
        self.first_s = self.first_s or began
        self.beyond += self.inside >= self.lanes
        try:
            return await super().post_invoice(body)
        finally:
            self.last_s = perf_counter()
            self.busy_s += self.last_s - began


async def measured(invoices: int, lanes: int, latency_ms: int, home: Path) -> dict[str, object]:
    witness = Timed(lanes=lanes, latency_s=latency_ms / 1000)
    database = Database(f"sqlite:///{home / 'process.sqlite'}", name="process")
    await asyncio.to_thread(database.migrate, "process_apis.migrations")
    await database.write(lambda c: seed(c, contracts=invoices, rows_each=5))
    snapshot = snapshot_of(invoices)
    billing_around.bind(
        Around(database=database, tenant="acme", snapshot=lambda: snapshot, allow_self_release=True)
    )
    request = BillingRunRequest(cutoff=CUTOFF, invoice_date=CUTOFF)
    principal = Principal("ann", frozenset({"process:*"}), "gateway")

    async def posted() -> int:
        query = select(func.count()).where(invoice.c.status == "POSTED")
        return await database.read(lambda c: c.execute(query).scalar_one())

    async with witnessing(witness, home) as url:
        journey.bind(Systems(url, Signer.of(home, "process")))
        async with durable.running(Durable(), home):
            desk, began = Desk(), perf_counter()
            with travel.using(travel.begin(principal=principal)):
                run = await desk.start_run(request)
                while (run := await desk.run(run.id)).state == "PREVIEWING":
                    await asyncio.sleep(0.02)
                previewed_s = perf_counter() - began
                await desk.approve_run(run.id, Decision())
                await desk.release_run(run.id, Decision())
            while await posted() < invoices:
                await asyncio.sleep(0.1)
    span_s = witness.last_s - witness.first_s
    return {
        "invoices": invoices, "lanes": lanes, "latency_ms": latency_ms,
        "preview_s": round(previewed_s, 2), "posting_s": round(span_s, 2),
        "invoices_per_s": round(invoices / span_s, 1),
        "used_share": round(witness.busy_s / (span_s * lanes), 3),
        "calls_beyond_lanes": witness.beyond, "most_at_once": witness.most_inside,
        "duplicates": witness.duplicates(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--invoices", type=int, default=300)
    parser.add_argument("--lanes", type=int, default=15)
    parser.add_argument("--latency-ms", type=int, default=400)
    asked = parser.parse_args()
    log.configure("bench", level="error")
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(measured(asked.invoices, asked.lanes, asked.latency_ms, Path(home)))
    print(msgspec.json.format(msgspec.json.encode(found)).decode())


if __name__ == "__main__":
    main()
