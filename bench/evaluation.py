"""Evaluation against the physical limit: the same rows bulk-inserted into the same database.

A: the inbox of the demo firm is evaluated, turn by turn, each turn one durable commit.
B: the rows A wrote (entries, ledger, queue, events) go into an empty database in as many commits.
Run A B A B; medians of entries a second. Source: domain.md F.2 (the firm), performance.md (bars).

    python -m bench.evaluation [--size S|M|L] [--rounds 3] [--batch 2000]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter, process_time

from sqlalchemy import Table

from chassis.database import Database
from contracts.entities.master import MasterRecord
from contracts.entities.record import CrossReference, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from process_apis import bulk
from process_apis.billing import drafts
from process_apis.intake import evaluate, receive
from process_apis.replica.replica import Replica
from process_apis.tables import event_log, ledger, time_entry, unblock_key, work_item
from sandbox.firm.generate import generate
from sandbox.firm.model import Firm

AT = datetime(2026, 11, 20, tzinfo=UTC)
WRITTEN: tuple[Table, ...] = (time_entry, ledger, work_item, unblock_key, event_log)
TREATMENTS = ("S", "DOMESTIC", "REVERSE_CHARGE", "EXPORT", "INTERCOMPANY", "EXEMPT")


def records(firm: Firm) -> list[MasterRecord]:
    """All master data of the firm."""
    return [
        *firm.legal_entities, *firm.roles, *firm.cost_centres, *firm.resources, *firm.cost_rates,
        *firm.leaves, *firm.clients, *firm.billing_accounts, *firm.contracts, *firm.projects,
        *firm.tasks, *firm.assignments, *firm.allocations, *firm.rate_cards,
        *firm.transfer_prices, *firm.periods, *firm.exchange_rates,
    ]  # fmt: skip


def maps(firm: Firm) -> Iterator[CrossReference]:
    """What the ERP would know, but for what the firm leaves out on purpose."""
    items = {line.erp_item for contract in firm.contracts for line in contract.lines} | {"TIME"}
    for entity, codes in (
        ("legal_entity", {e.code for e in firm.legal_entities} - firm.unmapped_entities),
        ("billing_account", {a.code for a in firm.billing_accounts} - firm.unmapped_customers),
        ("item", items - firm.unmapped_items - {""}),
        ("gl_dimension", {e.code for e in firm.legal_entities}),
        ("tax_code", {f"{e.code}:{t}" for e in firm.legal_entities for t in TREATMENTS}),
    ):
        for code in sorted(codes):
            yield CrossReference(
                entity=entity, code=code, system="netsuite", external_id=f"{entity}-{code}"
            )


def entries(firm: Firm) -> Iterator[TimeEntry]:
    """The timesheets, approved."""
    tasks = {(task.project.id, task.name): task.code for task in firm.tasks}
    for planned in firm.entries:
        title = planned.task_title
        at = datetime.combine(planned.work_date, datetime.min.time(), UTC)
        yield TimeEntry(
            ref=Ref("kantata", str(planned.number)),
            source_version=1,
            source_updated_at=at,
            resource=coded(planned.resource),
            project=coded(planned.project),
            task=None if title is None else coded(tasks.get((planned.project, title), title)),
            role=coded(planned.role),
            work_date=planned.work_date,
            minutes=planned.minutes,
            billable_flag="BILLABLE" if planned.billable else "NON_BILLABLE",
            narrative=planned.narrative,
            status="APPROVED",
            approval=Approval(approver=None, decided_at=at, subject_version=1),
            created_at=at,
        )


def opened(folder: Path, name: str) -> Database:
    """An empty, migrated, durable database."""
    database = Database(f"sqlite:///{folder / name}.sqlite", name="bench")
    database.migrate("process_apis.migrations")
    return database


def evaluated(database: Database, firm: Firm, batch: int) -> tuple[float, float, int]:
    """Seconds, processor seconds and entries of evaluating a full inbox."""
    replica = Replica(erp_instance_of={}, default_erp="netsuite")
    asyncio.run(replica.take(database, records(firm), list(maps(firm))))
    arrivals = [receive.arrival("/acme/kantata", f"time_entry:{e.ref}:1", e) for e in entries(firm)]
    for start in range(0, len(arrivals), receive.BATCH_MAX):
        with database.transaction() as connection:
            receive.store(connection, arrivals[start : start + receive.BATCH_MAX], AT)
    del arrivals
    began, worked, judged = perf_counter(), process_time(), 0
    while True:
        with database.transaction() as connection, replica.reading(connection) as snapshot:
            done = evaluate.turn(
                connection, snapshot, source="/acme/process", at=AT, limit=batch,
                recalculate=drafts.recalculate,
            )  # fmt: skip
        if not done.settled and not done.judged:
            return perf_counter() - began, process_time() - worked, judged
        judged += done.judged


def inserted(source: Database, target: Database, turns: int) -> float:
    """Seconds of writing the same rows in as many commits."""
    held = []
    for table in WRITTEN:
        with source.reading() as connection:
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table.name}"').all()
        held.append((table, [column.name for column in table.columns], [tuple(r) for r in rows]))
    began = perf_counter()
    for turn in range(turns):
        with target.transaction() as connection:
            for table, names, rows in held:
                first, last = (len(rows) * n // turns for n in (turn, turn + 1))
                bulk.insert(connection, table, names, rows[first:last])
    return perf_counter() - began


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="M", choices=("S", "M", "L"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2_000)
    asked = parser.parse_args()
    firm = generate(asked.size, 1, date(2026, 10, 1))
    rates, cpu, limits = [], [], []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = opened(Path(folder), "ours"), opened(Path(folder), "theirs")
            took_s, worked_s, judged = evaluated(ours, firm, asked.batch)
            limit_s = inserted(ours, theirs, -(-judged // asked.batch))
            ours.close()
            theirs.close()
        rates.append(judged / took_s)
        cpu.append(judged / worked_s)
        limits.append(judged / limit_s)
    rate, limit = statistics.median(rates), statistics.median(limits)
    print(
        json.dumps(
            {
                "case": "evaluation", "entries": judged, "rounds": asked.rounds,
                "entries_per_s": round(rate), "min": round(min(rates)), "max": round(max(rates)),
                "entries_per_cpu_s": round(statistics.median(cpu)),
                "bulk_insert_per_s": round(limit), "ratio": round(rate / limit, 2),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
