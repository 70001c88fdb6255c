"""What the conformance suite must know of NetSuite to hold its connector to the ports."""

from contextlib import contextmanager
from datetime import date
from decimal import Decimal

from joserfc.jwk import ECKey

from chassis.settings import Secret
from contracts.entities.finance import InvoiceDocument, InvoiceDocumentLine
from contracts.money import money
from contracts.ports.system.erp import CustomerDraft, JobDraft
from system_apis.simulator import Row
from system_apis.vendors.netsuite.connector import Settings

STREAM, KIND = "billing_account", "entity"
KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
GBP, UK = {"id": "1", "refName": "GBP"}, {"id": "1"}


def seed(store):
    store.put("certificate", "kid", {"client_id": "me", "public_key": KEY.as_dict(private=False)})
    store.put("currency", "1", {"name": "Pound", "symbol": "GBP"})
    uk = {"name": "UK", "currency": GBP, "country": {"id": "GB"}, "tranPrefix": "UK-"}
    store.put("subsidiary", "1", uk | {"externalId": "LE-UK"}, unique="LE-UK")
    span = {"startDate": "2026-01-01", "endDate": "2026-01-31"}
    store.put("accountingPeriod", "1", span | {"periodName": "2026-01", "closed": False})
    store.put("accountingPeriod", "2", {
        "startDate": "2025-12-01", "endDate": "2025-12-31", "periodName": "2025-12", "closed": True,
    })  # fmt: skip
    store.put("salesTaxItem", "5", {"itemId": "S", "rate": "20", "externalId": "LE-UK:S"})
    store.put("serviceItem", "45", {"itemId": "TIME", "externalId": "TIME"}, unique="TIME")
    store.put("entity", "900", row(900).doc | {"externalId": "BA-1"}, unique="BA-1")


def settings(url, **changed):
    own = {
        "client_id": "me",
        "certificate_id": "kid",
        "private_key": Secret(KEY.as_pem(private=True).decode()),
        "deadline_s": 1.0,
    }
    return Settings(base_url=url, **(own | changed))


WRONG = {"private_key": Secret(OTHER.as_pem(private=True).decode())}


def row(number, at=None, name="Customer"):
    doc = {"recordType": "customer", "entityId": f"E{number}", "companyName": f"{name} {number}"}
    return Row(str(number), doc | {"subsidiary": UK, "currency": GBP}, updated_at=at)


PUTS = {
    "customer": (
        lambda c: c.put_customer(
            "BA-9",
            CustomerDraft(code="BA-9", name="Nine", legal_entity="1", currency="GBP"),
        ),
        lambda c: c.customer_by_reference("BA-9"),
        "entity",
        ("PUT", "/services/rest/record/v1/customer"),
    ),
    "job": (
        lambda c: c.put_job("P-9", JobDraft(code="P-9", name="Nine", customer="900")),
        lambda c: c.job_by_reference("P-9"),
        "entity",
        ("PUT", "/services/rest/record/v1/job"),
    ),
}
ABSENT = (
    lambda c: c.customer_by_reference("BA-404"),
    lambda c: c.job_by_reference("P-404"),
    lambda c: c.invoice("404"),
    lambda c: c.invoice_by_reference("X-404"),
)


def document(reference="T-LE-UK-INV-1", day=date(2026, 1, 31), customer="900"):
    net = money(Decimal("1500.50"), "GBP")
    line = InvoiceDocumentLine(
        line_no=1, description="Consulting", quantity=Decimal("10.000000"),
        unit_price=Decimal("150.05"), net=net, item="45", tax_code="5",
    )  # fmt: skip
    return InvoiceDocument(
        reference=reference, customer=customer, legal_entity="1", currency="GBP",
        invoice_date=day, service_from=date(2026, 1, 1), service_to=date(2026, 1, 31),
        po="PO-1", content_hash="abc123", net=net, lines=(line,),
    )  # fmt: skip


INVOICES = ("transaction", ("POST", "/services/rest/record/v1/invoice"))
CLOSED = lambda: document("T-LE-UK-INV-2", date(2025, 12, 31))  # noqa: E731
NO_CUSTOMER = lambda: document("T-LE-UK-INV-3", customer="404")  # noqa: E731


@contextmanager
def growing(store):
    """Somebody adds a custom field to the customer form."""
    store.put("entity", "900", row(900).doc | {"externalId": "BA-1", "custentity_brand_new": "x"})
    yield lambda c: c.customer_by_reference("BA-1")
