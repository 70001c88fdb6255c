"""What the conformance suite must know of Salesforce to hold its connector to the ports."""

from contextlib import contextmanager
from datetime import date

from chassis.settings import Secret
from contracts.ports.system.crm import ClientDraft, ContractDraft
from system_apis.simulator import Row
from system_apis.vendors.salesforce.connector import Settings
from system_apis.vendors.salesforce.simulator import record_id
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Field

STREAM, KIND = "client", "Account"


def seed(store):
    store.put("client", "app", {"client_secret": "s", "user_id": "005000000000001AAA"})
    client = {"Name": "One", "Firm_Client_Code__c": "CL-1", "Firm_Ext_Id__c": "CL-1"}
    store.put("Account", record_id("Account", 900), client, unique="CL-1")
    deal = {"Name": "D", "StageName": "Closed Won", "CloseDate": "2026-01-31", "Amount": "10.50"}
    deal |= {"AccountId": record_id("Account", 900), "CurrencyIsoCode": "GBP"}
    store.put("Opportunity", record_id("Opportunity", 1), deal)


def settings(url, **changed):
    own = {"client_id": "app", "client_secret": Secret("s"), "deadline_s": 1.0}
    return Settings(base_url=url, **(own | changed))


WRONG = {"client_secret": Secret("not it")}


def row(number, at=None, name="Account"):
    return Row(record_id("Account", number), {"Name": f"{name} {number}"}, updated_at=at)


def _contract(code):
    return ContractDraft(
        code=code, client="CL-1", legal_entity="LE-UK", billing_account="BA-1", currency="GBP",
        type="TM", start=date(2026, 1, 1), end=date(2027, 1, 1), project="P-9",
    )  # fmt: skip


PUTS = {
    "client": (
        lambda c: c.put_client("CL-9", ClientDraft(code="CL-9", name="Nine", country="GB")),
        lambda c: c.client_by_reference("CL-9"),
        "Account",
        ("PATCH", "/services/data/v60.0/sobjects/Account"),
    ),
    "contract": (
        lambda c: c.put_contract("C-9", _contract("C-9")),
        lambda c: c.contract_by_reference("C-9"),
        "Contract",
        ("PATCH", "/services/data/v60.0/sobjects/Contract"),
    ),
}
ABSENT = (
    lambda c: c.client_by_reference("CL-404"),
    lambda c: c.contract_by_reference("C-404"),
    lambda c: c.deal(record_id("Opportunity", 404)),
    lambda c: c.deal("nonsense"),
)


@contextmanager
def growing(store):
    """An admin adds a field to the opportunity."""
    fields = OBJECTS["opportunity"].fields
    fields["brand_new__c"] = Field("Brand_New__c", "string", 10)
    try:
        yield lambda c: c.deal(record_id("Opportunity", 1))
    finally:
        del fields["brand_new__c"]
