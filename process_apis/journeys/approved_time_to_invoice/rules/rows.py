"""From a judged entry to ledger rows, exact and unrounded.

Amounts are kept to 28 significant digits; the invoice line is the first place that rounds money.
Billing increments and half days round minutes, not money, and apply to each entry.

Source  domain.md B.1 (1), B.3 (day rates, increments), B.5, C.8 (four rows across entities).
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from msgspec.structs import replace

from contracts.entities.ledger import TransactionDraft, TransactionStatus
from contracts.entities.time_entry import TimeEntry
from process_apis.journeys.approved_time_to_invoice.rules.case import Case

SIXTY = Decimal(60)
ZERO = Decimal(0)
ONE = Decimal(1)
DRAFTS_MAX = 2  # a case: people book the same hours again and again, and there are many cases
MODES = {"NEAREST": ROUND_HALF_UP, "UP": ROUND_CEILING, "DOWN": ROUND_FLOOR}


def increment(minutes: int, step: int, mode: str, allow_zero: bool = False) -> int:
    """Minutes in whole steps; at least one step for any work unless allow_zero."""
    whole, rest = divmod(minutes, step)
    if rest and (mode == "UP" or (mode == "NEAREST" and rest * 2 >= step)):
        whole += 1
    if not whole and minutes > 0 and not allow_zero:
        whole = 1
    return whole * step


def billed(case: Case, minutes: int) -> tuple[int, Decimal]:
    """Minutes after increments and their exact amount. The case must have a price."""
    known = case.amounts.get(minutes)
    if known is None:
        known = case.amounts[minutes] = _billed(case, minutes)
    return known


def _billed(case: Case, minutes: int) -> tuple[int, Decimal]:
    price, contract = case.price, case.contract
    assert price is not None
    assert contract is not None
    allow_zero = case.snapshot.policies.allow_zero_increment
    if price.half_day_minutes is None:
        whole = increment(minutes, contract.increment_minutes, contract.increment_mode, allow_zero)
        return whole, price.unit * whole / SIXTY
    exact = Decimal(minutes) / price.half_day_minutes
    halves = exact.quantize(ONE, MODES[contract.increment_mode])
    if not halves and minutes > 0 and not allow_zero:
        halves = ONE
    worth = (halves * price.half_day_minutes).quantize(ONE, ROUND_HALF_UP)
    return int(worth), price.unit * halves


def build(
    entry: TimeEntry, case: Case, *, sales: TransactionStatus | None, hold: str
) -> tuple[TransactionDraft, ...]:
    """All rows of one version. sales: status of the chargeable row; None for no sales rows.

    Entries of one case with the same minutes have the same rows but for what they are rows of.
    """
    alike = (entry.minutes, entry.billable_minutes, sales, hold)
    known = case.drafts.get(alike)
    if known is None:
        if len(case.drafts) >= DRAFTS_MAX:
            case.drafts.clear()
        known = case.drafts[alike] = _built(entry, case, sales, hold)
        return known
    id, version, day = str(entry.ref), entry.source_version, entry.work_date
    return tuple(
        [replace(row, source_id=id, source_version=version, work_date=day) for row in known]
    )


def _built(
    entry: TimeEntry, case: Case, sales: TransactionStatus | None, hold: str
) -> tuple[TransactionDraft, ...]:
    line, account, task = case.line, case.account, case.task
    common: dict[str, Any] = {
        "source_id": str(entry.ref),
        "source_version": entry.source_version,
        "project": case.project.code if case.project is not None else "",
        "task": task.code if task is not None else "",
        "contract": case.contract.code if case.contract is not None else "",
        "contract_line": line.line_no if line is not None else 0,
        "resource": case.resource_code,
        "role": case.role,
        "employer": case.employer,
        "billing_account": account.code if account is not None else "",
        "work_date": entry.work_date,
    }
    rows = _cost_rows(entry, case, common)
    if sales is not None:
        rows += _sales_rows(entry, case, common, sales, hold)
    return tuple(rows)


def _cost_rows(entry: TimeEntry, case: Case, common: dict[str, Any]) -> list[TransactionDraft]:
    rate, currency = case.cost_rate, case.cost_currency
    missing = "" if rate is not None else "COST_RATE_MISSING"
    if not case.crosses:
        cost = _internal(case, "COST", entry.minutes, rate, currency, missing)
        owner = case.employer
        return [TransactionDraft(**common, **cost, legal_entity=owner, op_minutes=entry.minutes)]
    held = case.intercompany[0].code if case.intercompany else ""
    price, paid = case.transfer_rate, case.transfer_currency
    cost = _internal(case, "COST", entry.minutes, price, paid, held)
    lent = _internal(case, "RESOURCING_COST", entry.minutes, rate, currency, missing)
    income = _internal(case, "IC_SALES", entry.minutes, price, paid, held)
    if held:
        cost["status"] = "HELD"
    income["status"] = "HELD" if held else "READY"
    income["bill_minutes"] = entry.minutes
    borrower, lender = case.contracting, case.employer
    return [
        TransactionDraft(**common, **cost, legal_entity=borrower, op_minutes=entry.minutes),
        TransactionDraft(**common, **lent, legal_entity=lender, op_minutes=0),
        TransactionDraft(**common, **income, legal_entity=lender, op_minutes=0),
    ]


def _internal(
    case: Case, type: str, minutes: int, rate: Decimal | None, currency: str, why: str
) -> dict[str, Any]:
    """A row between us and ourselves; without a rate it is zero and says why."""
    amount = ZERO if rate is None else rate * minutes / SIXTY
    return {
        "type": type,
        "seq": 0,
        "bill_minutes": 0,
        "rate": rate if rate is not None else ZERO,
        "multiplier": ONE,
        "currency": currency or (case.contract.currency if case.contract is not None else ""),
        "amount_exact": amount,
        "chargeable": "NON_CHARGEABLE",
        "status": "RECORDED",
        "hold_reason": why,
    }


def _sales_rows(
    entry: TimeEntry, case: Case, common: dict[str, Any], status: TransactionStatus, hold: str
) -> list[TransactionDraft]:
    price, contract = case.price, case.contract
    if contract is None or case.line is None or price is None:
        return []
    base: dict[str, Any] = {
        **common,
        "type": "UNBILLED_SALES",
        "legal_entity": case.contracting,
        "op_minutes": 0,
        "rate": price.rate,
        "multiplier": price.multiplier,
        "currency": contract.currency,
        "po": case.po,
        "item": case.item,
        "tax_key": case.tax_key,
        "rate_trace": price.trace,
    }
    free: dict[str, Any] = {"seq": 1, "amount_exact": ZERO, "status": "RECORDED"}
    if case.flag == "COMPLIMENTARY":
        gift: dict[str, Any] = {"bill_minutes": entry.minutes, "chargeable": "COMPLIMENTARY"}
        return [TransactionDraft(**base, **free, **gift)]
    worked = entry.minutes
    chargeable = worked if entry.billable_minutes is None else entry.billable_minutes
    rows = []
    if chargeable:
        minutes, amount = billed(case, chargeable)
        rows.append(
            TransactionDraft(
                **base,
                seq=0,
                bill_minutes=minutes,
                amount_exact=amount,
                chargeable="CHARGEABLE",
                status=status,
                hold_reason=hold,
            )
        )
    if chargeable < worked:
        cut: dict[str, Any] = {"bill_minutes": worked - chargeable, "chargeable": "NON_CHARGEABLE"}
        rows.append(TransactionDraft(**base, **free, **cut))
    return rows
