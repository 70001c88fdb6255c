"""Stages 5 and 6: which contract, contract line and purchase order the work is done under.

Fires CONTRACT_*, CLASS_NOT_ALLOWED, PO_MISSING, PO_EXPIRED. Caps, retainers and order balances need
the ledger and are judged where it is. Work on a FIXED or RETAINER line is covered by the fee: it
has cost and is not billed by the hour. Travel under travel_billing NONE is not billed either.
"""

from typing import Any, Literal

from contracts.entities.engagement import Contract, ContractLine, PurchaseOrder
from contracts.entities.party import BillingAccount, Client
from process_apis.journeys.approved_time_to_invoice.rules.case import Case
from process_apis.journeys.approved_time_to_invoice.rules.identity import absent


def find(case: Case) -> None:
    """Fills contract, client, lines, line, account and contracting; may turn flag NON_BILLABLE."""
    if case.project is None:
        return
    case.contract = _contract(case)
    snapshot, contract = case.snapshot, case.contract
    owner = case.project.client or (contract.client if contract else None)
    case.client = snapshot.find(Client, owner)
    case.client_code = (snapshot.resolve("client", owner) if owner else None) or ""
    if contract is None:
        return
    case.contracting = snapshot.resolve("legal_entity", contract.legal_entity) or ""
    case.lines = _lines(case, contract)
    case.line = case.lines[0] if len(case.lines) == 1 else None
    case.account = _account(case, contract)
    free_travel = case.question.work_type == "TRAVEL" and contract.travel_billing == "NONE"
    by_fee = case.line is not None and case.line.kind in ("FIXED", "RETAINER")
    if case.flag == "BILLABLE" and (free_travel or by_fee):
        case.flag = "NON_BILLABLE"


def _contract(case: Case) -> Contract | None:
    """The project's own, else the only one with a line for the project."""
    assert case.project is not None
    ref, code = case.project.contract, case.project.code
    if ref is not None:
        found = case.snapshot.find(Contract, ref)
        if found is None:
            case.contract_absent = absent(case, "contract", ref)
        return found
    naming = case.snapshot.scoped(Contract, code)
    return naming[0] if len(naming) == 1 else None


def _account(case: Case, contract: Contract) -> BillingAccount | None:
    if contract.billing_account is not None:
        return case.snapshot.find(BillingAccount, contract.billing_account)
    scope = f"{case.client_code}/{case.contracting}/{contract.currency}"
    fitting = case.snapshot.scoped(BillingAccount, scope)
    return fitting[0] if len(fitting) == 1 else None


def _scope(case: Case, line: ContractLine) -> int:
    """Task 2, project 1, contract 0; -1 when the line does not cover the work."""
    assert case.project is not None
    if line.kind == "EXPENSE" or not case.span.within(line.start, line.end):
        return -1
    named = case.snapshot.resolve("project", line.project) if line.project is not None else None
    if line.project is not None and named != case.project.code:
        return -1
    if line.tasks:
        return 2 if case.task is not None and case.task.code in line.tasks else -1
    return 1 if line.project is not None else 0


def _lines(case: Case, contract: Contract) -> tuple[ContractLine, ...]:
    """The lines of the most specific scope: for the role if there is one, then for the class."""
    scored = [(_scope(case, line), line) for line in contract.lines]
    scored = [each for each in scored if each[0] >= 0]
    fitting = [each for each in scored if not each[1].roles or case.role in each[1].roles]
    case.role_on_line = bool(fitting) or not scored
    pool = fitting or scored
    best = max((score for score, _ in pool), default=0)
    lines = [line for score, line in pool if score == best]
    if len(lines) > 1:
        lines = [line for line in lines if _class(case) in line.allowed_classes] or lines
    return tuple(lines)


def _class(case: Case) -> Literal["TIME", "TRAVEL"]:
    return "TRAVEL" if case.question.work_type == "TRAVEL" else "TIME"


def judge(case: Case) -> None:
    """The findings of stage 5 and of the purchase order."""
    if case.project is None:
        return
    contract = case.contract
    if contract is None:
        root = case.contract_absent or f"project:{case.project.code}"
        keys = (root, f"project:{case.project.code}", f"contract:@{case.project.code}")
        case.say("CONTRACT_MISSING", root, *keys)
        return
    root = f"contract:{contract.code}"
    if contract.status in ("DRAFT", "SUSPENDED"):
        case.say("CONTRACT_NOT_ACTIVE", root, status=contract.status)
    ended = contract.status in ("EXPIRED", "TERMINATED", "CLOSED")
    if not case.span.within(contract.start, contract.end) or ended:
        seen: dict[str, Any] = {
            "start": contract.start,
            "end": contract.end,
            "status": contract.status,
        }
        case.say("CONTRACT_EXPIRED", root, **seen)
    if not case.lines:
        case.say("CONTRACT_LINE_MISSING", f"{root}#{case.project.code}", root)
    elif case.line is None:
        numbers = [line.line_no for line in case.lines]
        case.say("CONTRACT_LINE_AMBIGUOUS", f"{root}#{case.project.code}", root, lines=numbers)
    elif _class(case) not in case.line.allowed_classes:
        allowed = case.line.allowed_classes
        case.say("CLASS_NOT_ALLOWED", root, observed=_class(case), allowed=list(allowed))
    _order(case, contract)


def _order(case: Case, contract: Contract) -> None:
    """Fills po: the line's, else the contract's only open order of the day."""
    orders = case.snapshot.scoped(PurchaseOrder, contract.code)
    named = case.line.po if case.line is not None else None
    scope = f"purchase_order:@{contract.code}"
    root = f"contract:{contract.code}"
    if named:
        case.po = named
        of_name = [each for each in orders if each.code == named]
    else:
        of_name = orders
    usable = [
        each
        for each in of_name
        if case.span.within(each.valid_from, each.valid_to) and each.status == "OPEN"
    ]
    if not named and len(usable) == 1:
        case.po = usable[0].code
    wanted = contract.po_required or (case.account is not None and case.account.po_required)
    if of_name and not usable and (named or wanted):
        order = f"purchase_order:{of_name[0].code}"
        case.say("PO_EXPIRED", order, order, scope, root, orders=[o.code for o in of_name])
    elif wanted and not case.po:
        case.say("PO_MISSING", root, root, scope, open_orders=[o.code for o in usable])
