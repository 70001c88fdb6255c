"""What the conformance suite must know of Tryton: a real one, on a real PostgreSQL.

Records are put there by Tryton's own client and counted in its tables: never by the connector.
"""

from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal

import pytest

from chassis import clock
from chassis.settings import Secret
from contracts.entities.finance import InvoiceDocument, InvoiceDocumentLine
from contracts.money import money
from contracts.ports.system.erp import CustomerDraft, JobDraft
from contracts.ports.system.psa import ProjectDraft
from system_apis.vendors.tryton.connector import Settings

MARKS = (pytest.mark.real_erp, pytest.mark.xdist_group("real_erp"))
STREAM = "project"
CANNOT = {
    "maintenance": "trytond has no maintenance mode that it could be told to go into",
    "drift": "trytond gives only the fields asked for, so a new one is never seen",
}
KNOWN = {}
"""Ids of this Tryton, by our names."""
YEAR = clock.now().year
COUNTS = {
    "invoice": "SELECT count(*) FROM account_invoice WHERE type = 'out'",
    "party": "SELECT count(*) FROM party_party",
    "project": "SELECT count(*) FROM project_work WHERE type = 'project'",
}
CLEANING = (
    "DELETE FROM account_invoice",
    "DELETE FROM timesheet_line",
    "DELETE FROM project_work",
    "DELETE FROM timesheet_work",
    "DELETE FROM party_party WHERE code = 'BA-9'",
)


class There:
    """One database of the server, over a line that loses what it is told to lose."""

    def __init__(self, line, admin, rows, user):
        self.url, self._line = line.url, line
        self.admin, self._rows, self._user = admin, rows, user
        self.ids = {}
        for statement in CLEANING:
            rows(statement)
        self.calm()

    def strike(self, name, _method, prefix, count, **_args):
        """Too many tries to log in are the one limit Tryton has."""
        if name != "rate_limited":
            return self._line.strike(name, f'"{prefix}"', count)
        self._rows("DELETE FROM ir_session WHERE create_uid = "
                   "(SELECT id FROM res_user WHERE login = %s)", self._user)  # fmt: skip
        self._rows(
            "INSERT INTO res_user_login_attempt (login, create_date)"
            " SELECT %s, now() AT TIME ZONE 'UTC' + interval '1 day' FROM generate_series(1, 9)",
            self._user,
        )
        return None

    def calm(self):
        self._line.calm()
        self._rows("DELETE FROM res_user_login_attempt")

    async def gone(self):
        await self._line.down()

    def count(self, kind):
        return self._rows(COUNTS[kind])[0][0]

    def put_rows(self, numbers):
        """By one call, so at one moment; their ids."""
        common = {"type": "project", "company": self.admin.context["company"]}
        bodies = [{**common, "name": f"N {number}"} for number in numbers]
        made = self.admin("model.project.work.create", bodies)
        self.ids |= dict(zip(numbers, made, strict=True))
        return {str(id) for id in made}

    def change(self, number, name):
        id = self.ids[number]
        self.admin("model.project.work.write", [id], {"name": f"{name} {number}"})
        return str(id)


@asynccontextmanager
async def there(request):
    erp, admin, rows = (request.getfixturevalue(name) for name in ("erp", "admin", "rows"))
    async with request.getfixturevalue("line_to")(erp.url) as line:
        made = There(line, admin, rows, erp.user)
        _know(erp, admin, rows)
        yield made


def _know(erp, admin, rows):
    """A customer, and a month nobody may post in; once a database."""
    KNOWN.update(database=erp.database, user=erp.user, password=erp.passwords.user)
    if not rows("SELECT 1 FROM party_party WHERE code = 'BA-1'"):
        home = {"street": "Way 7", "city": "Berlin", "country": admin.find("country.country")}
        admin.create("party.party", name="One", code="BA-1", addresses=[["create", [home]]])
        month = admin.find("account.period", ["start_date", "=", date(YEAR - 1, 12, 1)])
        admin("model.account.period.close", [month])
        person = admin.create("party.party", name="Ann", code="E0001")
        admin.create(
            "company.employee", party=person, company=admin.context["company"],
            start_date=date(2020, 1, 1),
        )  # fmt: skip
    KNOWN.update(
        company=str(admin.context["company"]),
        customer=str(admin.find("party.party", ["code", "=", "BA-1"])),
        item=str(admin.find("product.product", ["code", "=", "TIME"])),
        tax=str(admin.find("account.tax", ["name", "=", "LE-DE:S"])),
    )


def settings(url, **changed):
    own = {"password": Secret(KNOWN["password"]), "legal_entity": "LE-DE"}
    own |= {"database": KNOWN["database"], "user": KNOWN["user"]}
    return Settings(base_url=url, **(own | changed))


WRONG = {"password": Secret("not it")}


def _customer():
    return CustomerDraft(
        code="BA-9", name="Nine", legal_entity=KNOWN["company"], currency="EUR", address="Way 9",
        country="DE", email="ap@nine.example",
    )  # fmt: skip


def _project():
    return ProjectDraft(
        code="P-9", name="Nine", client="BA-1", contract="C-9", currency="EUR",
        start=date(YEAR, 1, 1), tasks=("Build", "Travel"),
    )  # fmt: skip


PUTS = {
    "customer": (
        lambda c: c.put_customer("BA-9", _customer()),
        lambda c: c.customer_by_reference("BA-9"),
        "party",
        ("POST", "model.party.party.create"),
    ),
    "job": (
        lambda c: c.put_job("P-9", JobDraft(code="P-9", name="N", customer=KNOWN["customer"])),
        lambda c: c.job_by_reference("P-9"),
        "project",
        ("POST", "model.project.work.create"),
    ),
    "project": (
        lambda c: c.put_project("P-9", _project()),
        lambda c: c.project_by_reference("P-9"),
        "project",
        ("POST", "model.project.work.create"),
    ),
}
ABSENT = (
    lambda c: c.customer_by_reference("BA-404"),
    lambda c: c.job_by_reference("P-404"),
    lambda c: c.project_by_reference("P-%"),
    lambda c: c.invoice("404404"),
    lambda c: c.invoice("nonsense"),
    lambda c: c.invoice_by_reference("X-404"),
    lambda c: c.time_entry("404404"),
    lambda c: c.worker_by_reference("E9999"),
    lambda c: c.worker("404404"),
)


def document(reference="T-LE-UK-INV-1", day=date(YEAR, 1, 31), customer=None):
    net = money(Decimal("1500.50"), "EUR")
    line = InvoiceDocumentLine(
        line_no=1, description="Consulting", quantity=Decimal("10.000000"),
        unit_price=Decimal("150.05"), net=net, item=KNOWN["item"], tax_code=KNOWN["tax"],
    )  # fmt: skip
    return InvoiceDocument(
        reference=reference, customer=customer or KNOWN["customer"],
        legal_entity=KNOWN["company"], currency="EUR", invoice_date=day,
        service_from=day.replace(day=1), service_to=day, po="PO-1", content_hash="abc123",
        net=net, lines=(line,),
    )  # fmt: skip


INVOICES = ("invoice", ("POST", "model.account.invoice.post"))
CLOSED = lambda: document("T-LE-UK-INV-2", date(YEAR - 1, 12, 31))  # noqa: E731
NO_CUSTOMER = lambda: document("T-LE-UK-INV-3", customer="404404")  # noqa: E731


def recorded(there, numbers):
    """By one call, so at one moment."""
    admin, company = there.admin, there.admin.context["company"]
    common = {"company": company, "timesheet_available": True}
    task = {**common, "name": "Design", "type": "task"}
    project = admin.create(
        "project.work", name="One", type="project", children=[["create", [task]]], **common
    )
    task = admin.find("project.work", ["parent", "=", project])
    entry = {
        "company": company, "employee": admin.find("company.employee"),
        "work": admin.find("timesheet.work", ["origin", "=", f"project.work,{task}"]),
        "date": date(YEAR, 2, 3), "duration": timedelta(minutes=60),
    }  # fmt: skip
    made = admin("model.timesheet.line.create", [entry for _ in numbers])
    there.ids |= dict(zip(numbers, made, strict=True))
    return {str(id) for id in made}


def corrected(there, number):
    id = there.ids[number]
    there.admin("model.timesheet.line.write", [id], {"duration": timedelta(minutes=7)})
    return str(id)


def hired(_there):
    return "E0001"
