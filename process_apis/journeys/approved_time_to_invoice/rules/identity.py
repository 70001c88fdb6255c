"""Stage 2: who worked, on what. Fires RESOURCE_*, PROJECT_UNKNOWN, TASK_UNKNOWN, TASK_REQUIRED."""

from contracts.entities.engagement import Project
from contracts.entities.party import Resource
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules.case import ONE_DAY, Case
from process_apis.journeys.approved_time_to_invoice.rules.keys import xref_key


def absent(case: Case, entity: str, ref: Ref) -> str:
    """The key of what is missing: the cross-reference, or the record behind it."""
    code = case.snapshot.resolve(entity, ref)
    return xref_key(entity, ref) if code is None else f"{entity}:{code}"


def judge(case: Case) -> None:
    """Fills resource, employer, project, approvers, task."""
    _resource(case)
    _project(case)
    if case.project is not None:
        _task(case, case.project)


def _resource(case: Case) -> None:
    ref = case.question.resource
    person = case.resource = case.snapshot.find(Resource, ref)
    if person is None:
        case.say("RESOURCE_UNKNOWN", absent(case, "resource", ref), observed=str(ref))
        return
    case.employer = case.snapshot.resolve("legal_entity", person.legal_entity) or ""
    last = person.termination_date
    if not case.span.within(person.hire_date, last + ONE_DAY if last else None):
        root = f"resource:{person.code}"
        case.say("RESOURCE_INACTIVE", root, hired=person.hire_date, left=last)


def _project(case: Case) -> None:
    ref = case.question.project
    project = case.project = case.snapshot.find(Project, ref)
    if project is None:
        case.say("PROJECT_UNKNOWN", absent(case, "project", ref), observed=str(ref))
        return
    allowed = (case.snapshot.person(each) for each in project.approvers)
    case.approvers = frozenset(allowed)
    if case.approvers and project.manager is not None:
        case.approvers |= {case.snapshot.person(project.manager)}


def _task(case: Case, project: Project) -> None:
    ref = case.question.task
    if ref is None:
        if project.task_required:
            case.say("TASK_REQUIRED", f"project:{project.code}")
        return
    task = case.task = case.snapshot.task(ref, project.code)
    if task is not None:
        if not task.billable and case.flag == "BILLABLE":
            case.flag = "NON_BILLABLE"
        return
    known = case.snapshot.resolve("task", ref)
    root = xref_key("task", ref) if known is None else f"task:{project.code}/{known}"
    if known is not None and "/" in known:  # a task of another project
        root = f"task:{known}"
    case.say("TASK_UNKNOWN", root, observed=str(ref), project=project.code)
