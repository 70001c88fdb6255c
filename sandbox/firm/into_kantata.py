"""The firm's projects, people, rates and the month's time in Kantata; time waits for approval."""

from datetime import timedelta
from typing import Any

from contracts.entities.engagement import Project, RateCard
from contracts.money import exponent
from sandbox.firm.model import Firm
from sandbox.firm.vendors import Ids, Rows

CLIENT_ID = "firmwire-kantata"
APPROVER_ID = "1"
STATUS_KEYS = {
    "PLANNED": (100, "Not Started"),
    "ACTIVE": (300, "In Progress"),
    "ON_HOLD": (400, "On Hold"),
    "CLOSED": (500, "Completed"),
}
BASE_UNITS = {"JPY": 1}


class Book:
    """Kantata ids by our codes. entries: PSA id of each planned entry, by its number."""

    def __init__(self) -> None:
        self.users, self.roles, self.clients = Ids(start=101), Ids(start=11), Ids(start=201)
        self.projects, self.tasks = Ids(start=2001), Ids(start=30001)
        self.cards, self.references = Ids(start=51), Ids()
        self.entries: dict[int, str] = {}


def rows(firm: Firm, secret: str) -> tuple[Rows, Book]:
    """secret: of the API client that Firmwire uses; its user is the approver."""
    out, book = Rows(), Book()
    out.add("client", CLIENT_ID, {"client_secret": secret, "user_id": APPROVER_ID})
    desk = {"full_name": "Approval desk", "email_address": "approvals@firm.example"}
    out.add("users", APPROVER_ID, desk | {"disabled": False})
    _people(firm, out, book)
    _cards(firm, out, book)
    _projects(firm, out, book)
    _staffing(firm, out, book)
    _time(firm, out, book)
    return out, book


def _refer(out: Rows, book: Book, subject: str, id: str, model: str, code: str) -> None:
    key = f"{subject}/{id}/{model}"
    out.add(
        "external_references",
        book.references[key],
        {
            "subject_type": subject,
            "subject_id": id,
            "service_name": "firmwire",
            "service_model": model,
            "service_model_ref": code,
            "locked": False,
        },
    )


def _people(firm: Firm, out: Rows, book: Book) -> None:
    for role in firm.roles:
        out.add("roles", book.roles[role.code], {"name": role.name})
        _refer(out, book, "Role", book.roles[role.code], "role", role.code)
    for person in firm.resources:
        stranger = person.code in firm.strangers
        email = f"private-{person.code.lower()}@elsewhere.example" if stranger else person.email
        out.add(
            "users",
            book.users[person.code],
            {"full_name": person.name, "email_address": email, "disabled": False},
        )
    for client in firm.clients:
        id = book.clients[client.code]
        out.add("workspace_groups", id, {"name": client.name, "company": True})
        _refer(out, book, "WorkspaceGroup", id, "client", client.code)


def _cards(firm: Firm, out: Rows, book: Book) -> None:
    rows = Ids(start=7001)
    for card in firm.rate_cards:
        id = book.cards[card.code]
        out.add("rate_cards", id, {"currency": card.currency, "rate_card_set_id": id})
        _refer(out, book, "RateCard", id, "rate_card", card.code)
        owner = {"CONTRACT": "contract", "CLIENT": "client", "LE": "legal_entity"}.get(card.owner)
        if owner:
            _refer(out, book, "RateCard", id, owner, card.owner_code)
        version = {"rate_card_id": id, "effective_date": str(card.valid_from), "default_rate": None}
        out.add("rate_card_versions", id, version)
        for line in card.lines:
            rate = {
                "rate_card_version_id": id,
                "role_id": book.roles[line.role or ""],
                "rate": _minor(card, line.rate),
            }
            out.add("rate_card_roles", rows[line.id], rate)


def _minor(card: RateCard, rate: Any) -> int:
    return int(rate.scaleb(exponent(card.currency)))


def _projects(firm: Firm, out: Rows, book: Book) -> None:
    currencies = {c.code: c.currency for c in firm.contracts}
    by_code = {p.code: p for p in firm.projects}
    for project in firm.projects:
        currency = currencies[project.contract.id] if project.contract else "GBP"
        id = book.projects[project.code]
        _workspace(out, book, id, project, project.name, currency)
        _refer(out, book, "Workspace", id, "project", project.code)
        if project.contract:
            _refer(out, book, "Workspace", id, "contract", project.contract.id)
    for legacy, stands_for in firm.legacy_projects.items():
        project = by_code[stands_for]
        currency = currencies[project.contract.id] if project.contract else "GBP"
        _workspace(out, book, book.projects[legacy], project, f"{project.name} (old)", currency)
    for task in firm.tasks:
        id = book.tasks[f"{task.project.id}/{task.code}"]
        story = {
            "title": task.name,
            "workspace_id": book.projects[task.project.id],
            "story_type": "task",
            "archived": False,
            "billable": True,
        }
        out.add("stories", id, story)


def _workspace(out: Rows, book: Book, id: str, project: Project, title: str, currency: str) -> None:
    key, message = STATUS_KEYS[project.status]
    assert project.client is not None
    assert project.end is not None
    out.add(
        "workspaces",
        id,
        {
            "title": title,
            "currency": currency,
            "currency_base_unit": BASE_UNITS.get(currency, 100),
            "currency_symbol": currency,
            "status_key": key,
            "status": {"key": key, "message": message},
            "archived": False,
            "require_time_approvals": True,
            "workspace_group_ids": [book.clients[project.client.id]],
            "start_date": str(project.start),
            "due_date": str(project.end - timedelta(days=1)),
            "budgeted": False,
        },
    )


def _staffing(firm: Firm, out: Rows, book: Book) -> None:
    for number, assignment in enumerate(firm.assignments, start=1):
        assert assignment.role is not None
        resource: dict[str, Any] = {
            "workspace_id": book.projects[assignment.project.id],
            "user_id": book.users[assignment.resource.id],
            "role_id": book.roles[assignment.role.id],
        }
        out.add("workspace_resources", str(number), resource)
        assert assignment.end is not None
        allocation = {
            "workspace_resource_id": str(number),
            "workspace_id": resource["workspace_id"],
            "start_date": str(assignment.start),
            "end_date": str(assignment.end - timedelta(days=1)),
            "minutes": 60_000,
            "hard": True,
        }
        out.add("workspace_allocations", str(number), allocation)


def _time(firm: Firm, out: Rows, book: Book) -> None:
    submissions, sheets = Ids(), dict[str, dict[str, Any]]()
    currencies = {c.code: c.currency for c in firm.contracts}
    of_project = {p.code: currencies[p.contract.id] for p in firm.projects if p.contract}
    for e in firm.entries:
        id = str(100_000 + e.number)
        book.entries[e.number] = id
        workspace, user = book.projects[e.project], book.users[e.resource]
        sheet = submissions[f"{workspace}/{user}"]
        day = e.work_date.isoformat()
        held = sheets.setdefault(
            sheet,
            {
                "workspace_id": workspace,
                "user_id": user,
                "status": "pending",
                "time_entry_ids": [],
                "start_date": day,
                "end_date": day,
                "title": f"Time of {firm.month:%B %Y}",
            },
        )
        held["time_entry_ids"].append(id)
        held |= {"start_date": min(held["start_date"], day), "end_date": max(held["end_date"], day)}
        currency = of_project.get(firm.legacy_projects.get(e.project, e.project), "GBP")
        out.add(
            "time_entries",
            id,
            {
                "workspace_id": workspace,
                "user_id": user,
                "story_id": _story(book, e.project, e.task_title),
                "role_id": book.roles[e.role],
                "date_performed": day,
                "time_in_minutes": e.minutes,
                "billable": e.billable,
                "notes": e.narrative,
                "currency": currency,
                "currency_base_unit": BASE_UNITS.get(currency, 100),
                "currency_symbol": currency,
                "approved": False,
                "is_invoiced": False,
                "user_can_edit": True,
                "active_submission_id": sheet,
                "recent_submission_id": sheet,
            },
        )
    for sheet, held in sheets.items():
        out.add("timesheet_submissions", sheet, held)


def _story(book: Book, project: str, title: str | None) -> str | None:
    """A task that was deleted in Kantata leaves its id on the time: `MISSING`."""
    if title is None:
        return None
    return "99999999" if title == "MISSING" else book.tasks[f"{project}/{title}"]
