"""Contracts, projects, rates, assignments, bookings (domain.md B.3). Dates are half-open."""

from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from contracts.entities.record import Record
from contracts.ids import Ref


class Project(Record, frozen=True, kw_only=True, tag="project"):
    """Owner: PSA. end: first day after the project. time_entry_open_until: last day of grace.

    approvers: who may approve time on it; empty means the source's own rights decide.
    """

    code: str
    name: str
    client: Ref | None = None
    contract: Ref | None = None
    status: Literal[
        "DRAFT", "PLANNED", "ACTIVE", "ON_HOLD", "COMPLETING", "CLOSED", "CANCELLED"
    ] = "ACTIVE"
    start: date | None = None
    end: date | None = None
    time_entry_open_until: date | None = None
    billing_hold: bool = False
    task_required: bool = False
    region: str = ""
    practice: str = ""
    approvers: tuple[Ref, ...] = ()
    manager: Ref | None = None
    rate_card: Ref | None = None


class Task(Record, frozen=True, kw_only=True, tag="task"):
    """Owner: PSA. code is unique within the project."""

    code: str
    project: Ref
    name: str
    status: Literal["OPEN", "CLOSED"] = "OPEN"
    closed_on: date | None = None
    billable: bool = True
    work_type: Literal["DELIVERY", "TRAVEL", "ADMIN", "STANDBY", "TRAINING"] = "DELIVERY"


class ContractLine(Struct, frozen=True, kw_only=True):
    """What one part of a contract covers. Empty project, tasks, roles mean any.

    allowed_classes: TIME, EXPENSE, MATERIAL; TRAVEL must be named to allow travel time.
    po: purchase order number, for lines that are bound to one.
    """

    line_no: int
    kind: Literal["TM", "FIXED", "RETAINER", "EXPENSE"] = "TM"
    project: Ref | None = None
    tasks: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    allowed_classes: tuple[str, ...] = ("TIME", "EXPENSE")
    rate_card: Ref | None = None
    fixed_amount: Decimal | None = None
    po: str | None = None
    start: date | None = None
    end: date | None = None
    tax_category: str = "S"
    erp_item: str = ""


class Contract(Record, frozen=True, kw_only=True, tag="contract"):
    """Owner: CRM. code is the contract number. currency never changes.

    billing_account: code of the account that pays. increment: billing granularity in minutes.
    """

    code: str
    client: Ref
    billing_account: Ref | None = None
    legal_entity: Ref
    currency: str
    type: Literal["TM", "FIXED_FEE", "RETAINER", "TM_CAPPED", "MIXED"] = "TM"
    status: Literal["DRAFT", "SIGNED", "ACTIVE", "SUSPENDED", "EXPIRED", "TERMINATED", "CLOSED"] = (
        "ACTIVE"
    )
    start: date
    end: date | None = None
    lines: tuple[ContractLine, ...] = ()
    rate_card: Ref | None = None
    billing_cycle: Literal[
        "WEEKLY", "SEMI_MONTHLY", "MONTHLY", "4_4_5", "ON_MILESTONE", "MANUAL"
    ] = "MONTHLY"
    consolidation: Literal["PER_CONTRACT", "PER_PROJECT", "PER_PO", "PER_CLIENT"] = "PER_CONTRACT"
    late_time_days: int = 90
    increment_minutes: int = 1
    increment_mode: Literal["NEAREST", "UP", "DOWN"] = "NEAREST"
    travel_billing: Literal["NONE", "FULL", "PERCENT"] = "FULL"
    travel_percent: Decimal = Decimal(100)
    po_required: bool = False


class PurchaseOrder(Record, frozen=True, kw_only=True, tag="purchase_order"):
    """code is the client's order number."""

    code: str
    billing_account: Ref
    contract: Ref | None = None
    amount: Decimal | None = None
    currency: str
    valid_from: date | None = None
    valid_to: date | None = None
    status: Literal["OPEN", "EXHAUSTED", "CLOSED"] = "OPEN"


class RateLine(Struct, frozen=True, kw_only=True):
    """One price: dimensions that are None match anything. rate: per hour (or day, by the card).

    explicit_zero: the zero rate is meant. multipliers: by rate class, before the card's.
    """

    id: str
    rate: Decimal
    resource: str | None = None
    task: str | None = None
    role: str | None = None
    grade: str | None = None
    location: str | None = None
    work_type: str | None = None
    explicit_zero: bool = False
    multipliers: dict[str, Decimal] = {}
    valid_from: date | None = None
    valid_to: date | None = None


class RateCard(Record, frozen=True, kw_only=True, tag="rate_card"):
    """A versioned price list. owner says its tier; owner_code whose it is (contract, client, LE).

    hours_per_day: for day cards. card_version: grows with each approved version.
    """

    code: str
    name: str
    owner: Literal["STANDARD", "LE", "CLIENT", "CONTRACT", "CONTRACT_LINE"] = "STANDARD"
    owner_code: str = ""
    currency: str
    status: Literal["DRAFT", "APPROVED", "RETIRED"] = "APPROVED"
    valid_from: date | None = None
    valid_to: date | None = None
    uom: Literal["HOUR", "DAY"] = "HOUR"
    hours_per_day: Decimal = Decimal(8)
    multipliers: dict[str, Decimal] = field(default_factory=lambda: {"STANDARD": Decimal(1)})
    card_version: int = 1
    lines: tuple[RateLine, ...] = ()


class Assignment(Record, frozen=True, kw_only=True, tag="assignment"):
    """A person's part in a project, in a role, for a time. Owner: PSA."""

    code: str
    project: Ref
    resource: Ref
    role: Ref | None = None
    task: Ref | None = None
    start: date | None = None
    end: date | None = None
    planned_minutes: int | None = None
    bill_rate_override: Decimal | None = None
    status: Literal["PROPOSED", "CONFIRMED", "ACTIVE", "ENDED", "CANCELLED"] = "ACTIVE"


class Allocation(Record, frozen=True, kw_only=True, tag="allocation"):
    """A booking in the scheduler. end: first day after it. minutes_per_day: on working days."""

    code: str
    resource: Ref
    project: Ref
    kind: Literal["HARD", "SOFT"] = "HARD"
    start: date
    end: date
    minutes_per_day: int
    reference: str = ""


class TransferPrice(Record, frozen=True, kw_only=True, tag="transfer_price"):
    """What a contracting entity pays an employing entity for an hour. Owner: the firm's settings.

    Either rate (per hour, in currency) or cost_plus_pct over the cost rate.
    """

    code: str
    lender: str
    borrower: str
    role: str | None = None
    currency: str = ""
    rate: Decimal | None = None
    cost_plus_pct: Decimal | None = None
    valid_from: date
    valid_to: date | None = None
