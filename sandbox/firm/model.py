"""The generated firm: canonical records plus time entries, and what each entry must come to."""

from datetime import date

from msgspec import Struct, field

from contracts.entities.deal import Deal
from contracts.entities.engagement import (
    Allocation,
    Assignment,
    Contract,
    Project,
    RateCard,
    Task,
    TransferPrice,
)
from contracts.entities.finance import AccountingPeriod, ExchangeRate
from contracts.entities.party import (
    BillingAccount,
    Client,
    CostCentre,
    CostRate,
    Leave,
    LegalEntity,
    Resource,
    Role,
)


class PlannedEntry(Struct, frozen=True, kw_only=True):
    """One cell of a timesheet before it is in the PSA. number: its place, from 1.

    task_title: of the project's task; `MISSING` names one that is not there. psa_only_person: the
    PSA's login has an address the HCM does not know. expected: codes of the BLOCK and HOLD work
    items it must come to; empty means it must bill (or be rightly not billable).
    """

    number: int
    resource: str
    project: str
    task_title: str | None
    role: str
    work_date: date
    minutes: int
    billable: bool
    narrative: str
    expected: frozenset[str] = frozenset()


class Firm(Struct, kw_only=True):
    """Everything a size and a seed determine. legacy_projects: workspaces without our code, by

    the code of the project they stand for. strangers: person numbers whose PSA address is unknown.
    unmapped_customers: billing account codes the ERP does not have.
    """

    size: str
    seed: int
    month: date
    legal_entities: list[LegalEntity] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    cost_centres: list[CostCentre] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    cost_rates: list[CostRate] = field(default_factory=list)
    leaves: list[Leave] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    billing_accounts: list[BillingAccount] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    rate_cards: list[RateCard] = field(default_factory=list)
    transfer_prices: list[TransferPrice] = field(default_factory=list)
    periods: list[AccountingPeriod] = field(default_factory=list)
    exchange_rates: list[ExchangeRate] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    entries: list[PlannedEntry] = field(default_factory=list)
    legacy_projects: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    unmapped_customers: set[str] = field(default_factory=set)
    unmapped_entities: set[str] = field(default_factory=set)
    unmapped_items: set[str] = field(default_factory=set)
