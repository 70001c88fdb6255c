"""The firm's clients, contracts and deals in Salesforce."""

from datetime import timedelta
from typing import Any

from sandbox.firm.model import Firm
from sandbox.firm.vendors import Ids, Rows
from system_apis.vendors.salesforce.simulator import record_id  # house: plug ids have a checksum

CLIENT_ID = "firmwire-salesforce"
STATUSES = {"DRAFT": "Draft", "SIGNED": "In Approval Process", "ACTIVE": "Activated"}
STAGES = {"WON": "Closed Won", "LOST": "Closed Lost", "OPEN": "Proposal/Price Quote"}


def _ids(kind: str) -> Ids:
    return Ids(lambda n: record_id(kind, n))


def rows(firm: Firm, secret: str) -> Rows:
    """secret: of the connected app that Firmwire uses."""
    out = Rows()
    out.add("client", CLIENT_ID, {"client_secret": secret, "user_id": "005000000000001AAA"})
    accounts, contracts = _ids("Account"), _ids("Contract")
    lines, deals = _ids("Contract_Line__c"), _ids("Opportunity")
    for client in firm.clients:
        out.add(
            "Account",
            accounts[client.code],
            {
                "Name": client.name,
                "Firm_Ext_Id__c": client.code,
                "Firm_Client_Code__c": client.code,
                "Firm_Credit_Hold__c": client.credit_hold,
                "Firm_Default_Currency__c": client.default_currency,
                "Firm_Country__c": client.country,
                "CurrencyIsoCode": client.default_currency,
            },
            unique=client.code,
        )
    for number, contract in enumerate(firm.contracts, start=1):
        doc: dict[str, Any] = {
            "AccountId": accounts[contract.client.id],
            "ContractNumber": f"{number:08d}",
            "Status": STATUSES[contract.status],
            "StartDate": contract.start.isoformat(),
            "EndDate": (contract.end - timedelta(days=1)).isoformat() if contract.end else None,
            "ContractTerm": 18,
            "CurrencyIsoCode": contract.currency,
            "Firm_Ext_Id__c": contract.code,
            "Firm_Type__c": contract.type,
            "Firm_Legal_Entity__c": contract.legal_entity.id,
            "Firm_Billing_Account__c": contract.billing_account.id
            if contract.billing_account
            else None,
            "Firm_Rate_Card__c": contract.rate_card.id if contract.rate_card else None,
            "Firm_Billing_Cycle__c": contract.billing_cycle,
            "Firm_Consolidation__c": contract.consolidation,
            "Firm_Late_Time_Days__c": contract.late_time_days,
            "Firm_Increment_Min__c": contract.increment_minutes,
            "Firm_Increment_Mode__c": contract.increment_mode,
            "Firm_Travel_Billing__c": contract.travel_billing,
            "Firm_PO_Required__c": contract.po_required,
        }
        out.add("Contract", contracts[contract.code], doc, unique=contract.code)
        for line in contract.lines:
            key = f"{contract.code}/{line.line_no}"
            out.add(
                "Contract_Line__c",
                lines[key],
                {
                    "Firm_Ext_Id__c": key,
                    "Contract__c": contracts[contract.code],
                    "Line_No__c": line.line_no,
                    "Kind__c": line.kind,
                    "Project_Code__c": line.project.id if line.project else None,
                    "Task_Codes__c": ";".join(line.tasks) or None,
                    "Role_Codes__c": ";".join(line.roles) or None,
                    "Allowed_Classes__c": ";".join(line.allowed_classes),
                    "Fixed_Amount__c": str(line.fixed_amount) if line.fixed_amount else None,
                    "Erp_Item__c": line.erp_item,
                    "Tax_Category__c": line.tax_category,
                },
                unique=key,
            )
    for number, deal in enumerate(firm.deals, start=1):
        code = f"D-{number}"
        out.add(
            "Opportunity",
            deals[code],
            {
                "Name": deal.name,
                "StageName": STAGES[deal.stage],
                "CloseDate": firm.month.isoformat(),
                "Amount": str(deal.amount) if deal.amount is not None else None,
                "AccountId": accounts[deal.client.id],
                "CurrencyIsoCode": deal.currency,
                "Firm_Ext_Id__c": code,
                "Firm_Contract_Type__c": deal.contract_type,
                "Firm_Project_Code__c": deal.project_code,
                "Firm_Legal_Entity__c": deal.legal_entity or None,
                "Firm_Start_Date__c": deal.start.isoformat() if deal.start else None,
                "Firm_End_Date__c": deal.end.isoformat() if deal.end else None,
                "Firm_Rate_Card__c": deal.rate_card,
                "Firm_Signed__c": deal.signed,
            },
            unique=code,
        )
    return out
