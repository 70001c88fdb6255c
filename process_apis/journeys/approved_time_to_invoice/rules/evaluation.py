"""The one question: what does this version of an entry come to, and what stands in its way.

Pure: the same entry, snapshot, peers and day give the same bytes. Stages run in order; all rules of
a stage are reported, and the first stage with a BLOCK or HOLD ends the report. Pricing goes on
behind it, so that a held entry has its row and a blocked one its worth.

Source  domain.md C.1, C.2.
"""

from collections.abc import Sequence
from datetime import date

from contracts.catalogue import CATALOGUE
from contracts.entities.ledger import TransactionDraft, TransactionStatus
from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import Finding
from contracts.money import Money, money
from process_apis.journeys.approved_time_to_invoice.rules import (
    addressing,
    agreement,
    approval,
    costing,
    identity,
    plausibility,
    pricing,
    rows,
    staffing,
)
from process_apis.journeys.approved_time_to_invoice.rules.case import Case, Question, Span
from process_apis.journeys.approved_time_to_invoice.rules.snapshot import Snapshot
from process_apis.journeys.approved_time_to_invoice.rules.verdict import (
    Outcome,
    OutcomeState,
    Peer,
)

WITHDRAWN = frozenset({"DRAFT", "REJECTED", "RETURNED", "UNAPPROVED"})
CASES_MAX = 200_000
Found = list[tuple[int, Finding]]


def case_of(entry: TimeEntry, snapshot: Snapshot) -> Case:
    """The answers of stages 2 and 4 to 8 for an entry; found once for all days they hold."""
    question = Question(
        entry.resource,
        entry.project,
        entry.task,
        entry.role,
        entry.rate_class,
        entry.work_type,
        entry.billable_flag,
    )
    day = entry.work_date
    known: list[Case] | None = snapshot.cases.get(question)
    if known is not None:
        for case in known:
            if case.span.first <= day <= case.span.last:
                return case
    elif len(snapshot.cases) >= CASES_MAX:
        snapshot.cases.clear()
    case = _judged(Case(snapshot=snapshot, question=question, span=Span(day), flag=question.flag))
    snapshot.cases.setdefault(question, []).append(case)
    return case


def _judged(case: Case) -> Case:
    identity.judge(case)
    staffing.find(case)
    agreement.find(case)
    staffing.judge(case)
    agreement.judge(case)
    pricing.judge(case)
    costing.judge(case)
    addressing.judge(case)
    return case


def evaluate(
    entry: TimeEntry,
    snapshot: Snapshot,
    *,
    peers: Sequence[Peer] = (),
    today: date,
    worked_minutes: int | None = None,
    waived: frozenset[str] = frozenset(),
    case: Case | None = None,
) -> Outcome:
    """Judge one version of an entry. README.md, one folder up, describes the parameters.

    case: what `case_of` said of it under this snapshot, where it was asked already.
    """
    case = case or case_of(entry, snapshot)
    waiting = entry.status == "SUBMITTED" and entry.approval is None
    if entry.deleted or waiting or entry.status in WITHDRAWN:
        # Time that was never approved is not judged yet: its journey begins with the approval.
        return _outcome(entry, case, "NONE", (), ())
    found: Found = [(1, each) for each in approval.judge(entry, case)]
    found += case.found
    found += [(3, each) for each in plausibility.judge(entry, case, peers, today)]
    found += [(4, each) for each in plausibility.hours_exceeded(entry, case, worked_minutes)]
    if waived:
        found = [each for each in found if each[1].code not in waived]
    stop = min((stage for stage, each in found if each.severity != "WARN"), default=99)
    reported = _report(found, case, stop)
    stopping = [each for stage, each in found if stage == stop and each.severity != "WARN"]
    blocked = any(each.severity == "BLOCK" for each in stopping)
    state: OutcomeState
    if stopping:
        state = "EXCEPTION" if blocked else "HELD"
    else:
        state = (
            "READY" if case.flag == "BILLABLE" and entry.billable_minutes != 0 else "NON_BILLABLE"
        )
    written = _rows(entry, case, found, stopping, blocked)
    return _outcome(entry, case, state, reported, written)


def _report(found: Found, case: Case, stop: int) -> tuple[Finding, ...]:
    reported = [each for stage, each in found if stage <= stop]
    if stop == 99:
        reported += case.intercompany
    if len(reported) > 1:
        reported.sort(key=lambda f: (int(CATALOGUE[f.code].stage), f.code, f.root))
    return tuple(reported)


def _rows(
    entry: TimeEntry, case: Case, found: Found, stopping: list[Finding], blocked: bool
) -> tuple[TransactionDraft, ...]:
    """No rows for time that is not approved, not of a known person, or not plausible."""
    if case.resource is None:
        return ()
    for stage, each in found:
        if (stage == 1 and each.severity != "WARN") or (stage == 3 and each.severity == "BLOCK"):
            return ()
    sales: TransactionStatus | None = None
    if case.flag != "NON_BILLABLE" and not blocked:
        sales = "HELD" if stopping else "READY"
    hold = min(each.code for each in stopping) if stopping and not blocked else ""
    return rows.build(entry, case, sales=sales, hold=hold)


def _amount(entry: TimeEntry, case: Case) -> Money | None:
    if case.price is None or case.contract is None or case.flag != "BILLABLE":
        return None
    minutes = entry.minutes if entry.billable_minutes is None else entry.billable_minutes
    known = case.worth.get(minutes)
    if known is None:
        known = money(rows.billed(case, max(minutes, 0))[1], case.contract.currency)
        case.worth[minutes] = known
    return known


def _outcome(
    entry: TimeEntry,
    case: Case,
    state: OutcomeState,
    findings: tuple[Finding, ...],
    written: tuple[TransactionDraft, ...],
) -> Outcome:
    snapshot = case.snapshot
    resource = case.resource_code
    project = case.project.code if case.project is not None else ""
    contract = case.contract.code if case.contract is not None else ""
    if contract:
        partition = f"contract:{contract}"
    elif project:
        partition = f"project:{project}"
    else:
        partition = f"resource:{resource or snapshot.person(entry.resource)}"
    return Outcome(
        entry_id=str(entry.ref),
        source_version=entry.source_version,
        billing_state=state,
        transactions=written,
        findings=findings,
        amount=_amount(entry, case) if state != "NONE" else None,
        rate_trace=case.price.trace if case.price is not None else None,
        snapshot_version=snapshot.version,
        partition=partition,
        resource=resource,
        project=project,
        contract=contract,
        client=case.client_code,
    )
