"""Stage 4: may this person work on this project and task, in this role, on this day.

Fires PROJECT_*, BILLING_HOLD, TASK_CLOSED, ASSIGNMENT_*, ROLE_MISMATCH. Work that is not billed
needs no assignment and is not held. ASSIGNMENT_HOURS_EXCEEDED needs the hours so far and is in
plausibility.
"""

from datetime import timedelta

from contracts.entities.engagement import Assignment, Project
from contracts.entities.party import Role
from process_apis.journeys.approved_time_to_invoice.rules.case import ONE_DAY, Case
from process_apis.journeys.approved_time_to_invoice.rules.keys import xref_key


def find(case: Case) -> None:
    """Fills assignment, override and role: as worked, else as assigned, else the home role."""
    if case.resource is None or case.project is None:
        return
    case.assignment = _assignment(case)
    resolve = case.snapshot.resolve
    named = case.question.role
    if named is None and case.assignment is not None:
        named = case.assignment.role
    if named is None:
        named = case.resource.home_role
    case.role = (resolve("role", named) if named else None) or ""


def judge(case: Case) -> None:
    """The findings; find() must have run, and the contract's lines must be known."""
    project = case.project
    if project is None:
        return
    _project_state(case, project)
    task = case.task
    if task is not None and task.status == "CLOSED":
        closed = task.closed_on
        if closed is None or not case.span.before(closed + ONE_DAY):
            root = f"task:{project.code}/{task.code}"
            case.say("TASK_CLOSED", root, closed_on=closed)
    if case.flag == "NON_BILLABLE" or case.resource is None:
        return
    _assigned(case, project)
    _role(case, project)


def _project_state(case: Case, project: Project) -> None:
    root, status = f"project:{project.code}", project.status
    if status in ("DRAFT", "PLANNED") or (project.start and case.span.before(project.start)):
        case.say("PROJECT_NOT_STARTED", root, status=status, start=project.start)
    if status in ("CLOSED", "CANCELLED") or _over(case, project):
        until = project.time_entry_open_until
        case.say("PROJECT_CLOSED", root, status=status, end=project.end, open_until=until)
    if case.flag == "NON_BILLABLE":
        return
    if status == "ON_HOLD":
        case.say("PROJECT_ON_HOLD", root)
    if project.billing_hold:
        case.say("BILLING_HOLD", root, held="project")
    if case.client is not None and (case.client.credit_hold or case.client.status == "ON_HOLD"):
        case.say("BILLING_HOLD", f"client:{case.client.code}", held="client")


def _over(case: Case, project: Project) -> bool:
    if project.end is None or case.span.before(project.end):
        return False
    grace = timedelta(days=case.snapshot.policies.project_grace_days)
    last = project.time_entry_open_until or project.end + grace - ONE_DAY
    return not case.span.before(last + ONE_DAY)


def _assignment(case: Case) -> Assignment | None:
    """The valid one nearest to the task: of it, of the project, of another task."""
    assert case.resource is not None
    assert case.project is not None
    best: Assignment | None = None
    best_rank = 9
    for each in case.snapshot.scoped(Assignment, f"{case.resource.code}/{case.project.code}"):
        if each.status not in ("CONFIRMED", "ACTIVE"):
            continue
        if not case.span.within(each.start, each.end):
            continue
        rank = 1
        if each.task is not None:
            task = case.snapshot.task(each.task, case.project.code)
            rank = 0 if task is not None and task == case.task else 2
        if rank < best_rank:
            best, best_rank = each, rank
    case.override = best.bill_rate_override if best is not None and best_rank < 2 else None
    return best


def _assigned(case: Case, project: Project) -> None:
    assert case.resource is not None
    if case.assignment is not None:
        return
    scope = f"{case.resource.code}/{project.code}"
    held = case.snapshot.scoped(Assignment, scope)
    key = f"assignment:@{scope}"
    if not held:
        severity = case.snapshot.policies.assignment_missing
        case.say("ASSIGNMENT_MISSING", key, severity=severity)
        return
    seen = [f"{a.code} {a.status} {a.start or ''}/{a.end or ''}" for a in held]
    case.say("ASSIGNMENT_INACTIVE", key, *(f"assignment:{a.code}" for a in held), key, held=seen)


def _role(case: Case, project: Project) -> None:
    worked = case.question.role
    resolve = case.snapshot.resolve
    if worked is not None and resolve("role", worked) is None:
        case.say("ROLE_MISMATCH", xref_key("role", worked), worked=str(worked))
        return
    agreed_ref = case.assignment.role if case.assignment is not None else None
    agreed = resolve("role", agreed_ref) if agreed_ref else None
    if agreed is not None and case.role != agreed:
        assert case.assignment is not None
        record = case.snapshot.get("role", agreed)
        stand_ins = record.substitutable_by if isinstance(record, Role) else ()
        if case.role not in stand_ins:
            root = f"assignment:{case.assignment.code}"
            case.say("ROLE_MISMATCH", root, root, f"role:{agreed}", worked=case.role, agreed=agreed)
            return
    if not case.role_on_line and case.contract is not None:
        root = f"contract:{case.contract.code}"
        case.say("ROLE_MISMATCH", root, worked=case.role, agreed="roles of the contract line")
