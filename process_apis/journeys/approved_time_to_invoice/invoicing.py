"""From ready ledger rows to invoice documents: who is billed together, by line, for how much.

Deterministic: the same rows, run and snapshot give the same documents in the same order, however
the rows came in. A line is the first place that rounds money: net = rounded sum of exact amounts.
Sums are cleaned at twelve decimals first, so that thirds of an hour which add up to whole ones do.

Source  domain.md B.1 (2 to 4), C.3, C.4 (external_ref); EN 16931 BR-CO-10, Peppol R120.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal, NamedTuple

from msgspec import Struct, json

from contracts.entities.engagement import Contract
from contracts.entities.ledger import BillableTransaction, Invoice, InvoiceLine
from contracts.entities.party import BillingAccount, LegalEntity
from contracts.ids import external_ref
from contracts.money import Money, exponent, money
from process_apis.journeys.approved_time_to_invoice.rules.snapshot import Snapshot

CLEAN = Decimal("1e-12")
WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
SIX = Decimal("0.000001")
SIXTY = Decimal(60)
MAX_LINES = 900

Flag = Literal["INVOICE", "CREDIT_NOTE", "ZERO"]


class GroupKey(NamedTuple):
    """What may not be mixed on one document, in the order of external_ref (golden vector 17).

    consolidation: contract, `contract/project`, `client:<code>` or empty, as the contract says.
    project: only where the profile allows one project a document (Peppol).
    """

    legal_entity: str
    erp_instance: str
    billing_account: str
    currency: str
    consolidation: str
    po: str
    tax_treatment: str
    period: str
    delivery: str
    project: str = ""


class LineKey(NamedTuple):
    """Rows that share it are one line. Order is the order of lines."""

    project: str
    task: str
    role: str
    rate: Decimal
    multiplier: Decimal
    tax_key: str
    item: str
    contract: str
    contract_line: int


class DraftInvoice(Struct, frozen=True, kw_only=True):
    """A document before it has an id.

    kind: INV or CN. split: 0, 1, 2, ... within the group. billed: (transaction id, line number,
    minor units), by line and id; adds up to each line's net.
    """

    external_ref: str
    kind: Literal["INV", "CN"]
    flag: Flag
    key: GroupKey
    contract: str
    split: int
    invoice_date: date
    service_from: date
    service_to: date
    net: Money
    content_hash: str
    lines: tuple[InvoiceLine, ...]
    billed: tuple[tuple[str, int, int], ...]

    def invoice(self, id: str, run: str) -> Invoice:
        """The same as an Invoice in status DRAFT."""
        return Invoice(
            id=id,
            external_ref=self.external_ref,
            billing_run=run,
            legal_entity=self.key.legal_entity,
            erp_instance=self.key.erp_instance,
            billing_account=self.key.billing_account,
            currency=self.key.currency,
            contract=self.contract,
            po=self.key.po,
            service_from=self.service_from,
            service_to=self.service_to,
            invoice_date=self.invoice_date,
            status="DRAFT",
            net=self.net,
            content_hash=self.content_hash,
            lines=self.lines,
            detail={
                "kind": self.kind,
                "flag": self.flag,
                "split": self.split,
                "period": self.key.period,
                "tax_treatment": self.key.tax_treatment,
                "delivery": self.key.delivery,
            },
        )


def is_billable(row: BillableTransaction, cutoff: date) -> bool:
    """May this row go on an invoice of work done before cutoff (exclusive)."""
    return (
        row.type == "UNBILLED_SALES"
        and row.chargeable == "CHARGEABLE"
        and row.status == "READY"
        and row.work_date < cutoff
    )


def group(
    transactions: Iterable[BillableTransaction],
    snapshot: Snapshot,
    *,
    tenant: str,
    run: str,
    cutoff: date,
    invoice_date: date,
) -> tuple[DraftInvoice, ...]:
    """Documents in order of their key and split. Rows that are not billable are left out."""
    groups: dict[GroupKey, list[BillableTransaction]] = {}
    for row in transactions:
        if is_billable(row, cutoff):
            groups.setdefault(key_of(row, snapshot, cutoff), []).append(row)
    drafts: list[DraftInvoice] = []
    for key in sorted(groups):
        lines = _lines(groups[key], key.currency)
        most = _max_lines(snapshot, key.legal_entity)
        for split in range(0, len(lines), most):
            part = lines[split : split + most]
            drafts.append(_document(key, part, tenant, run, split // most, invoice_date))
    return tuple(drafts)


def key_of(row: BillableTransaction, snapshot: Snapshot, cutoff: date) -> GroupKey:
    """The group of a row. Earlier periods' rows go with the run's period (late time)."""
    account = snapshot.get("billing_account", row.billing_account)
    contract = snapshot.get("contract", row.contract)
    delivery = account.delivery if isinstance(account, BillingAccount) else ""
    treatment = account.tax_treatment if isinstance(account, BillingAccount) else ""
    cycle = contract.billing_cycle if isinstance(contract, Contract) else "MONTHLY"
    return GroupKey(
        legal_entity=row.legal_entity,
        erp_instance=snapshot.erp_instance_of.get(row.legal_entity, ""),
        billing_account=row.billing_account,
        currency=row.currency,
        consolidation=_consolidation(row, snapshot),
        po=row.po,
        tax_treatment=treatment,
        period=period_of(cutoff, cycle),
        delivery=delivery,
        project=row.project if delivery == "PEPPOL" else "",
    )


def _consolidation(row: BillableTransaction, snapshot: Snapshot) -> str:
    contract = snapshot.get("contract", row.contract)
    rule = contract.consolidation if isinstance(contract, Contract) else "PER_CONTRACT"
    if rule == "PER_PROJECT":
        return f"{row.contract}/{row.project}"
    if rule == "PER_CLIENT" and isinstance(contract, Contract):
        return f"client:{snapshot.resolve('client', contract.client)}"
    return "" if rule == "PER_PO" and row.po else row.contract


def period_of(cutoff: date, cycle: str) -> str:
    """The period that ends with the cutoff: 2026-05, 2026-05-A (to the 15th) or -B, 2026-W22."""
    last = cutoff - timedelta(days=1)
    if cycle == "WEEKLY":
        year, week, _ = last.isocalendar()
        return f"{year}-W{week:02d}"
    half = ("-A" if last.day <= 15 else "-B") if cycle == "SEMI_MONTHLY" else ""
    return f"{last.year}-{last.month:02d}{half}"


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, cleaned of what 28 digits could not hold of repeating fractions."""
    total = Decimal(0)
    for amount in amounts:
        total = WIDE.add(total, amount)
    return total.quantize(CLEAN, context=WIDE)


def spread_billed(rows: Sequence[tuple[str, Decimal]], net: Money) -> dict[str, int]:
    """A line's net in minor units over its rows (id, exact amount): largest remainder, then id.

    Each row gets its own amount rounded down or up by one, so mixed signs are fine.
    """
    sign = -1 if net.minor < 0 else 1
    scale = Decimal(10) ** exponent(net.currency) * sign
    exact = [(id, (amount * scale).quantize(CLEAN, context=WIDE)) for id, amount in sorted(rows)]
    floors = {id: int(value // 1) - (value % 1 < 0) for id, value in exact}
    left = abs(net.minor) - sum(floors.values())
    by_remainder = sorted(exact, key=lambda each: (floors[each[0]] - each[1], each[0]))
    for id, _ in by_remainder[:left]:
        floors[id] += 1
    return {id: sign * value for id, value in floors.items()}


def _max_lines(snapshot: Snapshot, legal_entity: str) -> int:
    entity = snapshot.get("legal_entity", legal_entity)
    return max(1, entity.max_lines_per_invoice if isinstance(entity, LegalEntity) else MAX_LINES)


def _line_key(row: BillableTransaction) -> LineKey:
    return LineKey(
        row.project,
        row.task,
        row.role,
        row.rate.normalize(),
        row.multiplier.normalize(),
        row.tax_key,
        row.item,
        row.contract,
        row.contract_line,
    )


_Line = tuple[LineKey, list[BillableTransaction], Money]


def _lines(rows: Iterable[BillableTransaction], currency: str) -> list[_Line]:
    grouped: dict[LineKey, list[BillableTransaction]] = {}
    for row in rows:
        grouped.setdefault(_line_key(row), []).append(row)
    lines: list[_Line] = []
    for key in sorted(grouped):
        members = sorted(grouped[key], key=lambda row: row.id)
        total = exact_sum(row.amount_exact for row in members)
        lines.append((key, members, money(total, currency)))
    return lines


def _document(
    key: GroupKey, part: Sequence[_Line], tenant: str, run: str, split: int, invoice_date: date
) -> DraftInvoice:
    lines = tuple(_line(number, each) for number, each in enumerate(part, start=1))
    net = Money(sum(line.net.minor for line in lines), key.currency)
    kind: Literal["INV", "CN"] = "CN" if net.minor < 0 else "INV"
    flag: Flag = "CREDIT_NOTE" if net.minor < 0 else "INVOICE" if net.minor else "ZERO"
    billed = tuple(
        (id, number, minor)
        for number, (_, members, amount) in enumerate(part, start=1)
        for id, minor in spread_billed([(r.id, r.amount_exact) for r in members], amount).items()
    )
    contracts = {line_key.contract for line_key, _, _ in part}
    reference = external_ref(
        tenant, key.legal_entity, kind, reference_parts(tenant, key, run, split)
    )
    return DraftInvoice(
        external_ref=reference,
        kind=kind,
        flag=flag,
        key=key,
        contract=contracts.pop() if len(contracts) == 1 else "",
        split=split,
        invoice_date=invoice_date,
        service_from=min(line.period_from for line in lines),
        service_to=max(line.period_to for line in lines),
        net=net,
        content_hash=content_hash(reference, key, invoice_date, lines),
        lines=lines,
        billed=billed,
    )


def reference_parts(tenant: str, key: GroupKey, run: str, split: int) -> tuple[str, ...]:
    """What external_ref digests. The project is part of it only where it is part of the group."""
    extra = (key.project,) if key.project else ()
    return (tenant, *key[:9], *extra, run, str(split))


def _line(number: int, line: _Line) -> InvoiceLine:
    key, members, net = line
    minutes = sum(row.bill_minutes for row in members)
    days = [row.work_date for row in members]
    what = ", ".join(part for part in (key.role or "Time", key.task, key.project) if part)
    return InvoiceLine(
        line_no=number,
        description=f"{what}, {min(days).isoformat()} to {max(days).isoformat()}",
        quantity=quantity(minutes),
        unit_price=(members[0].rate * members[0].multiplier).quantize(SIX, ROUND_HALF_UP),
        net=net,
        project=key.project,
        item=key.item,
        tax_key=key.tax_key,
        period_from=min(days),
        period_to=max(days),
        transactions=tuple(row.id for row in members),
    )


def quantity(minutes: int) -> Decimal:
    """Hours with six decimals, as R120 wants them."""
    return (Decimal(minutes) / SIXTY).quantize(SIX, ROUND_HALF_UP)


def content_hash(
    reference: str, key: GroupKey, invoice_date: date, lines: Sequence[InvoiceLine]
) -> str:
    """sha256 over what is sent: not over our row ids."""
    body = [
        reference,
        list(key),
        invoice_date,
        [
            (
                line.description,
                line.quantity,
                line.unit_price,
                line.net.minor,
                line.item,
                line.tax_key,
                line.project,
            )
            for line in lines
        ],
    ]
    return hashlib.sha256(json.encode(body)).hexdigest()
