"""One question put to master data, and all its answers, for the span of days they hold.

Entries of one person on one task in one role differ in little but date and minutes. What the
rules of stages 2 and 4 to 8 say about them is found once, together with the days between which no
date compared by a rule changes the answer.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import Struct, field

from contracts.catalogue import CATALOGUE
from contracts.entities.engagement import Assignment, Contract, ContractLine, Project, Task
from contracts.entities.ledger import RateTrace, TransactionDraft
from contracts.entities.party import BillingAccount, Client, LegalEntity, Resource
from contracts.entities.work_item import Finding, Severity
from contracts.ids import Ref
from contracts.money import Money
from process_apis.journeys.approved_time_to_invoice.rules.snapshot import Snapshot

ONE_DAY = timedelta(days=1)
BILLING_STAGES = frozenset({5, 6, 7, 8})


class Question(NamedTuple):
    """What of an entry the master data is asked about, besides the day."""

    resource: Ref
    project: Ref
    task: Ref | None
    role: Ref | None
    rate_class: str
    work_type: str
    flag: str


class Span:
    """The days around `day` for which every comparison made so far answers alike."""

    __slots__ = ("day", "first", "last")

    def __init__(self, day: date) -> None:
        self.day, self.first, self.last = day, date.min, date.max

    def within(self, start: date | None, end: date | None) -> bool:
        """start <= day < end."""
        return (start is None or not self.before(start)) and (end is None or self.before(end))

    def before(self, bound: date) -> bool:
        """day < bound."""
        if self.day < bound:
            self.last = min(self.last, bound - ONE_DAY)
            return True
        self.first = max(self.first, bound)
        return False

    def only(self) -> None:
        """The answer holds for this day alone."""
        self.first = self.last = self.day


class Price(Struct, frozen=True, kw_only=True):
    """rate: an hour, six decimals, for the eye. unit: exact price of an hour or of a half day.

    half_day_minutes: None for hourly prices; may be fractional.
    """

    rate: Decimal
    multiplier: Decimal
    unit: Decimal
    half_day_minutes: Decimal | None
    trace: RateTrace


class Case(Struct, kw_only=True):
    """Filled stage by stage; read-only once judged. Codes are empty while unknown.

    flag: how the work is billed after task, travel and fee lines had their say.
    intercompany: findings that hold the intercompany rows only. amounts, worth, drafts: what was
    worked out before, by minutes; entries of one case differ in little else.
    """

    snapshot: Snapshot
    question: Question
    span: Span
    flag: str
    resource: Resource | None = None
    project: Project | None = None
    task: Task | None = None
    client: Client | None = None
    client_code: str = ""
    role: str = ""
    role_on_line: bool = True
    assignment: Assignment | None = None
    override: Decimal | None = None
    contract: Contract | None = None
    contract_absent: str = ""
    lines: tuple[ContractLine, ...] = ()
    line: ContractLine | None = None
    approvers: frozenset[str] = frozenset()
    employer: str = ""
    contracting: str = ""
    entity: LegalEntity | None = None
    account: BillingAccount | None = None
    po: str = ""
    item: str = ""
    tax_key: str = ""
    price: Price | None = None
    cost_rate: Decimal | None = None
    cost_currency: str = ""
    transfer_rate: Decimal | None = None
    transfer_currency: str = ""
    found: list[tuple[int, Finding]] = field(default_factory=list)
    intercompany: list[Finding] = field(default_factory=list)
    amounts: dict[int, tuple[int, Decimal]] = field(default_factory=dict)
    worth: dict[int, Money] = field(default_factory=dict)
    drafts: dict[tuple[Any, ...], tuple[TransactionDraft, ...]] = field(default_factory=dict)

    @property
    def resource_code(self) -> str:
        """The person's code, empty while unknown."""
        return self.resource.code if self.resource is not None else ""

    @property
    def crosses(self) -> bool:
        """Worked for one legal entity by people of another."""
        return bool(self.contracting and self.employer and self.contracting != self.employer)

    def say(
        self,
        code: str,
        root: str,
        *unblock: str,
        severity: Severity | None = None,
        **context: object,
    ) -> None:
        """A rule fired. Rules about billing are silent about work that is not billed."""
        stage = int(CATALOGUE[code].stage)
        if stage in BILLING_STAGES and self.flag != "BILLABLE" and code != "COST_RATE_MISSING":
            return
        self.found.append((stage, finding(code, root, *unblock, severity=severity, **context)))


def finding(
    code: str, root: str, *unblock: str, severity: Severity | None = None, **context: object
) -> Finding:
    """A finding with the catalogue's severity, owner and hint. Without keys the root unblocks."""
    kind = CATALOGUE[code]
    return Finding(
        code=code,
        severity=severity or kind.severity,
        owner=kind.owner,
        root=root,
        unblock_keys=tuple(dict.fromkeys(unblock or (root,))),
        context=context,
        hint=kind.hint,
    )
