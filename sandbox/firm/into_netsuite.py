"""The firm's books: companies, customers, projects, items, tax codes and periods in NetSuite."""

from contracts.entities.record import coded
from sandbox.firm import figures
from sandbox.firm.model import Firm
from sandbox.firm.vendors import Ids, Rows

CLIENT_ID, CERTIFICATE_ID = "firmwire-netsuite", "firmwire-cert-1"
# base rates of domain.md F.3, for the demo; the ERP decides
TAX_PERCENT = {
    "GB": 20,
    "DE": 19,
    "FR": 20,
    "IN": 18,
    "AU": 10,
    "JP": 10,
    "SG": 9,
    "CA": 5,
    "US": 0,
}
ITEMS = ("TIME", "EXPENSE")


def rows(firm: Firm) -> Rows:
    """Everything but what the firm's defects leave out. The certificate is the caller's."""
    out = Rows()
    currencies, subsidiaries, entities = Ids(), Ids(), Ids(start=1001)
    for code in figures.RATES:
        out.add("currency", currencies[code], {"name": code, "symbol": code, "exchangeRate": "1"})
    for le in firm.legal_entities:
        if le.code not in firm.unmapped_entities:
            out.add(
                "subsidiary",
                subsidiaries[le.code],
                {
                    "name": le.name,
                    "legalName": le.name,
                    "externalId": le.code,
                    "currency": {"id": currencies[le.functional_currency]},
                    "country": {"id": le.country, "refName": le.country},
                    "tranPrefix": f"{le.code[3:]}-",
                    "custrecord_fw_tz": le.timezone,
                    "custrecord_fw_tax_number": le.tax_registration,
                    "custrecord_fw_tax_fx": "T" if le.tax_fx else "F",
                },
                unique=le.code,
            )
    _customers(firm, out, currencies, subsidiaries, entities)
    _maps(firm, out)
    _periods(firm, out)
    for number, rate in enumerate(firm.exchange_rates, start=1):
        out.add(
            "currencyRate",
            str(number),
            {
                "baseCurrency": {"id": currencies[rate.quote]},
                "transactionCurrency": {"id": currencies[rate.base]},
                "exchangeRate": str(rate.rate),
                "effectiveDate": rate.day.isoformat(),
            },
        )
    return out


def _customers(firm: Firm, out: Rows, currencies: Ids, subsidiaries: Ids, entities: Ids) -> None:
    for account in firm.billing_accounts:
        if account.code in firm.unmapped_customers:
            continue
        out.add(
            "entity",
            entities[account.code],
            {
                "recordType": "customer",
                "entityId": account.code,
                "externalId": account.code,
                "companyName": account.bill_to_name,
                "subsidiary": {"id": subsidiaries[account.legal_entity.id]},
                "currency": {"id": currencies[account.currency]},
                "email": account.contact_email,
                "terms": account.payment_terms,
                "vatRegNumber": account.tax_id,
                "defaultAddress": account.bill_to_address,
                "custentity_fw_client": account.client.id,
                "custentity_fw_country": account.bill_to_country,
                "custentity_fw_tax_treatment": account.tax_treatment,
                "custentity_fw_delivery": account.delivery,
                "custentity_fw_endpoint": account.endpoint_id,
                "custentity_fw_buyer_reference": account.buyer_reference,
                "custentity_fw_po_required": "T" if account.po_required else "F",
            },
            unique=account.code,
        )
    payers = {c.code: c.billing_account or coded("") for c in firm.contracts}
    for project in firm.projects:
        payer = payers[project.contract.id].id if project.contract else ""
        if entities.known(payer):
            job = {
                "recordType": "job",
                "entityId": project.code,
                "externalId": project.code,
                "companyName": project.name,
                "parent": {"id": entities[payer]},
            }
            out.add("entity", entities[project.code], job, unique=project.code)


def _maps(firm: Firm, out: Rows) -> None:
    for number, item in enumerate(ITEMS, start=1):
        out.add(
            "serviceItem",
            str(number),
            {"itemId": item, "displayName": item.title(), "externalId": item},
            unique=item,
        )
    taxes, departments = Ids(), Ids()
    for le in firm.legal_entities:
        department = {"name": f"Delivery {le.code}", "externalId": le.code}
        out.add("department", departments[le.code], department, unique=le.code)
        for treatment in ("S", "REVERSE_CHARGE", "EXPORT"):
            key = f"{le.code}:{treatment}"
            percent = TAX_PERCENT.get(le.country, 0) if treatment == "S" else 0
            tax = {"itemId": f"VAT:{key}", "rate": str(percent), "externalId": key}
            out.add("salesTaxItem", taxes[key], tax, unique=key)


def _periods(firm: Firm, out: Rows) -> None:
    for number, period in enumerate(firm.periods, start=1):
        out.add(
            "accountingPeriod",
            str(number),
            {
                "periodName": period.code,
                "startDate": period.start.isoformat(),
                "endDate": period.end.isoformat(),
                "closed": period.state == "CLOSED",
                "allLocked": False,
                "arLocked": False,
                "isQuarter": False,
                "isYear": False,
            },
        )
