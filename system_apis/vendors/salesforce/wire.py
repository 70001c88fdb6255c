"""Salesforce's own words, as its REST API spells them, and what its refusals mean.

Fields ending in `__c` are the tenant's, listed in README.md. Absent and null are the same.
Source  shared vendor facts: recorded answers, describes, error enumerations.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from contracts.problem import Fault, Problem, Vendor
from system_apis.fields import words

T = TypeVar("T")


class Token(Struct, frozen=True):
    access_token: str
    instance_url: str = ""


class Found(Struct, Generic[T], frozen=True):
    """One part of a query's answer. nextRecordsUrl: a path from the origin."""

    records: list[T]
    done: bool = True
    totalSize: int = 0
    nextRecordsUrl: str | None = None


class Written(Struct, frozen=True):
    id: str
    success: bool = True
    created: bool = True


class Error(Struct, frozen=True):
    message: str = ""
    errorCode: str = ""
    fields: list[str] | None = None


class Id(Struct, frozen=True):
    Id: str


class Row(Struct, frozen=True, kw_only=True):
    Id: str
    SystemModstamp: datetime
    IsDeleted: bool = False


class Account(Row, frozen=True, kw_only=True):
    Name: str | None = None
    Firm_Client_Code__c: str | None = None
    Firm_Country__c: str | None = None
    Firm_Default_Currency__c: str | None = None
    Firm_Credit_Hold__c: bool | None = None


class Contract(Row, frozen=True, kw_only=True):
    AccountId: str | None = None
    Status: str | None = None
    StartDate: date | None = None
    EndDate: date | None = None
    CurrencyIsoCode: str | None = None
    Firm_Ext_Id__c: str | None = None
    Firm_Billing_Account__c: str | None = None
    Firm_Legal_Entity__c: str | None = None
    Firm_Rate_Card__c: str | None = None
    Firm_Type__c: str | None = None
    Firm_Billing_Cycle__c: str | None = None
    Firm_Consolidation__c: str | None = None
    Firm_Late_Time_Days__c: Decimal | None = None
    Firm_Increment_Min__c: Decimal | None = None
    Firm_Increment_Mode__c: str | None = None
    Firm_Travel_Billing__c: str | None = None
    Firm_PO_Required__c: bool | None = None


class ContractLine(Row, frozen=True, kw_only=True):
    Contract__c: str | None = None
    Line_No__c: Decimal | None = None
    Kind__c: str | None = None
    Project_Code__c: str | None = None
    Task_Codes__c: str | None = None
    Role_Codes__c: str | None = None
    Allowed_Classes__c: str | None = None
    Rate_Card__c: str | None = None
    Fixed_Amount__c: Decimal | None = None
    PO__c: str | None = None
    Start_Date__c: date | None = None
    End_Date__c: date | None = None
    Tax_Category__c: str | None = None
    Erp_Item__c: str | None = None


class PurchaseOrder(Row, frozen=True, kw_only=True):
    Name: str | None = None
    Billing_Account__c: str | None = None
    Contract__c: str | None = None
    Amount__c: Decimal | None = None
    CurrencyIsoCode: str | None = None
    Valid_From__c: date | None = None
    Valid_To__c: date | None = None
    Status__c: str | None = None


class Opportunity(Row, frozen=True, kw_only=True):
    Name: str | None = None
    AccountId: str | None = None
    StageName: str | None = None
    IsClosed: bool = False
    IsWon: bool = False
    Amount: Decimal | None = None
    CurrencyIsoCode: str | None = None
    Firm_Contract_Type__c: str | None = None
    Firm_Legal_Entity__c: str | None = None
    Firm_Project_Code__c: str | None = None
    Firm_Start_Date__c: date | None = None
    Firm_End_Date__c: date | None = None
    Firm_Rate_Card__c: str | None = None
    Firm_Signed__c: bool | None = None
    Firm_Contract_Ref__c: str | None = None
    Firm_Project_Ref__c: str | None = None
    Firm_Erp_Job_Ref__c: str | None = None


# What the vendor's describe lists beside our own; anything more is drift.
OPPORTUNITY = words(
    "attributes IsPrivate Description Probability ExpectedRevenue TotalOpportunityQuantity"
    " CloseDate Type NextStep LeadSource ForecastCategory ForecastCategoryName CampaignId"
    " HasOpportunityLineItem Pricebook2Id OwnerId CreatedDate CreatedById LastModifiedDate"
    " LastModifiedById LastActivityDate LastStageChangeDate FiscalQuarter FiscalYear Fiscal"
    " ContactId LastViewedDate LastReferencedDate HasOpenActivity HasOverdueTask"
    " LastAmountChangedHistoryId LastCloseDateChangedHistoryId Firm_Ext_Id__c"
)

_BUSY = frozenset(
    {
        "REQUEST_LIMIT_EXCEEDED",
        "REQUEST_RUNNING_TOO_LONG",
        "UNABLE_TO_LOCK_ROW",
        "QUERY_TIMEOUT",
    }
)
_FAULTS = {
    300: Fault.CONFLICT,  # the external id is not unique
    400: Fault.VENDOR_REJECTED,
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_AUTH,
    404: Fault.NOT_FOUND,
    409: Fault.CONFLICT,
    412: Fault.CONFLICT,
    429: Fault.VENDOR_THROTTLED,
}
_REFERENCES = frozenset({"INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED"})


def errors(body: bytes) -> list[Error]:
    """The array of errors; empty when the body is no such thing (a page of HTML, say)."""
    try:
        return msgspec.json.decode(body, type=list[Error])
    except msgspec.DecodeError:
        return []


def refuse(instance: str, status: int, body: bytes, retry_after_s: float | None = None) -> None:
    """A Problem for everything that is not 2xx.

    A row lock and a used-up quota did nothing, so they may be sent again: both come as 4xx.
    """
    if 200 <= status < 300:
        return
    first = next(iter(errors(body)), Error())
    words = first.message or body[:200].decode(errors="replace")
    fault = _fault(status, first)
    if fault is Fault.VENDOR_THROTTLED and retry_after_s is None:
        retry_after_s = 1.0 if first.errorCode == "UNABLE_TO_LOCK_ROW" else 60.0
    raise Problem(
        fault,
        f"{instance}: {fault.title.lower()}.",
        because=f"{status} {first.errorCode} {words[:300]}",
        retry_after_s=retry_after_s,
        vendor=Vendor(
            system=instance,
            status=status,
            code=first.errorCode,
            message=words[:500],
            exception_code="CUSTOMER_REF_MISSING" if first.errorCode in _REFERENCES else "",
        ),
    )


def _fault(status: int, first: Error) -> Fault:
    if first.errorCode in _BUSY:
        return Fault.VENDOR_THROTTLED
    if first.errorCode == "DUPLICATE_VALUE":
        return Fault.CONFLICT
    if status == 503:
        return Fault.VENDOR_MAINTENANCE  # SERVER_UNAVAILABLE: nothing was taken in
    return _FAULTS.get(status, Fault.VENDOR_SILENT)
