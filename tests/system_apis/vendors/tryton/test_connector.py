"""The connector against a Tryton nobody here wrote: time out, invoices in, exactly once."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from chassis.settings import Secret
from contracts.entities.finance import InvoiceDocument, InvoiceDocumentLine
from contracts.money import money
from contracts.ports.system.erp import CustomerDraft, JobDraft
from contracts.ports.system.psa import ApprovalRequest, ProjectDraft
from contracts.problem import Fault, Problem

pytestmark = [pytest.mark.real_erp, pytest.mark.xdist_group("real_erp")]
DAY = date(2026, 11, 2)
CUSTOMER = CustomerDraft(
    code="BA-1", name="Client", legal_entity="1", currency="EUR", address="Way 1", country="DE",
    email="ap@client.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def firm(admin):
    """One employee on one task of one customer's project, as a project office enters them."""
    company = admin.context["company"]
    home = {"street": "Way 7", "city": "Berlin", "country": admin.find("country.country")}
    client = admin.create("party.party", name="Acme", code="CL-1", addresses=[["create", [home]]])
    mail = {"type": "email", "value": "e1@firm.example"}
    person = admin.create(
        "party.party", name="Person 1", code="E0001", contact_mechanisms=[["create", [mail]]]
    )
    employee = admin.create(
        "company.employee", party=person, company=company, start_date=date(2020, 1, 1)
    )
    common = {"company": company, "timesheet_available": True}
    project = admin.create(
        "project.work", name="[P-1] Relaunch", type="project", party=client,
        children=[["create", [{**common, "name": "Design", "type": "task"}]]], **common,
    )  # fmt: skip
    task = admin.find("project.work", ["parent", "=", project])
    work = admin.find("timesheet.work", ["origin", "=", f"project.work,{task}"])

    def write(minutes, day=DAY):
        return admin.create(
            "timesheet.line", company=company, employee=employee, date=day, work=work,
            duration=timedelta(minutes=minutes), description="Designed",
        )  # fmt: skip

    return {"client": client, "project": project, "task": task, "employee": employee, "w": write}


@pytest.fixture
async def document(connector):
    """Makes invoices of one line."""
    customer = (await connector.put_customer("BA-1", CUSTOMER)).ref.id
    found = (await connector.changes("alias")).items
    ids = {(alias.of, alias.code): alias.ref.id for alias in found}

    def make(reference, day=DAY, content_hash="abc123", quantity="10", net="1500.50"):
        amount = money(Decimal(net), "EUR")
        line = InvoiceDocumentLine(
            line_no=1, description="Consulting", quantity=Decimal(quantity),
            unit_price=Decimal("150.05"), net=amount, item=ids["item", "TIME"],
            tax_code=ids["tax_code", "LE-DE:S"],
        )  # fmt: skip
        return InvoiceDocument(
            reference=reference, customer=customer, legal_entity="1", currency="EUR",
            invoice_date=day, service_from=DAY, service_to=DAY, po="PO-1",
            content_hash=content_hash, net=amount, lines=(line,),
        )  # fmt: skip

    return make


def references(rows, prefix):
    text = "SELECT reference, number, state FROM account_invoice WHERE reference LIKE %s"
    return sorted(rows(text, f"{prefix}%"))


async def fault_of(awaited):
    with pytest.raises(Problem) as caught:
        await awaited
    return caught.value


async def test_every_stream_reads_and_then_is_quiet(connector, firm):
    """No stream is a promise only, and what did not change is not told again."""
    assert (await connector.health()).state == "UP"
    for stream in await connector.streams():
        page = await connector.changes(stream)
        assert page.items, stream
        assert (await connector.changes(stream, page.next_cursor)).items == ()


async def test_records_name_each_other(connector, firm):
    """Client, account, contract, project and person hold together by codes or ids of Tryton."""

    async def one(stream, **known):
        found = (await connector.changes(stream)).items
        return next(r for r in found if all(getattr(r, k) == v for k, v in known.items()))

    client = await one("client", code="CL-1")
    account = await one("billing_account", code="CL-1")
    contract = await one("contract", code="P-1")
    project = await one("project", code="P-1")
    person = await one("resource", code="E0001")
    assigned = await one("assignment", project=project.ref, resource=person.ref)
    assert contract.client == account.client == project.client == client.ref
    assert contract.billing_account.id == account.code
    assert project.contract.id == contract.code
    assert contract.lines[0].project == project.ref
    assert (assigned.status, person.email) == ("ACTIVE", "e1@firm.example")
    assert (await connector.worker_by_reference("E0001")) is not None
    assert (await connector.worker_by_reference("E9999")) is None


async def test_time_comes_approved_once_and_again_when_it_changes(connector, firm, admin):
    """No line is lost between pages; a change is a newer version of the same entry."""
    ids = {str(firm["w"](60 + number)) for number in range(5)}
    seen, cursor, more = {}, None, True
    while more:
        page = await connector.time_entries(cursor, 2)
        seen |= {entry.ref.id: entry for entry in page.items}
        cursor, more = page.next_cursor, page.more
    assert ids <= seen.keys()
    one = seen[min(ids)]
    assert one.status == "APPROVED"
    assert one.approval.auto
    assert (one.project.id, one.task.id) == (str(firm["project"]), str(firm["task"]))
    admin("model.timesheet.line.write", [int(one.ref.id)], {"duration": timedelta(minutes=7)})
    news = {e.ref.id: e for e in (await connector.time_entries(cursor, 50)).items}
    assert news[one.ref.id].minutes == 7
    assert news[one.ref.id].source_version > one.source_version
    assert await connector.time_entry(one.ref.id) == news[one.ref.id]
    assert await connector.time_entry("999999") is None
    await connector.approve_time(ApprovalRequest(entry_ids=(one.ref.id,)))


async def test_an_invoice_is_posted_once(connector, document, rows):
    """What was posted is found by our reference with our hash; a second post changes nothing."""
    made = await connector.post_invoice(document("ONCE-1"))
    assert (made.status, made.net, made.content_hash) == (
        "POSTED", document("ONCE-1").net, "abc123",
    )  # fmt: skip
    assert made.total == money(Decimal("1785.60"), "EUR")
    assert (await fault_of(connector.post_invoice(document("ONCE-1")))).fault is Fault.CONFLICT
    assert await connector.invoice_by_reference("ONCE-1") == made
    assert await connector.invoice(made.ref.id) == made
    page = await connector.invoices("ONCE-", DAY, DAY + timedelta(days=1))
    assert page.items == (made,)
    assert (await connector.invoices("ONCE-", date(2026, 1, 1), DAY)).items == ()
    assert len(references(rows, "ONCE-")) == 1


async def test_an_amount_tryton_would_round_otherwise_stays_ours(connector, document):
    made = await connector.post_invoice(document("CENT-1", quantity="2.333333", net="350.11"))
    assert made.net == money(Decimal("350.11"), "EUR")


async def test_racing_posts_leave_no_gap_and_no_double(opened, connector, document, rows):
    """Two processes post six invoices, each both: one of each is posted, numbers in a row."""
    before = await connector.post_invoice(document("RACE-0"))
    others = [opened(), opened()]
    documents = [document(f"RACE-{number}") for number in range(1, 4)]
    calls = [c.post_invoice(d) for c in others for d in documents]
    told = await asyncio.gather(*calls, return_exceptions=True)
    for other in others:
        await other.aclose()
    faults = {t.fault for t in told if isinstance(t, Problem)}
    assert faults <= {Fault.CONFLICT, Fault.STALE}
    found = references(rows, "RACE-")
    assert [(r, s) for r, _, s in found] == [(f"RACE-{n}", "posted") for n in range(4)]
    numbers = sorted(int(number.rpartition("-")[2]) for _, number, _ in found)
    first = int(before.number.rpartition("-")[2])
    assert numbers == list(range(first, first + 4))


@pytest.mark.parametrize("lost", ["account.invoice.create", "account.invoice.post"])
async def test_a_lost_answer_is_silence_and_sending_again_makes_no_second(
    opened, erp, document, rows, line_to, lost
):
    """It may have happened, and the fault says so; the next call finishes what began."""
    reference = f"LOST-{lost.rpartition('.')[2]}"
    async with line_to(erp.url) as line:
        line.strike("timeout_after_commit", f'"model.{lost}"')
        struck = opened(base_url=line.url)
        first = await fault_of(struck.post_invoice(document(reference)))
        assert first.fault is Fault.VENDOR_SILENT
        seen = await struck.invoice_by_reference(reference)
        assert seen is not None
        again = struck.post_invoice(document(reference))
        if seen.status == "POSTED":
            assert (await fault_of(again)).fault is Fault.CONFLICT
        else:
            assert (await again).content_hash == "abc123"
        await struck.aclose()
    assert [state for _, _, state in references(rows, reference)] == ["posted"]


async def test_somebody_elses_draft_is_not_posted(connector, document, admin, rows):
    """Resumed is only what has our content; anything else under the reference is a conflict."""
    made = await connector._books.content(document("DRAFT-1", content_hash="ours"))
    await connector._read.call("account.invoice.create", [made])
    other = document("DRAFT-1", content_hash="another")
    assert (await fault_of(connector.post_invoice(other))).fault is Fault.CONFLICT
    assert references(rows, "DRAFT-1")[0][2] == "draft"
    resumed = await connector.post_invoice(document("DRAFT-1", content_hash="ours"))
    assert resumed.status == "POSTED"
    assert len(references(rows, "DRAFT-1")) == 1


async def test_a_refused_posting_leaves_nothing_behind(connector, document, admin, rows):
    """A closed month names its work item; reopened, the same reference goes through.

    In a year of its own: Tryton numbers by date, and other tests post later in this one.
    """
    month = admin.find("account.period", ["start_date", "=", date(2027, 3, 1)])
    admin("model.account.period.close", [month])
    march = document("SHUT-1", day=date(2027, 3, 15))
    refused = await fault_of(connector.post_invoice(march))
    assert (refused.fault, refused.vendor.exception_code) == (
        Fault.VENDOR_REJECTED, "PERIOD_CLOSED",
    )  # fmt: skip
    assert references(rows, "SHUT-") == []
    admin("model.account.period.reopen", [month])
    assert (await connector.post_invoice(march)).status == "POSTED"


async def test_what_the_books_do_not_have_names_the_work_item(connector, document):
    good = document("NONE-1")
    for bad, code in (
        (replace(good, customer="404404"), "CUSTOMER_REF_MISSING"),
        (replace(good, lines=(replace(good.lines[0], item="9999"),)), "ITEM_UNMAPPED"),
        (replace(good, lines=(replace(good.lines[0], tax_code="9999"),)), "TAX_CODE_UNMAPPED"),
        (replace(good, invoice_date=date(2040, 1, 1)), "PERIOD_NOT_DEFINED"),
    ):
        refused = await fault_of(connector.post_invoice(bad))
        assert (refused.fault, refused.vendor.exception_code) == (Fault.VENDOR_REJECTED, code)
    assert await connector.invoice_by_reference("NONE-1") is None


async def test_create_or_match_makes_one_record(connector, opened, rows):
    """Also when two processes ask at once."""
    job = JobDraft(code="P-9", name="Nine", customer="1")
    other = opened()
    drafts = [c.put_job("P-9", job) for c in (connector, other)]
    placed = [p for p in await asyncio.gather(*drafts, return_exceptions=True)]
    assert len({p.ref for p in placed if not isinstance(p, Problem)}) == 1
    again = await connector.put_job("P-9", job)
    assert not again.created
    assert (await connector.job_by_reference("P-9")).ref == again.ref
    await connector.close_job(again.ref.id)
    await connector.close_job(again.ref.id)
    codes = [c.put_customer("BA-8", replace(CUSTOMER, code="BA-8")) for c in (connector, other)]
    customers = await asyncio.gather(*codes)
    assert len({p.ref for p in customers}) == 1
    await other.aclose()


async def test_a_project_without_time_can_be_withdrawn(connector, firm):
    draft = ProjectDraft(
        code="P-5", name="Five", client="CL-1", contract="C-5", currency="EUR", start=DAY,
        tasks=("A", "B"),
    )  # fmt: skip
    made = await connector.put_project("P-5", draft)
    await connector.cancel_project(made.ref.id)
    await connector.cancel_project(made.ref.id)
    assert await connector.project_by_reference("P-5") is None
    firm["w"](30)
    used = await fault_of(connector.cancel_project(str(firm["project"])))
    assert used.fault is Fault.CONFLICT


async def test_an_ended_session_begins_anew(connector, rows):
    """A 401 means one more login, not an error."""
    await connector.invoice("1")
    rows("DELETE FROM ir_session")
    assert (await connector.health()).state == "UP"


async def test_wrong_credentials_are_told_as_such(opened):
    wrong = opened(password=Secret("not this one"))
    assert (await fault_of(wrong.changes("project"))).fault is (Fault.VENDOR_AUTH)
    assert (await wrong.health()).state == "DOWN"
    await wrong.aclose()


async def test_approval_nobody_stands_for_is_a_conflict(opened):
    """Where written time is not approved time, Tryton has nobody who could approve it."""
    struck = opened(approval="none")
    try:
        asked = struck.approve_time(ApprovalRequest(entry_ids=("1",)))
        assert (await fault_of(asked)).fault is Fault.CONFLICT
    finally:
        await struck.aclose()
