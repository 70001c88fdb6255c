"""What evaluation takes and gives: policies of the firm, neighbouring entries, the outcome.

Source  domain.md C.1, C.2.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from contracts.entities.ledger import RateTrace, TransactionDraft
from contracts.entities.work_item import Finding
from contracts.money import Money

OutcomeState = Literal["EXCEPTION", "HELD", "NON_BILLABLE", "READY", "NONE"]


class Policies(Struct, frozen=True, kw_only=True):
    """What a firm may choose. Days are calendar days, minutes are minutes of work.

    minutes_step: by source system, its recording increment. day_limit_by_country: ISO 3166.
    project_grace_days: after a project's end, unless the project names a day itself.
    allow_zero_increment: rounding to the nearest increment may make an entry free.
    unregistered_countries: sellers there need no tax number of their own.
    """

    resolution_mode: Literal["TIER_FIRST", "PERSON_FIRST"] = "TIER_FIRST"
    assignment_missing: Literal["BLOCK", "HOLD"] = "BLOCK"
    day_limit_minutes: int = 720
    day_limit_by_country: dict[str, int] = field(default_factory=lambda: {"DE": 600})
    minutes_step: dict[str, int] = {}
    duplicate_window_s: int = 600
    project_grace_days: int = 10
    allow_zero_increment: bool = False
    fx_max_age_days: int = 7
    outlier_low: Decimal = Decimal("0.5")
    outlier_high: Decimal = Decimal(2)
    unregistered_countries: frozenset[str] = frozenset({"US"})


class Peer(Struct, frozen=True, kw_only=True):
    """Another live entry of the same person and work date.

    source_id: `<system>:<id>`. project, task: codes, or `system:id` while unknown; task may be
    empty. narrative_hash: empty without a narrative.
    """

    source_id: str
    version: int
    project: str
    task: str
    minutes: int
    start_at: datetime | None = None
    end_at: datetime | None = None
    narrative_hash: str = ""
    created_at: datetime | None = None
    billed: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What one version of an entry comes to under one snapshot.

    amount: what the chargeable row would bill, rounded; None when it cannot be priced.
    partition: one writer each, so that caps and retainers are deterministic.
    """

    entry_id: str
    source_version: int
    billing_state: OutcomeState
    transactions: tuple[TransactionDraft, ...]
    findings: tuple[Finding, ...]
    amount: Money | None
    rate_trace: RateTrace | None
    snapshot_version: str
    partition: str
    resource: str
    project: str
    contract: str
    client: str

    @property
    def amount_at_risk(self) -> Money | None:
        """The amount while something stands in its way."""
        return self.amount if self.billing_state in ("EXCEPTION", "HELD") else None
