"""Turn rows into contract structs and ledger structs into rows, the same way for every reader."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row

from contracts.entities.ledger import BillableTransaction, RateTrace, TransactionDraft
from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import WorkItem
from contracts.money import Money
from contracts.ports.process.time_entries import EntryStatus
from process_apis.bulk import Form

_traces = msgspec.json.Decoder(RateTrace)
_entries = msgspec.json.Decoder(TimeEntry)
_objects = msgspec.json.Decoder(dict[str, Any])
_keys = msgspec.json.Decoder(tuple[str, ...])
_encode = msgspec.json.Encoder().encode

LEDGER_COLUMNS = (
    "id", "type", "source_id", "source_version", "seq", "project", "task", "contract",
    "contract_line", "resource", "role", "legal_entity", "employer", "billing_account",
    "work_date", "op_minutes", "bill_minutes", "rate", "multiplier", "currency", "amount_exact",
    "chargeable", "status", "hold_reason", "po", "item", "tax_key", "cause", "cause_ref",
    "rate_trace", "created_at", "reverses",
)  # fmt: skip


def ledger_row(
    draft: TransactionDraft,
    id: str,
    created_at: Any,
    form: Form,
    *,
    status: str,
    cause: str,
    cause_ref: str,
    reverses: str = "",
    sign: int = 1,
) -> tuple[Any, ...]:
    """A tuple for LEDGER_COLUMNS. created_at: already in the database's form. sign: -1 reverses."""
    amount = draft.amount_exact if sign > 0 else -draft.amount_exact
    return (
        id, draft.type, draft.source_id, draft.source_version, draft.seq, draft.project,
        draft.task, draft.contract, draft.contract_line, draft.resource, draft.role,
        draft.legal_entity, draft.employer, draft.billing_account, form.day(draft.work_date),
        sign * draft.op_minutes, sign * draft.bill_minutes, str(draft.rate),
        str(draft.multiplier), draft.currency, str(amount), draft.chargeable, status,
        draft.hold_reason, draft.po, draft.item, draft.tax_key, cause, cause_ref,
        None if draft.rate_trace is None else _encode(draft.rate_trace), created_at, reverses,
    )  # fmt: skip


def transaction_of(row: Row[Any]) -> BillableTransaction:
    """A whole row of `ledger`."""
    return BillableTransaction(
        id=row.id,
        type=row.type,
        source_id=row.source_id,
        source_version=row.source_version,
        seq=row.seq,
        project=row.project,
        task=row.task,
        contract=row.contract,
        contract_line=row.contract_line,
        resource=row.resource,
        role=row.role,
        legal_entity=row.legal_entity,
        employer=row.employer,
        billing_account=row.billing_account,
        work_date=row.work_date,
        op_minutes=row.op_minutes,
        bill_minutes=row.bill_minutes,
        rate=row.rate,
        multiplier=row.multiplier,
        currency=row.currency,
        amount_exact=row.amount_exact,
        chargeable=row.chargeable,
        status=row.status,
        hold_reason=row.hold_reason,
        po=row.po,
        item=row.item,
        tax_key=row.tax_key,
        cause=row.cause,
        cause_ref=row.cause_ref,
        rate_trace=None if row.rate_trace is None else _traces.decode(row.rate_trace),
        created_at=row.created_at,
        reverses=row.reverses,
        invoice_id=row.invoice_id,
        invoice_line=row.invoice_line,
        billed_minor=row.billed_minor,
    )


def work_item_of(row: Row[Any]) -> WorkItem:
    """A whole row of `work_item`."""
    risk = None
    if row.at_risk_minor is not None:
        risk = Money(row.at_risk_minor, row.at_risk_currency)
    return WorkItem(
        id=row.id,
        code=row.code,
        severity=row.severity,
        owner=row.owner,
        state=row.state,
        stage=row.stage,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        subject_version=row.subject_version,
        group_key=row.group_key,
        root=row.root,
        unblock_keys=_keys.decode(row.unblock_keys),
        hint=row.hint,
        context=_objects.decode(row.context),
        amount_at_risk=risk,
        assignee=row.assignee,
        attempts=row.attempts,
        opened_at=row.opened_at,
        due_at=row.due_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution,
    )


def entry_of(payload: bytes) -> TimeEntry:
    """The stored JSON of an entry."""
    return _entries.decode(payload)


def entry_status_of(
    row: Row[Any],
    transactions: Sequence[BillableTransaction] = (),
    work_items: Sequence[WorkItem] = (),
    *,
    whole: bool = False,
) -> EntryStatus:
    """A whole row of `time_entry`. whole: with the entry itself."""
    amount = None if row.amount_minor is None else Money(row.amount_minor, row.currency)
    received_at: datetime = row.received_at
    return EntryStatus(
        entry_id=row.entry_id,
        source_version=row.source_version,
        billing_state=row.billing_state,
        work_date=row.work_date,
        resource=row.resource,
        project=row.project,
        contract=row.contract,
        minutes=row.minutes,
        amount=amount,
        received_at=received_at,
        evaluated_at=row.evaluated_at,
        transactions=tuple(transactions),
        work_items=tuple(work_items),
        entry=entry_of(row.payload) if whole else None,
    )
