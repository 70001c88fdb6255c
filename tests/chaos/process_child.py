"""The process tier's billing as a process of its own, to be killed: it goes on from where it is.

Arguments: home folder, address of the ERP witness, number of contracts; a replica's name and the
PostgreSQL it shares with the others, when it is one of several.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "process_apis" / "billing"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from billed_firm import CUTOFF, snapshot_of

from chassis import travel
from chassis.database import Database
from chassis.identity import Signer
from contracts.ports.process.billing import BillingRunRequest, Decision
from contracts.principal import Principal
from process_apis import durable, journey
from process_apis.beats import Beats
from process_apis.billing import around as billing_around
from process_apis.billing import posting, recovery
from process_apis.billing.around import Around
from process_apis.billing.desk import Desk
from process_apis.durable import Durable
from process_apis.systems import Systems

BEAT_S, SILENT_S = 0.1, 6.0


async def released() -> None:
    """Whatever an earlier life has done already, the run is released in the end."""
    desk = Desk()
    request = BillingRunRequest(cutoff=CUTOFF, invoice_date=CUTOFF)
    principal = Principal("ann", frozenset({"process:*"}), "gateway")
    with travel.using(travel.begin(principal=principal)):
        run = await desk.start_run(request)
        while run.state == "PREVIEWING":
            await asyncio.sleep(0.02)
            run = await desk.start_run(request)
        if run.state == "PREVIEW":
            run = await desk.approve_run(run.id, Decision())
        if run.state == "APPROVED":
            await desk.release_run(run.id, Decision())


async def main(
    home: Path, url: str, contracts: int, executor: str = "process-1", shared: str = ""
) -> None:
    snapshot = snapshot_of(contracts)
    database = Database(shared or f"sqlite:///{home / 'process.sqlite'}", name="process")
    billing_around.bind(
        Around(
            database=database, tenant="acme", snapshot=lambda: snapshot,
            allow_self_release=True, poll_s=0.02,
        )
    )  # fmt: skip
    journey.bind(Systems(url, Signer.of(home, "process")))
    engine = Durable(poll_s=0.02, executor=executor, url=f"{shared}_runs" if shared else "")
    async with durable.running(engine, home):
        await recovery.recover()
        if shared:
            posting.DEADLINE_S = SILENT_S / 2
            beats = asyncio.create_task(Beats(database, executor, BEAT_S, SILENT_S).run())
            while not (home / "go").exists():
                await asyncio.sleep(0.02)
        if executor == "process-1":
            await released()
        await (beats if shared else asyncio.Event().wait())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
