"""Salesforce's words to ours and back. Pure: no clock, no network, no settings.

Which fields carry our words is in README.md. The standard EndDate is the last day; end dates in
fields of our own are first days after, as everywhere here.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from contracts.entities.deal import Deal, DealLinks
from contracts.entities.engagement import Contract, ContractLine, PurchaseOrder
from contracts.entities.party import Client
from contracts.entities.record import Alias, coded
from contracts.ids import Ref
from contracts.ports.system.crm import ClientDraft, ContractDraft
from contracts.problem import Fault, Problem
from system_apis.vendors.salesforce import wire

T = TypeVar("T")
_DAY = timedelta(days=1)
ContractStatus = Literal[
    "DRAFT", "SIGNED", "ACTIVE", "SUSPENDED", "EXPIRED", "TERMINATED", "CLOSED"
]
STATUSES: dict[str, ContractStatus] = {
    "draft": "DRAFT",
    "in approval process": "SIGNED",
    "signed": "SIGNED",
    "activated": "ACTIVE",
    "suspended": "SUSPENDED",
    "expired": "EXPIRED",
    "terminated": "TERMINATED",
    "closed": "CLOSED",
}


def micros(at: datetime) -> int:
    """A version that grows with the instant: microseconds since 1970."""
    return int((at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def _meta(instance: str, row: wire.Row, at: datetime | None = None) -> dict[str, Any]:
    moment = at or row.SystemModstamp
    return {
        "ref": Ref(instance, row.Id),
        "source_version": micros(moment),
        "source_updated_at": moment,
        "deleted": row.IsDeleted,
    }


def client(instance: str, a: wire.Account) -> Client | Alias:
    """An account without our code is an alias nobody has mapped yet."""
    if not a.Firm_Client_Code__c:
        return Alias(**_meta(instance, a), of="client", name=a.Name or "")
    return Client(
        **_meta(instance, a),
        code=a.Firm_Client_Code__c,
        name=a.Name or "",
        country=a.Firm_Country__c or "",
        default_currency=a.Firm_Default_Currency__c or "",
        credit_hold=bool(a.Firm_Credit_Hold__c),
    )


def contract(
    instance: str, c: wire.Contract, lines: Sequence[wire.ContractLine], currency: str
) -> Contract | Alias:
    """With its lines, whose changes are changes of the contract. currency: when none is told."""
    at = max([c.SystemModstamp, *(line.SystemModstamp for line in lines)])
    meta = _meta(instance, c, at)
    if not c.Firm_Ext_Id__c or c.StartDate is None:
        return Alias(**meta, of="contract", name=c.Firm_Ext_Id__c or c.Id)
    live = [line for line in lines if not line.IsDeleted]
    return Contract(
        **meta,
        code=c.Firm_Ext_Id__c,
        client=Ref(instance, c.AccountId or ""),
        billing_account=_coded(c.Firm_Billing_Account__c),
        legal_entity=coded(c.Firm_Legal_Entity__c or ""),
        currency=c.CurrencyIsoCode or currency,
        type=_one_of(
            c.Firm_Type__c, Literal["TM", "FIXED_FEE", "RETAINER", "TM_CAPPED", "MIXED"], "TM"
        ),
        status=STATUSES.get((c.Status or "").lower(), "DRAFT"),
        start=c.StartDate,
        end=_after(c.EndDate),
        lines=tuple(sorted(map(_line, live), key=lambda line: line.line_no)),
        rate_card=_coded(c.Firm_Rate_Card__c),
        **_terms(c),
    )


def _terms(c: wire.Contract) -> dict[str, Any]:
    """How it is billed; what the contract does not say keeps its default."""
    said: dict[str, Any] = {
        "billing_cycle": c.Firm_Billing_Cycle__c,
        "consolidation": c.Firm_Consolidation__c,
        "late_time_days": _whole(c.Firm_Late_Time_Days__c),
        "increment_minutes": _whole(c.Firm_Increment_Min__c),
        "increment_mode": c.Firm_Increment_Mode__c,
        "travel_billing": c.Firm_Travel_Billing__c,
        "po_required": c.Firm_PO_Required__c,
    }
    kinds = {field.name: field.type for field in msgspec.structs.fields(Contract)}
    return {
        name: _convert(value, kinds[name])
        for name, value in said.items()
        if value is not None and value != ""
    }


def _line(x: wire.ContractLine) -> ContractLine:
    classes = _list(x.Allowed_Classes__c)
    return ContractLine(
        line_no=_whole(x.Line_No__c) or 0,
        kind=_one_of(x.Kind__c, Literal["TM", "FIXED", "RETAINER", "EXPENSE"], "TM"),
        project=_coded(x.Project_Code__c),
        tasks=_list(x.Task_Codes__c),
        roles=_list(x.Role_Codes__c),
        allowed_classes=classes or ("TIME", "EXPENSE"),
        rate_card=_coded(x.Rate_Card__c),
        fixed_amount=x.Fixed_Amount__c,
        po=x.PO__c or None,
        start=x.Start_Date__c,
        end=x.End_Date__c,
        tax_category=x.Tax_Category__c or "S",
        erp_item=x.Erp_Item__c or "",
    )


def purchase_order(instance: str, p: wire.PurchaseOrder, currency: str) -> PurchaseOrder:
    """Name is the client's own order number."""
    return PurchaseOrder(
        **_meta(instance, p),
        code=p.Name or p.Id,
        billing_account=coded(p.Billing_Account__c or ""),
        contract=Ref(instance, p.Contract__c) if p.Contract__c else None,
        amount=p.Amount__c,
        currency=p.CurrencyIsoCode or currency,
        valid_from=p.Valid_From__c,
        valid_to=p.Valid_To__c,
        status=_one_of(p.Status__c, Literal["OPEN", "EXHAUSTED", "CLOSED"], "OPEN"),
    )


def deal(instance: str, o: wire.Opportunity, currency: str) -> Deal:
    """Won is IsWon, which the stage's own settings decide, not the stage's name."""
    stage: Literal["OPEN", "WON", "LOST"] = "OPEN"
    if o.IsClosed or o.IsWon:
        stage = "WON" if o.IsWon else "LOST"
    return Deal(
        **_meta(instance, o),
        name=o.Name or "",
        client=Ref(instance, o.AccountId or ""),
        stage=stage,
        amount=o.Amount,
        currency=o.CurrencyIsoCode or currency,
        contract_type=o.Firm_Contract_Type__c or "",
        legal_entity=o.Firm_Legal_Entity__c or "",
        project_code=o.Firm_Project_Code__c or "",
        start=o.Firm_Start_Date__c,
        end=o.Firm_End_Date__c,
        rate_card=o.Firm_Rate_Card__c or "",
        signed=bool(o.Firm_Signed__c),
        linked_contract=o.Firm_Contract_Ref__c or "",
        linked_job=o.Firm_Erp_Job_Ref__c or "",
    )


def links_body(links: DealLinks) -> dict[str, str | None]:
    """A null blanks a field; an absent one would leave it."""
    return {
        "Firm_Contract_Ref__c": links.contract or None,
        "Firm_Project_Ref__c": links.project or None,
        "Firm_Erp_Job_Ref__c": links.erp_job or None,
    }


def client_body(draft: ClientDraft, currencies: bool) -> dict[str, str]:
    """A new account; its code is in the address of the upsert."""
    body = {
        "Name": draft.name,
        "Firm_Ext_Id__c": draft.code,
        "Firm_Country__c": draft.country,
        "Firm_Default_Currency__c": draft.currency,
        "CurrencyIsoCode": draft.currency if currencies else "",
    }
    return {name: value for name, value in body.items() if value}


def contract_body(draft: ContractDraft, account: str, currencies: bool) -> dict[str, str]:
    """A new contract, which must begin as a draft."""
    body = {
        "AccountId": account,
        "Status": "Draft",
        "StartDate": draft.start.isoformat(),
        "EndDate": (draft.end - _DAY).isoformat() if draft.end else "",
        "Firm_Billing_Account__c": draft.billing_account,
        "Firm_Legal_Entity__c": draft.legal_entity,
        "Firm_Rate_Card__c": draft.rate_card,
        "Firm_Type__c": draft.type,
        "CurrencyIsoCode": draft.currency if currencies else "",
    }
    return {name: value for name, value in body.items() if value}


def line_body(draft: ContractDraft, contract_id: str) -> dict[str, object]:
    """Its one line; a fixed amount makes it a fixed-price line."""
    body: dict[str, object] = {
        "Contract__c": contract_id,
        "Line_No__c": 1,
        "Kind__c": "FIXED" if draft.fixed_amount else "TM",
        "Project_Code__c": draft.project,
        "Rate_Card__c": draft.rate_card,
    }
    if draft.fixed_amount:
        body["Fixed_Amount__c"] = Decimal(draft.fixed_amount)
    return {name: value for name, value in body.items() if value != ""}


def literal(text: str) -> str:
    """Text for SOQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def instant(at: datetime) -> str:
    """An instant for SOQL, unquoted, milliseconds as Salesforce keeps them."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _after(last: date | None) -> date | None:
    return last + _DAY if last else None


def _coded(code: str | None) -> Ref | None:
    return coded(code) if code else None


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())


def _whole(number: Decimal | None) -> int | None:
    return None if number is None else int(number)


def _one_of(value: str | None, kind: Any, default: Any) -> Any:
    return default if not value else _convert(value, kind)


def _convert(value: Any, kind: Any) -> Any:
    """Picklists take any text at the API, so a value nobody knows must be told, not guessed."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Problem(
            Fault.VENDOR_CONFUSED, "A record of the vendor is unusable.", because=str(error)
        ) from error
