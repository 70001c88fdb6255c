"""A clean little firm over a real database, SQLite always and PostgreSQL where there is one."""

import itertools
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import func, select

from chassis.database import Database
from contracts.entities.engagement import (
    Assignment,
    Contract,
    ContractLine,
    Project,
    RateCard,
    RateLine,
)
from contracts.entities.party import (
    BillingAccount,
    Client,
    CostRate,
    LegalEntity,
    Resource,
    Role,
)
from contracts.entities.record import CrossReference, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from process_apis.billing import drafts
from process_apis.intake import receive
from process_apis.intake.worker import Worker
from process_apis.replica.replica import Replica
from process_apis.tables import (
    event_log,
    inbox,
    ledger,
    time_entry,
    work_item,
)

AT = datetime(2026, 5, 1, 9, tzinfo=UTC)
DAY = date(2026, 5, 4)
_names = itertools.count(1)


def origin(system: str, id: str, version: int = 1) -> dict[str, Any]:
    return {"ref": Ref(system, id), "source_version": version, "source_updated_at": AT}


def firm() -> dict[str, Any]:
    """Every record by a short name; one entry of it bills 140.00 GBP an hour."""
    return {
        "client": Client(**origin("salesforce", "a1"), code="ACME", name="Acme", country="GB"),
        "le": LegalEntity(
            **origin("netsuite", "3"), code="LE-UK", name="UK", country="GB",
            functional_currency="GBP", tax_registration="GB1",
        ),
        "account": BillingAccount(
            **origin("netsuite", "501"), code="BA-1", client=coded("ACME"),
            legal_entity=coded("LE-UK"), currency="GBP", bill_to_name="Acme",
            bill_to_address="1 Road", bill_to_country="GB", contact_email="ap@acme.example",
        ),
        "contract": Contract(
            **origin("salesforce", "c1"), code="C-1", client=Ref("salesforce", "a1"),
            billing_account=coded("BA-1"), legal_entity=coded("LE-UK"), currency="GBP",
            start=date(2026, 1, 1), lines=(ContractLine(line_no=1),), late_time_days=10_000,
        ),
        "project": Project(
            **origin("kantata", "1001"), code="P-1", name="One", client=coded("ACME"),
            contract=coded("C-1"), start=date(2026, 1, 1),
        ),
        "senior": Role(**origin("workday", "r1"), code="SENIOR", name="Senior"),
        "person": Resource(
            **origin("workday", "w9"), code="P9", name="Nine", email="nine@firm.example",
            legal_entity=coded("LE-UK"), home_role=coded("SENIOR"), country="GB",
            hire_date=date(2020, 1, 1),
        ),
        "assignment": Assignment(
            **origin("kantata", "as1"), code="AS-1", project=coded("P-1"), resource=coded("P9"),
            role=coded("SENIOR"),
        ),
        "card": RateCard(
            **origin("salesforce", "rc1"), code="RC-1", name="Acme", owner="CONTRACT",
            owner_code="C-1", currency="GBP",
            lines=(RateLine(id="L1", role="SENIOR", rate=Decimal(140)),),
        ),
        "cost": CostRate(
            **origin("workday", "cr1"), code="CR-1", resource=coded("P9"), currency="GBP",
            rate=Decimal(88), valid_from=date(2020, 1, 1),
        ),
    }  # fmt: skip


def maps() -> list[CrossReference]:
    def mapped(entity: str, code: str, system: str, id: str) -> CrossReference:
        return CrossReference(entity=entity, code=code, system=system, external_id=id)

    return [
        mapped("resource", "P9", "kantata", "17"),
        mapped("tax_code", "LE-UK:S", "netsuite", "VAT20"),
        mapped("item", "TIME", "netsuite", "77"),
        mapped("gl_dimension", "LE-UK", "netsuite", "D1"),
    ]


class World:
    """A process tier without its door: what comes in, what is judged, what the tables say."""

    entry_day = DAY

    def __init__(self, database: Database) -> None:
        self.database = database
        self.replica = self.another_replica()
        self.worker = self.another_worker(self.replica)
        self.records = firm()

    def another_replica(self) -> Replica:
        return Replica(erp_instance_of={}, default_erp="netsuite")

    def another_worker(self, replica: Replica, batch: int = 2_000) -> Worker:
        return Worker(
            self.database, replica, source="/acme/process", recalculate=drafts.recalculate,
            batch=batch,
        )  # fmt: skip

    async def found(self, *, without: tuple[str, ...] = ()) -> None:
        """The firm as the feeds would bring it. without: names of records to leave out."""
        records = [record for name, record in self.records.items() if name not in without]
        await self.replica.take(self.database, records, maps())

    async def change(self, name: str, **fields: Any) -> Any:
        record = self.records[name]
        changed = msgspec.structs.replace(
            record, source_version=record.source_version + 1, **fields
        )
        self.records[name] = changed
        return await self.replica.take(self.database, [changed])

    async def mended(self, _taken: Any) -> None:
        self.worker.poke()

    def entry(self, id: str = "1", version: int = 1, **fields: Any) -> TimeEntry:
        given: dict[str, Any] = {
            "ref": Ref("kantata", id), "source_version": version, "source_updated_at": AT,
            "resource": Ref("kantata", "17"), "project": Ref("kantata", "1001"),
            "role": coded("SENIOR"), "work_date": DAY, "minutes": 60, "status": "APPROVED",
            "approval": Approval(approver=None, decided_at=AT, subject_version=version),
            "narrative": f"work {id}", "created_at": AT,
        }  # fmt: skip
        return TimeEntry(**(given | fields))

    async def deliver(self, *entries: TimeEntry, judge: bool = True) -> tuple[int, int]:
        """Into the inbox as events named by version; (accepted, dropped)."""
        arrivals = [
            receive.arrival("/acme/kantata", f"time_entry:{e.ref}:{e.source_version}", e)
            for e in entries
        ]
        counts = await self.database.write(lambda c: receive.store(c, arrivals, AT))
        if judge:
            await self.worker.drain()
        return counts

    def rows(self, query: Any) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(query).all())

    def scalar(self, query: Any) -> Any:
        with self.database.reading() as connection:
            return connection.execute(query).scalar()

    def state(self, id: str = "1") -> str:
        where = time_entry.c.entry_id == f"kantata:{id}"
        return str(self.scalar(select(time_entry.c.billing_state).where(where)))

    def live_rows(self, id: str = "1") -> list[Any]:
        query = select(ledger).where(
            ledger.c.source_id == f"kantata:{id}", ledger.c.status != "REVERSED"
        )
        return self.rows(query.order_by(ledger.c.type, ledger.c.seq))

    def codes(self, id: str = "1", state: str = "OPEN") -> set[str]:
        query = select(work_item.c.code).where(
            work_item.c.subject_id == f"kantata:{id}", work_item.c.state == state
        )
        return {row.code for row in self.rows(query)}

    def count(self, table: Any) -> int:
        return int(self.scalar(select(func.count()).select_from(table)))

    def waiting(self) -> int:
        where = inbox.c.state == "WAITING"
        return int(self.scalar(select(func.count()).select_from(inbox).where(where)))

    def event_types(self) -> list[str]:
        return [row.type for row in self.rows(select(event_log).order_by(event_log.c.position))]

    def do(self, work: Any) -> Any:
        with self.database.transaction() as connection:
            return work(connection)


def migrated(url: str) -> str:
    database = Database(url, name="process", durable=False)
    database.migrate("process_apis.migrations")
    database.close()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once a worker; tests have copies."""
    path = tmp_path_factory.mktemp("template") / "process.sqlite"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(_postgres: str) -> str:
    """Name of a migrated database nobody is connected to."""
    name = f"process_template_{os.getpid()}"
    with psycopg.connect(f"{_postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    migrated(f"{_postgres}/{name}")
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database of its own, without a row."""
    if request.param == "sqlite":
        path = tmp_path / "process.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server = request.getfixturevalue("_postgres")
    template = request.getfixturevalue("postgres_template")
    name = f"process_{os.getpid()}_{next(_names)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server}/{name}"


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    """The firm, founded."""
    database = Database(url, name="process", durable=False)
    made = World(database)
    try:
        await made.found()
        yield made
    finally:
        await database.aclose()
