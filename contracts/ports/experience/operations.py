"""The operations dashboard: what is ready to bill, what is stuck and where, how fast it flows."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from contracts.money import Money


class StateTotal(Struct, frozen=True, kw_only=True):
    """Live time entries in one billing state. value: one sum per currency."""

    state: str
    entries: int
    minutes: int
    value: tuple[Money, ...]


class Readiness(Struct, frozen=True, kw_only=True):
    """ready / (ready + held + exception) in one currency; share None when there is no work.

    Source  domain.md E, billing readiness (estimates of submitted time are not in it yet).
    """

    currency: str
    ready: Money
    held: Money
    exception: Money
    share: Decimal | None


class Desk(Struct, frozen=True, kw_only=True):
    """Open work items of one owner and code. at_risk: one sum per currency."""

    owner: str
    code: str
    severity: str
    items: int
    at_risk: tuple[Money, ...]


class InvoiceTotal(Struct, frozen=True, kw_only=True):
    """Invoices in one status."""

    status: str
    invoices: int
    net: tuple[Money, ...]


class CycleTime(Struct, frozen=True, kw_only=True):
    """End of service to posted invoice, in whole days, over posted invoices; None without any.

    Source  domain.md E, invoice cycle time part c.
    """

    invoices: int
    mean_days: Decimal | None
    median_days: int | None
    p90_days: int | None


class StraightThrough(Struct, frozen=True, kw_only=True):
    """share = untouched / billable, None when nothing was evaluated. provisional: still moving.

    billable: entries that bear sales. untouched: of those, never a BLOCK or HOLD. posted: of the
    untouched, on a posted invoice.
    """

    billable: int
    untouched: int
    posted: int
    share: Decimal | None
    provisional: bool


class OperationsBoard(Struct, frozen=True, kw_only=True):
    """as_of: the newest event in it. position: how far into the event log it has read."""

    as_of: datetime | None
    position: int
    states: tuple[StateTotal, ...]
    wip: tuple[Money, ...]
    readiness: tuple[Readiness, ...]
    desks: tuple[Desk, ...]
    invoices: tuple[InvoiceTotal, ...]
    cycle_time: CycleTime
    straight_through: StraightThrough
