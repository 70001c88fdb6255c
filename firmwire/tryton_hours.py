"""This file exists to do in Tryton what people do there: customers, projects, a month of hours.

Owns   the records it makes, all through Tryton's own API, as an administrator.
Fails  Refused, with what Tryton said.
"""

from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct

from sandbox.servers.tryton_rpc import Tryton

CUSTOMERS = tuple((f"CL-{n:04d}", n != 7) for n in range(1, 8))
PEOPLE = ("E00001", "E00002", "E00003", "E00004")
TASKS = ("Discovery", "Build")
HOURS = (3, 4, 2)
HOURLY_RATE = Decimal("125.50")


class Month(Struct, frozen=True, kw_only=True):
    """lines: hours written. expected: codes by id of the line, for those that must not bill."""

    first: date
    lines: int
    expected: dict[str, tuple[str, ...]]


def write_month(erp: Tryton, first: date) -> Month:
    """Seven customers (one cannot be billed: nobody to send it to), and hours on every workday."""
    company = erp.context["company"]
    _price(erp)
    germany = erp.find("country.country", ["code", "=", "DE"])
    works: list[tuple[int, bool]] = []
    for number, (code, billable) in enumerate(CUSTOMERS, start=1):
        party = _party(erp, code, f"Client {number} GmbH", germany, with_email=billable)
        works += [(work, billable) for work in _project(erp, company, number, party, first)]
    people = [_employee(erp, company, code, germany) for code in PEOPLE]
    rows, billing = [], []
    days = [first + timedelta(days=n) for n in range(31)]
    for day in (d for d in days if d.month == first.month and d.weekday() < 5):
        for place, person in enumerate(people):
            work, billable = works[(day.day + place) % len(works)]
            rows.append(
                {
                    "company": company,
                    "employee": person,
                    "date": day,
                    "duration": timedelta(hours=HOURS[(day.day + place) % len(HOURS)]),
                    "work": work,
                    "description": f"work of {day:%d %B}",
                }
            )
            billing.append(billable)
    ids = erp("model.timesheet.line.create", rows)
    expected: dict[str, tuple[str, ...]] = {
        str(id): ("BILL_TO_INVALID",) for id, fine in zip(ids, billing, strict=True) if not fine
    }
    return Month(first=first, lines=len(ids), expected=expected)


def _price(erp: Tryton) -> None:
    product = erp.find("product.product", ["code", "=", "TIME"])
    template = erp("model.product.product.read", [product], ["template"])[0]["template"]
    erp("model.product.template.write", [template], {"list_price": HOURLY_RATE})


def _party(erp: Tryton, code: str, name: str, country: int, *, with_email: bool) -> int:
    address = {"street": "Hauptstrasse 1", "postal_code": "10115", "city": "Berlin"}
    mail = [{"type": "email", "value": f"ap@{code.lower()}.example"}] if with_email else []
    return erp.create(
        "party.party",
        name=name,
        code=code,
        addresses=[["create", [{**address, "country": country}]]],
        contact_mechanisms=[["create", mail]] if mail else [],
    )


def _employee(erp: Tryton, company: int, code: str, country: int) -> int:
    party = _party(erp, code, f"Consultant {code[1:]}", country, with_email=True)
    return erp.create("company.employee", party=party, company=company)


def _project(erp: Tryton, company: int, number: int, party: int, first: date) -> list[int]:
    """The timesheet works of the project's tasks."""
    shared = {"company": company, "timesheet_available": True}
    tasks = [{**shared, "type": "task", "name": name} for name in TASKS]
    project = erp.create(
        "project.work",
        **shared,
        type="project",
        name=f"[P-{number:04d}] Programme {number}",
        party=party,
        timesheet_start_date=first - timedelta(days=60),
        children=[["create", tasks]],
    )
    made = erp("model.project.work.search", [["parent", "=", project]], 0, None, None)
    return [erp.find("timesheet.work", ["origin", "=", f"project.work,{id}"]) for id in made]


def invoices(erp: Tryton, prefix: str) -> list[tuple[str, str, str]]:
    """Reference, number and state of every customer invoice of ours: the ERP's own word."""
    domain = [["type", "=", "out"], ["reference", "like", f"{prefix}%"]]
    fields = ["reference", "number", "state"]
    found = erp("model.account.invoice.search_read", domain, 0, None, None, fields)
    return [(row["reference"], row["number"] or "", row["state"]) for row in found]
