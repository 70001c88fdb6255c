"""Stage 8: can an invoice of this work be addressed, taxed and booked in the ERP.

Fires LEGAL_ENTITY_UNMAPPED, CUSTOMER_REF_MISSING, BILL_TO_INVALID, BUYER_REF_MISSING, TAX_*,
ITEM_UNMAPPED, GL_DIMENSION_MISSING. The tax key is `<legal entity>:<treatment>` unless the
treatment is DOMESTIC; then it is `<legal entity>:<tax category of the line>`, and for category S
also `<legal entity>:DOMESTIC`. The item key is the line's, else TIME. The dimension key is the
legal entity.

Source  domain.md C.2 stage 8, B.2 (billing account).
"""

from contracts.entities.engagement import Contract
from contracts.entities.party import BillingAccount
from process_apis.journeys.approved_time_to_invoice.rules.case import Case
from process_apis.journeys.approved_time_to_invoice.rules.identity import absent
from process_apis.journeys.approved_time_to_invoice.rules.keys import map_key


def judge(case: Case) -> None:
    """Fills item and tax_key."""
    contract = case.contract
    if contract is None or case.resource is None:
        return
    erp = _companies(case, contract)
    if case.account is None:
        _no_account(case, contract)
    else:
        _customer(case, case.account, erp)
        _bill_to(case, case.account, contract)
        _tax(case, case.account, erp)
    if erp:
        case.item = (case.line.erp_item if case.line is not None else "") or "TIME"
        _mapped(case, "ITEM_UNMAPPED", "item", case.item, erp)
        _mapped(case, "GL_DIMENSION_MISSING", "gl_dimension", case.contracting, erp)


def _mapped(case: Case, code: str, entity: str, key: str, erp: str) -> None:
    if case.snapshot.external(entity, key, erp) is None:
        case.say(code, map_key(entity, erp, key), expected=key, erp_instance=erp)


def _companies(case: Case, contract: Contract) -> str:
    """The ERP instance of the contracting entity; empty when it has none."""
    if not case.contracting:
        root = absent(case, "legal_entity", contract.legal_entity)
        case.say("LEGAL_ENTITY_UNMAPPED", root, observed=str(contract.legal_entity))
    if not case.employer and case.resource is not None:
        ref = case.resource.legal_entity
        case.say("LEGAL_ENTITY_UNMAPPED", absent(case, "legal_entity", ref), observed=str(ref))
    for code in dict.fromkeys(each for each in (case.contracting, case.employer) if each):
        erp = case.snapshot.erp_instance_of.get(code, "")
        if not erp:
            case.say("LEGAL_ENTITY_UNMAPPED", f"legal_entity:{code}", absent="ERP instance")
        else:
            _mapped(case, "LEGAL_ENTITY_UNMAPPED", "legal_entity", code, erp)
    return case.snapshot.erp_instance_of.get(case.contracting, "")


def _no_account(case: Case, contract: Contract) -> None:
    scope = f"billing_account:@{case.client_code}/{case.contracting}/{contract.currency}"
    ref = contract.billing_account
    root = absent(case, "billing_account", ref) if ref is not None else scope
    case.say("CUSTOMER_REF_MISSING", root, root, scope, f"contract:{contract.code}")


def _customer(case: Case, account: BillingAccount, erp: str) -> None:
    if erp and case.snapshot.external("billing_account", account.code, erp) is None:
        root = map_key("billing_account", erp, account.code)
        case.say("CUSTOMER_REF_MISSING", root, client=case.client_code, erp_instance=erp)


def _bill_to(case: Case, account: BillingAccount, contract: Contract) -> None:
    needs = {"bill_to_name": account.bill_to_name, "bill_to_address": account.bill_to_address}
    if account.delivery == "EMAIL":
        needs["contact_email"] = account.contact_email
    elif account.delivery in ("PEPPOL", "EDI"):
        needs["endpoint_id"] = account.endpoint_id
    missing = [name for name, value in needs.items() if not value]
    if not account.active:
        missing.append("active")
    if account.currency != contract.currency:
        missing.append(f"currency {contract.currency}")
    root = f"billing_account:{account.code}"
    if missing:
        case.say("BILL_TO_INVALID", root, absent=missing, delivery=account.delivery)
    if account.delivery == "PEPPOL" and not account.buyer_reference and not case.po:
        keys = (root, f"contract:{contract.code}", f"purchase_order:@{contract.code}")
        case.say("BUYER_REF_MISSING", root, *keys)


def _tax(case: Case, account: BillingAccount, erp: str) -> None:
    root = f"billing_account:{account.code}"
    entity = case.entity
    supply = account.bill_to_country or (case.client.country if case.client else "")
    if not supply:
        supply_keys = (root, f"client:{case.client_code}")
        case.say("TAX_JURISDICTION_MISSING", root, *supply_keys, absent="place of supply")
    exempt = case.snapshot.policies.unregistered_countries
    if entity is not None and not entity.tax_registration and entity.country not in exempt:
        seller = f"legal_entity:{entity.code}"
        case.say("TAX_JURISDICTION_MISSING", seller, absent="seller registration")
    if account.tax_treatment in ("REVERSE_CHARGE", "EXPORT") and not account.tax_id:
        case.say("TAX_ID_MISSING", root, treatment=account.tax_treatment)
    keys = _tax_keys(case, account)
    case.tax_key = keys[0]
    if not erp:
        return
    for key in keys:
        if case.snapshot.external("tax_code", key, erp) is not None:
            case.tax_key = key
            return
    maps = tuple(map_key("tax_code", erp, key) for key in keys)
    case.say("TAX_CODE_UNMAPPED", maps[0], *maps, erp_instance=erp)


def _tax_keys(case: Case, account: BillingAccount) -> tuple[str, ...]:
    treatment = account.tax_treatment
    if treatment != "DOMESTIC":
        return (f"{case.contracting}:{treatment}",)
    category = case.line.tax_category if case.line is not None else "S"
    first = f"{case.contracting}:{category}"
    return (first, f"{case.contracting}:DOMESTIC") if category == "S" else (first,)
