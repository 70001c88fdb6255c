"""What is said of entries whose ledger stands because it is billed, or on its way to be.

Source  domain.md B.6, cases 3 and 6.
"""

from collections.abc import Sequence

import msgspec

from contracts.entities.work_item import Finding
from contracts.money import money
from process_apis.intake.book import Book, differs
from process_apis.intake.claim import Case
from process_apis.journeys.approved_time_to_invoice.rules import Outcome
from process_apis.journeys.approved_time_to_invoice.rules.case import finding


def stands(book: Book) -> str:
    """The state of an entry whose ledger is not touched."""
    return "BILLED" if book.standing == "BILLED" else "ON_DRAFT"


def warnings(findings: Sequence[Finding]) -> list[Finding]:
    """What stays visible when the ledger stands."""
    return [found for found in findings if found.severity == "WARN"]


def after_billing(case: Case, outcome: Outcome, book: Book) -> list[Finding]:
    """A new version of billed work: what differs, for finance to decide (domain.md B.6, 6)."""
    change = differs(outcome, book)
    found = warnings(outcome.findings)
    if change is None:
        return found
    minutes, amount = change
    currency = next((row.currency for row in book.live if row.currency), "")
    correction = finding(
        "CORRECTION_AFTER_BILLING",
        f"time_entry:{case.entry_id}",
        minutes=minutes,
        amount=msgspec.to_builtins(money(amount, currency)) if currency else None,
        withdrawn=outcome.billing_state == "NONE",
    )
    return [correction, *found]
