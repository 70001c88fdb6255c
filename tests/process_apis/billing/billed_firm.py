"""A small firm with ready ledger rows, written straight into the tables."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
from sqlalchemy import Connection, insert

from contracts.entities.engagement import Contract
from contracts.entities.party import BillingAccount, LegalEntity
from contracts.entities.record import CrossReference, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules import Policies, Snapshot
from process_apis.tables import cross_reference, ledger, time_entry

INSTANCE = "erp-test"
AT = datetime(2026, 6, 1, 8, tzinfo=UTC)
CUTOFF = date(2026, 6, 1)


def snapshot_of(contracts: int) -> Snapshot:
    """LE-UK with contracts C-0001.. each with its own account BA-0001.."""
    base = {"source_version": 1, "source_updated_at": AT}
    records = [
        LegalEntity(
            ref=Ref("x", "le"), code="LE-UK", name="UK", country="GB", functional_currency="GBP",
            **base,
        )
    ]  # fmt: skip
    for n in range(1, contracts + 1):
        records.append(
            BillingAccount(
                ref=Ref("x", f"ba{n}"), code=f"BA-{n:04d}", client=coded(f"CL-{n:04d}"),
                legal_entity=coded("LE-UK"), currency="GBP", **base,
            )
        )  # fmt: skip
        records.append(
            Contract(
                ref=Ref("x", f"c{n}"), code=f"C-{n:04d}", client=coded(f"CL-{n:04d}"),
                legal_entity=coded("LE-UK"), currency="GBP", start=date(2026, 1, 1),
                billing_account=coded(f"BA-{n:04d}"), **base,
            )
        )  # fmt: skip
    return Snapshot.build(
        records, [], erp_instance_of={"LE-UK": INSTANCE}, policies=Policies(), version="1"
    )


def seed(connection: Connection, *, contracts: int, rows_each: int) -> None:
    """READY rows, their entries, and the ERP's ids of everything. 20 minutes at 125.50 each."""
    known = [("legal_entity", "LE-UK", "sub-1"), ("item", "TIME", "item-1"),
             ("tax_code", "LE-UK:S", "tax-1")]  # fmt: skip
    known += [("billing_account", f"BA-{n:04d}", f"cust-{n}") for n in range(1, contracts + 1)]
    connection.execute(
        insert(cross_reference),
        [
            {"id": f"x-{entity}-{code}", "entity": entity, "code": code, "system": INSTANCE,
             "external_id": external, "match": "MANUAL", "valid_from": AT, "change_no": 1}
            for entity, code, external in known
        ],
    )  # fmt: skip
    rows, entries = [], []
    for n in range(1, contracts + 1):
        for k in range(rows_each):
            rows.append(_row(n, k))
            entries.append(_entry(n, k))
    connection.execute(insert(ledger), rows)
    connection.execute(insert(time_entry), entries)


def cross_references() -> list[CrossReference]:
    return []


def _row(n: int, k: int) -> dict[str, object]:
    return {
        "id": f"bt-{n:05d}-{k:05d}", "type": "UNBILLED_SALES", "source_id": f"psa:{n}-{k}",
        "source_version": 1, "seq": 0, "project": f"P-{n:04d}", "task": "T", "role": "SENIOR",
        "contract": f"C-{n:04d}", "contract_line": 1, "resource": "E0001",
        "legal_entity": "LE-UK", "employer": "LE-UK", "billing_account": f"BA-{n:04d}",
        "work_date": date(2026, 5, 1 + k % 28), "op_minutes": 0, "bill_minutes": 20,
        "rate": Decimal("125.50"), "multiplier": Decimal(1), "currency": "GBP",
        "amount_exact": Decimal("125.50") * 20 / 60, "chargeable": "CHARGEABLE",
        "status": "READY", "item": "TIME", "tax_key": "LE-UK:S", "cause": "ORIGINAL",
        "created_at": AT,
    }  # fmt: skip


def _entry(n: int, k: int) -> dict[str, object]:
    day = date(2026, 5, 1 + k % 28)
    entry = TimeEntry(
        ref=Ref("psa", f"{n}-{k}"), source_version=1, source_updated_at=AT,
        resource=coded("E0001"), project=coded(f"P-{n:04d}"), work_date=day, minutes=20,
        status="APPROVED",
        approval=Approval(approver=coded("E0002"), decided_at=AT, subject_version=1),
    )  # fmt: skip
    return {
        "entry_id": f"psa:{n}-{k}", "source_version": 1, "content_hash": b"h",
        "payload": msgspec.json.encode(entry), "billing_state": "READY",
        "contract": f"C-{n:04d}", "project": f"P-{n:04d}", "resource": "E0001", "work_date": day,
        "minutes": 20, "amount_minor": 4183, "currency": "GBP", "received_at": AT,
    }  # fmt: skip
