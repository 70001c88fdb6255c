"""Tryton's words to ours, without a server."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from chassis.outbound import Reply
from contracts.entities.finance import InvoiceDocumentLine
from contracts.ids import Ref
from contracts.money import money
from contracts.problem import Fault, Problem
from system_apis.vendors.tryton import mapping, wire
from system_apis.vendors.tryton.feeds import calls

AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
HOUR = wire.Product(id=1, create_date=AT, code="TIME", default_uom=9, unit=wire.Named(digits=6))


def work(id, **known):
    values = {"name": f"W{id}", "number": str(id), "type": "task", "create_date": AT}
    return wire.Work(id=id, **(values | known))


def line(quantity, price, net):
    return InvoiceDocumentLine(
        line_no=1, description="Advice", quantity=Decimal(quantity), unit_price=Decimal(price),
        net=money(Decimal(net), "EUR"), item="1", tax_code="7",
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        Decimal("120.0000"),
        date(2026, 2, 28),
        AT,
        timedelta(minutes=90),
        {"a": [Decimal(1), None, "x"]},
    ],
)
def test_typed_values_survive_the_wire(value):
    """What goes out as Tryton's JSON comes back the same."""
    import json

    assert wire.undressed(json.dumps(wire.dressed(value)).encode()) == value


def test_a_number_is_never_a_float():
    assert wire.undressed(b'{"quantity": 0.1}')["quantity"] == Decimal("0.1")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("[P-0001] Relaunch", "P-0001", "Relaunch"), ("Relaunch", "4", "Relaunch")],
)
def test_a_project_code_stands_in_brackets_or_is_the_number(name, code, said):
    made = mapping.project("tryton", work(4, name=name, type="project"))
    assert (made.code, made.name) == (code, said)


def test_time_on_a_task_below_tasks_belongs_to_the_nearest_project():
    works = {
        1: work(1, type="project", name="[P-1] One"),
        2: work(2, parent=1),
        3: work(3, parent=2),
    }
    entry = mapping.time_entry(
        "tryton",
        wire.Line(
            id=9, create_date=AT, employee=5, date=date(2026, 11, 20),
            duration=timedelta(minutes=90), work=wire.Named(id=3, origin="project.work,3"),
        ),
        works, "Europe/Berlin", approved=True,
    )  # fmt: skip
    assert (entry.project, entry.task, entry.minutes) == (
        Ref("tryton", "1"), Ref("tryton", "3"), 90,
    )  # fmt: skip
    assert entry.status == "APPROVED"
    assert entry.approval.auto
    assert entry.approval.subject_version == entry.source_version


@pytest.mark.parametrize(
    ("quantity", "price", "net", "hours"),
    [
        ("2.333333", "120", "280.00", True),
        ("10", "150.05", "1500.50", True),
        # half a cent: Tryton would round to even, we agreed on away from zero
        ("0.5", "0.05", "0.03", False),
        # the spreading of a total gave this line a cent
        ("2.333333", "120", "280.01", False),
        # more digits of a price than Tryton keeps
        ("3", "33.333333", "100.00", False),
    ],
)
def test_a_line_adds_up_to_the_agreed_amount_whatever_tryton_rounds(quantity, price, net, hours):
    made = mapping.invoice_line(line(quantity, price, net), HOUR, 99, {})
    assert ("product" in made) is hours
    if not hours:
        assert (made["quantity"], made["unit_price"]) == (1.0, Decimal(net))


def test_a_content_hash_survives_in_the_comment():
    stored = wire.Invoice(id=1, create_date=AT, comment="Thank you\n[firmwire:abc123]")
    assert mapping.invoice("tryton", stored).content_hash == "abc123"
    assert mapping.invoice("tryton", wire.Invoice(id=1, create_date=AT)).content_hash == ""


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, '{"id":1,"error":["UserError",["The code must be unique.",""]]}', Fault.CONFLICT),
        (200, '{"id":1,"error":["duplicate key value violates","" ]}', Fault.CONFLICT),
        (200, '{"id":1,"error":["ConcurrencyException","modified"]}', Fault.STALE),
        (200, '{"id":1,"error":["\'bogus\'",""]}', Fault.VENDOR_REJECTED),
        (200, "<html>", Fault.VENDOR_CONFUSED),
        (200, "{}", Fault.VENDOR_CONFUSED),
        (401, "", Fault.VENDOR_AUTH),
        (503, "could not obtain lock on row", Fault.VENDOR_THROTTLED),
        (503, "down for maintenance", Fault.VENDOR_MAINTENANCE),
        (503, "connection is lost", Fault.VENDOR_SILENT),
        (502, "", Fault.VENDOR_SILENT),
    ],
)
def test_a_refusal_inside_a_success_is_still_a_refusal(status, body, fault):
    """Tryton says most of its noes with status 200."""
    with pytest.raises(Problem) as caught:
        calls.answer("tryton", Reply(status, {}, body.encode()))
    assert caught.value.fault is fault


def test_a_null_result_is_a_result():
    assert calls.answer("tryton", Reply(200, {}, b'{"id":1,"result":null}')) is None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ('The period "2026-01" is closed.', "PERIOD_CLOSED"),
        ('To continue, you must reopen the period "2026-03".', "PERIOD_CLOSED"),
        ('you must create a period for the date "01/01/2029"', "PERIOD_NOT_DEFINED"),
        ('The value "9" for field "Party" in "Invoice" does not exist.', "CUSTOMER_REF_MISSING"),
        ("A tax can be added only once to an invoice line.", "TAX_CODE_UNMAPPED"),
        ("No.", "ERP_REJECTED"),
    ],
)
def test_words_of_a_refusal_name_the_work_item(words, code):
    assert mapping.exception_code(words) == code
