"""Salesforce's rows as our records, from small samples in the vendor's spelling."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from contracts.entities.deal import DealLinks
from contracts.entities.record import Alias, coded
from contracts.ids import Ref
from contracts.ports.system.crm import ContractDraft
from contracts.problem import Fault, Problem
from system_apis.vendors.salesforce import mapping, wire

STAMP = "2026-01-05T08:00:00.123+0000"
AT = datetime(2026, 1, 5, 8, 0, 0, 123_000, tzinfo=UTC)


def row(shape, **fields):
    return msgspec.json.decode(
        msgspec.json.encode({"Id": "800x", "SystemModstamp": STAMP, **fields}), type=shape
    )


def contract(**fields):
    given = {"AccountId": "001x", "Status": "Activated", "StartDate": "2026-01-01"}
    given |= {"Firm_Ext_Id__c": "C-1", "Firm_Legal_Entity__c": "LE-UK", "CurrencyIsoCode": "GBP"}
    return row(wire.Contract, **(given | fields))


def test_the_last_day_becomes_the_first_day_after():
    made = mapping.contract("sf", contract(EndDate="2026-12-31"), [], "USD")
    assert (made.start, made.end) == (date(2026, 1, 1), date(2027, 1, 1))
    assert (made.ref, made.client) == (Ref("sf", "800x"), Ref("sf", "001x"))
    assert (made.currency, made.status) == ("GBP", "ACTIVE")


def test_a_changed_line_is_a_newer_contract():
    """The head's own stamp is older than its line's, and the line's counts; lists are split."""
    line = row(
        wire.ContractLine, SystemModstamp="2026-02-01T00:00:00.000+0000", Line_No__c=1,
        Contract__c="800x", Project_Code__c="P-1", Task_Codes__c="Build; Test", Fixed_Amount__c=0.1,
    )  # fmt: skip
    made = mapping.contract("sf", contract(), [line], "USD")
    assert made.source_updated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert made.lines[0].project == coded("P-1")
    assert made.lines[0].tasks == ("Build", "Test")
    assert made.lines[0].fixed_amount == Decimal("0.1")


def test_a_deleted_line_is_left_out_but_counts_as_a_change():
    line = row(wire.ContractLine, SystemModstamp="2026-02-01T00:00:00.000+0000", IsDeleted=True)
    made = mapping.contract("sf", contract(), [line], "USD")
    assert (made.lines, made.source_updated_at.month) == ((), 2)


def test_an_account_without_code_is_an_alias():
    made = mapping.client("sf", row(wire.Account, Name="Acme"))
    assert isinstance(made, Alias)
    assert (made.of, made.code, made.source_version) == ("client", None, mapping.micros(AT))


@pytest.mark.parametrize(
    ("closed", "won", "stage"), [(False, False, "OPEN"), (True, True, "WON"), (True, False, "LOST")]
)
def test_a_deal_is_won_by_its_flag_not_by_the_stages_name(closed, won, stage):
    seen = row(wire.Opportunity, StageName="Anything", IsClosed=closed, IsWon=won, Amount=0.3)
    made = mapping.deal("sf", seen, "USD")
    assert (made.stage, made.amount, made.currency) == (stage, Decimal("0.3"), "USD")


def test_empty_links_blank_the_fields():
    body = mapping.links_body(DealLinks(contract="C-1"))
    assert body == {
        "Firm_Contract_Ref__c": "C-1",
        "Firm_Project_Ref__c": None,
        "Firm_Erp_Job_Ref__c": None,
    }


def test_a_new_contract_is_a_draft_that_ends_on_its_last_day():
    draft = ContractDraft(
        code="C-1", client="CL-1", legal_entity="LE-UK", billing_account="BA-1", currency="GBP",
        type="TM", start=date(2026, 1, 1), end=date(2027, 1, 1),
    )  # fmt: skip
    body = mapping.contract_body(draft, "001x", currencies=True)
    assert (body["Status"], body["EndDate"]) == ("Draft", "2026-12-31")


def test_text_cannot_leave_its_quotes():
    assert mapping.literal("O'Hara\\") == "'O\\'Hara\\\\'"


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (400, "UNABLE_TO_LOCK_ROW", Fault.VENDOR_THROTTLED),
        (403, "REQUEST_LIMIT_EXCEEDED", Fault.VENDOR_THROTTLED),
        (403, "INSUFFICIENT_ACCESS", Fault.VENDOR_AUTH),
        (401, "INVALID_SESSION_ID", Fault.VENDOR_AUTH),
        (400, "REQUIRED_FIELD_MISSING", Fault.VENDOR_REJECTED),
        (400, "DUPLICATE_VALUE", Fault.CONFLICT),
        (300, "", Fault.CONFLICT),
        (500, "UNKNOWN_EXCEPTION", Fault.VENDOR_SILENT),
        (503, "SERVER_UNAVAILABLE", Fault.VENDOR_MAINTENANCE),
    ],
)
def test_refusals_mean_what_they_say(status, code, fault):
    """A locked row and a used-up quota did nothing, whatever their status looks like."""
    with pytest.raises(Problem) as caught:
        wire.refuse("sf", status, msgspec.json.encode([{"message": "m", "errorCode": code}]))
    assert caught.value.fault is fault
