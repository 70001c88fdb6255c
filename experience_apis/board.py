"""From totals to the operations dashboard. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from contracts.money import Money
from contracts.ports.experience.operations import (
    CycleTime,
    Desk,
    InvoiceTotal,
    OperationsBoard,
    Readiness,
    StateTotal,
    StraightThrough,
)
from experience_apis.facts import SALES_STATES, WIP_STATES, Amount, Cell

Totals = Mapping[Cell, Amount]
_SHARE = Decimal("0.0001")
_SEVERITIES = ("BLOCK", "HOLD", "WARN")


def operations_board(totals: Totals, position: int, as_of: datetime | None) -> OperationsBoard:
    """Lists are ordered for the eye: states by flow, desks by severity and items, rest by name."""
    return OperationsBoard(
        as_of=as_of,
        position=position,
        states=_states(totals),
        wip=_sums(
            (cell.currency, amount.minor)
            for cell, amount in totals.items()
            if cell.board == "entries" and cell.a in WIP_STATES
        ),
        readiness=_readiness(totals),
        desks=_desks(totals),
        invoices=_invoices(totals),
        cycle_time=_cycle_time(totals),
        straight_through=_straight_through(totals),
    )


def _sums(parts: Iterable[tuple[str, int]]) -> tuple[Money, ...]:
    by_currency: dict[str, int] = {}
    for currency, minor in parts:
        if currency:
            by_currency[currency] = by_currency.get(currency, 0) + minor
    return tuple(Money(minor, currency) for currency, minor in sorted(by_currency.items()))


def _states(totals: Totals) -> tuple[StateTotal, ...]:
    order = (*SALES_STATES, "NON_BILLABLE")
    found = sorted(
        {cell.a for cell in totals if cell.board == "entries"},
        key=lambda s: (order.index(s) if s in order else len(order), s),
    )
    made = []
    for state in found:
        here = {c: a for c, a in totals.items() if c.board == "entries" and c.a == state}
        made.append(
            StateTotal(
                state=state,
                entries=sum(a.count for a in here.values()),
                minutes=sum(a.measure for a in here.values()),
                value=_sums((c.currency, a.minor) for c, a in here.items()),
            )
        )
    return tuple(s for s in made if s.entries)


def _readiness(totals: Totals) -> tuple[Readiness, ...]:
    per: dict[str, dict[str, int]] = {}
    for cell, amount in totals.items():
        if cell.board == "entries" and cell.currency and cell.a in ("READY", "HELD", "EXCEPTION"):
            per.setdefault(cell.currency, {})[cell.a] = amount.minor
    made = []
    for currency, minor in sorted(per.items()):
        whole = sum(minor.values())
        made.append(
            Readiness(
                currency=currency,
                ready=Money(minor.get("READY", 0), currency),
                held=Money(minor.get("HELD", 0), currency),
                exception=Money(minor.get("EXCEPTION", 0), currency),
                share=share(minor.get("READY", 0), whole),
            )
        )
    return tuple(made)


def _desks(totals: Totals) -> tuple[Desk, ...]:
    grouped: dict[tuple[str, str, str], list[tuple[str, Amount]]] = {}
    for cell, amount in totals.items():
        if cell.board == "desk":
            grouped.setdefault((cell.a, cell.b, cell.c), []).append((cell.currency, amount))
    desks = [
        Desk(
            owner=owner,
            code=code,
            severity=severity,
            items=sum(a.count for _, a in parts),
            at_risk=_sums((currency, a.minor) for currency, a in parts),
        )
        for (owner, code, severity), parts in grouped.items()
    ]
    return tuple(
        sorted(
            (d for d in desks if d.items),
            key=lambda d: (_SEVERITIES.index(d.severity), -d.items, d.code, d.owner),
        )
    )


def _invoices(totals: Totals) -> tuple[InvoiceTotal, ...]:
    found = sorted({cell.a for cell in totals if cell.board == "invoices"})
    made = []
    for status in found:
        here = {c: a for c, a in totals.items() if c.board == "invoices" and c.a == status}
        made.append(
            InvoiceTotal(
                status=status,
                invoices=sum(a.count for a in here.values()),
                net=_sums((c.currency, a.minor) for c, a in here.items()),
            )
        )
    return tuple(i for i in made if i.invoices)


def _cycle_time(totals: Totals) -> CycleTime:
    days = sorted((int(c.a), a.count) for c, a in totals.items() if c.board == "cycle_days")
    invoices = sum(count for _, count in days)
    if not invoices:
        return CycleTime(invoices=0, mean_days=None, median_days=None, p90_days=None)
    mean = Decimal(sum(day * count for day, count in days)) / invoices
    return CycleTime(
        invoices=invoices,
        mean_days=mean.quantize(Decimal("0.01"), ROUND_HALF_UP),
        median_days=_percentile(days, invoices, 50),
        p90_days=_percentile(days, invoices, 90),
    )


def _percentile(days: list[tuple[int, int]], invoices: int, percent: int) -> int:
    """Nearest rank: the smallest value with at least percent of the invoices at or below it."""
    rank = max(1, -(-invoices * percent // 100))
    seen = 0
    for day, count in days:
        seen += count
        if seen >= rank:
            return day
    return days[-1][0]


def _straight_through(totals: Totals) -> StraightThrough:
    def count(a: str, b: str) -> int:
        return totals.get(Cell("straight", a, b), Amount()).count

    untouched = count("untouched", "posted") + count("untouched", "open")
    still_open = count("untouched", "open") + count("touched", "open")
    billable = untouched + count("touched", "posted") + count("touched", "open")
    return StraightThrough(
        billable=billable,
        untouched=untouched,
        posted=count("untouched", "posted"),
        share=share(untouched, billable),
        provisional=still_open > 0,
    )


def share(part: int, whole: int) -> Decimal | None:
    """part / whole to four decimals, None of nothing."""
    return (Decimal(part) / whole).quantize(_SHARE, ROUND_HALF_UP) if whole else None
