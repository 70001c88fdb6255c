"""What one event adds to the dashboards' totals. Pure: the same event, the same figures.

A fact is the newest state of one subject (an entry, a work item, an invoice). Its contributions
are cells of named totals; when a newer fact replaces it, the old contributions are taken away and
the new ones added, so that reading a dashboard never walks history.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from contracts.events import CloudEvent

LIVE_ITEM_STATES = ("OPEN", "ASSIGNED", "WAITING", "SNOOZED", "RETRYING")
WIP_STATES = ("READY", "HELD", "EXCEPTION", "ON_DRAFT")
SALES_STATES = ("READY", "HELD", "EXCEPTION", "ON_DRAFT", "BILLED")


class Cell(Struct, frozen=True, order=True):
    """One place in the totals. board: which total; a, b, c: its labels; currency may be empty."""

    board: str
    a: str = ""
    b: str = ""
    c: str = ""
    currency: str = ""


class Amount(Struct, frozen=True):
    """What a fact adds to a cell: how many, how many minutes (or days), minor units."""

    count: int = 0
    measure: int = 0
    minor: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.count + other.count, self.measure + other.measure, self.minor + other.minor
        )

    def __neg__(self) -> "Amount":
        return Amount(-self.count, -self.measure, -self.minor)


class Fact(Struct, frozen=True):
    """kind: entry, item, touch or invoice. key: the subject. state: what the cells are made of."""

    kind: str
    key: str
    state: dict[str, Any]


def facts_of(event: CloudEvent) -> tuple[Fact, ...]:
    """The facts an event states; none for types no dashboard reads."""
    for prefix, reader in _READERS.items():
        if event.type.startswith(prefix):
            return reader(event)
    return ()


def cells_of(fact: Fact) -> dict[Cell, Amount]:
    """The contributions of a fact to the totals."""
    return _CELLS[fact.kind](fact.state)


def _entry(event: CloudEvent) -> tuple[Fact, ...]:
    data = event.data
    amount = data.get("amount") or {}
    state = {
        "state": data["billing_state"],
        "minutes": data.get("minutes", 0),
        "minor": amount.get("minor", 0),
        "currency": amount.get("currency", ""),
    }
    return (Fact("entry", data["entry_id"], state),)


def _item(event: CloudEvent) -> tuple[Fact, ...]:
    data = event.data
    risk = data.get("amount_at_risk") or {}
    state = {
        "live": data["state"] in LIVE_ITEM_STATES,
        "owner": data["owner"],
        "code": data["code"],
        "severity": data["severity"],
        "minor": risk.get("minor", 0),
        "currency": risk.get("currency", ""),
    }
    facts = [Fact("item", data["id"], state)]
    if data["severity"] != "WARN" and data["subject_type"] == "time_entry":
        facts.append(Fact("touch", data["subject_id"], {}))
    return tuple(facts)


def _invoice(event: CloudEvent) -> tuple[Fact, ...]:
    data = event.data
    days = None
    if data.get("posted_at") and data.get("service_to"):
        posted = datetime.fromisoformat(data["posted_at"]).date()
        days = max(0, (posted - date.fromisoformat(data["service_to"])).days)
    state = {
        "status": data["status"],
        "minor": data["net"]["minor"],
        "currency": data["net"]["currency"],
        "days": days,
    }
    return (Fact("invoice", data["id"], state),)


def _entry_cells(state: dict[str, Any]) -> dict[Cell, Amount]:
    cell = Cell("entries", state["state"], currency=state["currency"])
    return {cell: Amount(1, state["minutes"], state["minor"])}


def _item_cells(state: dict[str, Any]) -> dict[Cell, Amount]:
    if not state["live"]:
        return {}
    cell = Cell("desk", state["owner"], state["code"], state["severity"], state["currency"])
    return {cell: Amount(1, 0, state["minor"])}


def _touch_cells(_: dict[str, Any]) -> dict[Cell, Amount]:
    return {Cell("touched"): Amount(1)}


def _invoice_cells(state: dict[str, Any]) -> dict[Cell, Amount]:
    cells = {
        Cell("invoices", state["status"], currency=state["currency"]): Amount(1, 0, state["minor"])
    }
    if state["days"] is not None and state["status"] == "POSTED":
        cells[Cell("cycle_days", f"{state['days']:05d}")] = Amount(1, state["days"])
    return cells


def straight_cells(entry: dict[str, Any] | None, touched: bool) -> dict[Cell, Amount]:
    """Straight-through needs two facts of one entry: its state, and whether it was ever touched."""
    if entry is None or entry["state"] not in SALES_STATES:
        return {}
    label = "touched" if touched else "untouched"
    posted = "posted" if entry["state"] == "BILLED" else "open"
    return {Cell("straight", label, posted): Amount(1)}


def sum_cells(parts: Iterable[tuple[dict[Cell, Amount], bool]]) -> dict[Cell, Amount]:
    """Add (True) and take away (False) contributions; cells that come to nothing are dropped."""
    total: dict[Cell, Amount] = {}
    for cells, adds in parts:
        for cell, amount in cells.items():
            total[cell] = total.get(cell, Amount()) + (amount if adds else -amount)
    return {cell: amount for cell, amount in total.items() if amount != Amount()}


_READERS: dict[str, Callable[[CloudEvent], tuple[Fact, ...]]] = {
    "firmwire.time_entry.evaluated.": _entry,
    "firmwire.exception.": _item,
    "firmwire.invoice.": _invoice,
}
_CELLS: dict[str, Callable[[dict[str, Any]], dict[Cell, Amount]]] = {
    "entry": _entry_cells,
    "item": _item_cells,
    "touch": _touch_cells,
    "invoice": _invoice_cells,
}
