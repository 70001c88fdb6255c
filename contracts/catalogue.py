# ruff: noqa: E501 - one code a line is the point
"""The closed catalogue of exception codes: stage, severity, owner, retry, hours, and how to mend.

Source  domain.md C.2, and D.1 for stage D, whose hours are ours. A code is never renamed or reused; docs/exceptions.md is made from here.
"""

from typing import Literal

from msgspec import Struct

from contracts.entities.work_item import Severity, Team

RetryKind = Literal["AUTO", "TIMED", "MAN", "DROP"]


class ExceptionCode(Struct, frozen=True):
    """retry: AUTO when an unblock key changes, TIMED by schedule, MAN by a person, DROP never.

    sla_hours: business hours to resolve. stage: 0 to 10 in order, C corrections, P posting, D won deals.
    """

    code: str
    stage: str
    severity: Severity
    owner: Team
    retry: RetryKind
    sla_hours: int
    means: str
    hint: str


E = ExceptionCode
_B: Severity = "BLOCK"
_H: Severity = "HOLD"
_W: Severity = "WARN"

_ALL: tuple[ExceptionCode, ...] = (
    E("SCHEMA_INVALID", "0", _B, "INTEGRATION", "AUTO", 4, "The payload does not fit the contract", "Compare the payload with the contract and mend the field's mapping"),
    E("SRC_STALE_VERSION", "0", _W, "INTEGRATION", "DROP", 0, "An older version than the stored one", "Nothing to do; it is counted and dropped"),
    E("SRC_VERSION_CONFLICT", "0", _B, "INTEGRATION", "MAN", 4, "The stored version again, with other content", "Pull the record from its source by id"),
    E("OWNERSHIP_VIOLATION", "0", _W, "INTEGRATION", "MAN", 16, "A system changed a field it does not own", "Accept the change as a proposal, or give the field to that system"),
    E("NOT_APPROVED", "1", _H, "PMO", "AUTO", 16, "Submitted only, or approved in an older version", "Ask the approver to decide on the current version"),
    E("SELF_APPROVED", "1", _B, "PMO", "MAN", 8, "The approver is the person who worked", "Have a second approver decide"),
    E("APPROVER_NOT_AUTHORISED", "1", _B, "PMO", "AUTO", 8, "The approver has no right on the project", "Add a delegation, or have an approver of the project decide"),
    E("RESOURCE_UNKNOWN", "2", _B, "HR", "AUTO", 8, "The person cannot be identified", "Map the person's id, or create the person in the HR system"),
    E("RESOURCE_INACTIVE", "2", _B, "HR", "AUTO", 8, "The work date is outside employment", "Correct the dates of employment, or have the entry rejected"),
    E("PROJECT_UNKNOWN", "2", _B, "PMO", "AUTO", 8, "The project cannot be identified", "Map the project's id, or look whether its creation from the deal is stuck"),
    E("TASK_UNKNOWN", "2", _B, "PMO", "AUTO", 8, "The task is not one of the project's", "Map the task, or move the entry to a task of the project"),
    E("TASK_REQUIRED", "2", _B, "PMO", "AUTO", 8, "The project wants a task and there is none", "Give the entry a task, or drop the requirement on the project"),
    E("DUPLICATE_ENTRY", "3", _B, "PMO", "MAN", 8, "The same work is recorded twice", "Look at both side by side; keep both or drop one"),
    E("DUPLICATE_SUSPECT", "3", _W, "PMO", "MAN", 40, "Very likely the same work, without a narrative to tell", "Look at both side by side"),
    E("MINUTES_INVALID", "3", _B, "PMO", "AUTO", 8, "Minutes are not positive, off the recording increment, or fewer than those billed", "Correct the minutes at the source"),
    E("ENTRY_OVER_24H", "3", _B, "PMO", "AUTO", 8, "One entry is longer than a day", "Most likely a unit error: days, hours, minutes"),
    E("DAY_OVER_24H", "3", _B, "PMO", "AUTO", 8, "The entries of one day add up to more than a day", "Look at the whole day and correct the wrong entry"),
    E("DAY_OVER_LIMIT", "3", _W, "HR", "MAN", 40, "More hours in a day than the working-time limit", "Note for working time; billing goes on"),
    E("TIME_OVERLAP", "3", _W, "PMO", "MAN", 40, "Two entries cover the same clock time", "Ask the person which of the two is right"),
    E("FUTURE_DATED", "3", _B, "PMO", "TIMED", 16, "The work date has not come yet", "Correct the date, or wait for it"),
    E("ENTRY_TOO_OLD", "3", _H, "FINANCE", "MAN", 16, "Older than the contract lets time be billed", "Get the client's consent and waive, or write off"),
    E("LEAVE_CONFLICT", "3", _W, "HR", "AUTO", 40, "Work on a day of full leave", "Correct the leave or the work date"),
    E("PROJECT_NOT_STARTED", "4", _B, "PMO", "AUTO", 8, "The project is not active yet", "Activate the project or move its start"),
    E("PROJECT_CLOSED", "4", _B, "PMO", "AUTO", 8, "The project is closed, or over for longer than its grace", "Reopen the project, or move the time to another"),
    E("PROJECT_ON_HOLD", "4", _H, "PMO", "AUTO", 24, "The project is on hold", "Resume the project"),
    E("BILLING_HOLD", "4", _H, "FINANCE", "AUTO", 24, "Billing is held on the project, or the client is on credit hold", "Release the hold"),
    E("TASK_CLOSED", "4", _B, "PMO", "AUTO", 8, "The task was closed on the work date", "Reopen the task, or move the time to another"),
    E("ASSIGNMENT_MISSING", "4", _B, "PMO", "AUTO", 8, "The person is not staffed on the project", "Staff the person, or have the entry rejected"),
    E("ASSIGNMENT_INACTIVE", "4", _B, "PMO", "AUTO", 8, "The person's assignment does not cover the work date", "Extend or confirm the assignment"),
    E("ASSIGNMENT_HOURS_EXCEEDED", "4", _W, "PMO", "MAN", 40, "More than 110 % of the planned hours are used", "Raise the plan, or plan the rest of the work"),
    E("ROLE_MISMATCH", "4", _H, "PMO", "AUTO", 16, "The role worked is not the one agreed", "Confirm the role on the assignment or the contract line"),
    E("CONTRACT_MISSING", "5", _B, "SALES_OPS", "AUTO", 16, "Billable work on a project without a contract", "Link the project to its contract"),
    E("CONTRACT_NOT_ACTIVE", "5", _H, "SALES_OPS", "AUTO", 24, "Work at risk: the contract is unsigned or suspended", "Get the signature, or resume the contract"),
    E("CONTRACT_EXPIRED", "5", _H, "SALES_OPS", "AUTO", 24, "The contract does not cover the work date", "Amend or renew the contract, or make the time non-billable"),
    E("CONTRACT_LINE_MISSING", "5", _B, "FINANCE", "AUTO", 16, "No line of the contract covers this work", "Add a line, or widen the scope of one"),
    E("CONTRACT_LINE_AMBIGUOUS", "5", _B, "FINANCE", "AUTO", 16, "Two lines of the same scope cover this work", "Narrow one of the lines"),
    E("CLASS_NOT_ALLOWED", "5", _H, "PMO", "MAN", 16, "The contract line forbids this class of work", "Make the time non-billable, or allow the class on the line"),
    E("PO_MISSING", "6", _H, "FINANCE", "AUTO", 24, "The client wants an order number and there is none", "Ask the client's buyer for a purchase order"),
    E("PO_EXPIRED", "6", _H, "FINANCE", "AUTO", 24, "The purchase order is not valid on the work date", "Ask for an extension or a new order"),
    E("PO_EXHAUSTED", "6", _H, "FINANCE", "AUTO", 24, "The purchase order cannot carry the amount", "Ask for a new order, or split to its rest"),
    E("CAP_EXCEEDED", "6", _H, "PMO", "AUTO", 16, "A hard limit of the contract would be passed", "Raise the cap, or choose which work uses it"),
    E("CAP_WARNING", "6", _W, "PMO", "MAN", 40, "A limit of the contract is nearly used", "Tell the client before the limit is reached"),
    E("RETAINER_EXHAUSTED", "6", _H, "FINANCE", "AUTO", 16, "The retainer cannot carry the draw", "Invoice the next retainer, or agree an overage card"),
    E("RATE_NOT_FOUND", "7", _B, "FINANCE", "AUTO", 8, "No price in any tier; it never becomes zero", "Add a line to the rate card named in the context"),
    E("RATE_AMBIGUOUS", "7", _B, "FINANCE", "AUTO", 8, "Two prices fit equally well; none is picked", "Make one of the two lines more specific, or end it"),
    E("RATE_CURRENCY_MISMATCH", "7", _B, "FINANCE", "AUTO", 8, "The card's currency is not the contract's", "Add a card in the contract's currency"),
    E("RATE_ZERO", "7", _B, "FINANCE", "AUTO", 8, "The price is zero and nobody said that it is meant", "Set the price, or mark the zero as meant"),
    E("OT_RULE_MISSING", "7", _H, "FINANCE", "AUTO", 16, "No multiplier for this class of hours", "Add the multiplier to the card or the line"),
    E("FX_RATE_MISSING", "7", _H, "FINANCE", "TIMED", 8, "No exchange rate young enough", "Publish the rate; it is looked for every hour"),
    E("RATE_OUTLIER", "7", _W, "FINANCE", "MAN", 40, "Far from the usual price of this role at this client", "Check the price"),
    E("COST_RATE_MISSING", "7", _W, "HR", "AUTO", 40, "No cost rate; the margin is not known", "Add the person's or the role's cost rate"),
    E("LEGAL_ENTITY_UNMAPPED", "8", _B, "INTEGRATION", "AUTO", 4, "The ERP company of a legal entity is not known", "Map the legal entity to its ERP company"),
    E("INTERCOMPANY_RULE_MISSING", "8", _H, "FINANCE", "AUTO", 16, "No transfer price between employer and contracting entity; the customer is billed all the same", "Add the transfer price"),
    E("CUSTOMER_REF_MISSING", "8", _B, "FINANCE", "AUTO", 8, "The ERP customer of the billing account is not known", "Create or map the customer in the ERP"),
    E("BILL_TO_INVALID", "8", _H, "FINANCE", "AUTO", 16, "The billing account cannot be delivered to", "Complete name, address and contact or endpoint"),
    E("BUYER_REF_MISSING", "8", _H, "FINANCE", "AUTO", 16, "A structured invoice needs a buyer reference or an order number", "Add the buyer reference to the billing account"),
    E("TAX_JURISDICTION_MISSING", "8", _B, "FINANCE", "AUTO", 8, "The seller's registration or the place of supply is not known", "Add what the context names as absent"),
    E("TAX_ID_MISSING", "8", _H, "FINANCE", "AUTO", 16, "Reverse charge or export without the customer's tax number", "Add the customer's tax number"),
    E("TAX_CODE_UNMAPPED", "8", _B, "INTEGRATION", "AUTO", 4, "The tax treatment has no code in the ERP", "Map the tax key to the ERP's code"),
    E("ITEM_UNMAPPED", "8", _B, "INTEGRATION", "AUTO", 4, "The service item is not mapped in the ERP", "Map the item"),
    E("GL_DIMENSION_MISSING", "8", _B, "INTEGRATION", "AUTO", 4, "The ledger dimension is not mapped in the ERP", "Map the dimension of the legal entity"),
    E("PERIOD_NOT_DEFINED", "9", _B, "FINANCE", "AUTO", 8, "No accounting period holds the date", "Define the period in the ERP"),
    E("PERIOD_CLOSED", "9", _H, "FINANCE", "TIMED", 16, "The period is closed and policy forbids the next one", "Open the period, or accept the proposed accounting date"),
    E("UNBILLABLE_ANOMALY", "10", _W, "PMO", "MAN", 24, "Non-billable where such work is nearly always billed", "Check the flag; the context shows the value"),
    E("HOURS_SPIKE", "10", _W, "PMO", "MAN", 40, "Far more hours than this person usually works", "Check the day"),
    E("NARRATIVE_MISSING", "10", _H, "PMO", "AUTO", 16, "The contract wants a narrative", "Ask the person to describe the work"),
    E("WRITE_DOWN_EXCESSIVE", "10", _W, "FINANCE", "MAN", 24, "The approver cut more than a quarter", "Ask the approver for the reason"),
    E("CORRECTION_PENDING_POST", "C", _W, "INTEGRATION", "TIMED", 8, "A correction waits until its invoice is posted or refused", "Nothing to do; it goes on by itself"),
    E("CORRECTION_AFTER_BILLING", "C", _H, "FINANCE", "MAN", 16, "Billed time was changed", "Choose credit and rebill, or a net adjustment"),
    E("RETRO_RATE_BILLED", "C", _H, "FINANCE", "MAN", 16, "A price changed for time already billed", "Choose credit and rebill, net adjustment, or none"),
    E("ERP_REJECTED", "P", _B, "INTEGRATION", "AUTO", 8, "The ERP refused the document", "Read the vendor's words and mend the map or master record"),
    E("ERP_IN_DOUBT", "P", _H, "INTEGRATION", "TIMED", 4, "It is not known whether the ERP has the document", "Never post again by hand; it is looked up until it is certain"),
    E("ERP_CONFLICT", "P", _B, "FINANCE", "MAN", 4, "The ERP holds our reference with other content", "Compare field by field and decide which is right"),
    E("ERP_TOTAL_MISMATCH", "P", _H, "FINANCE", "MAN", 8, "The ERP's totals are not ours", "Compare net and tax with the ERP document"),
    E("ERP_MAINTENANCE", "P", _H, "INTEGRATION", "TIMED", 1, "The ERP is in maintenance", "Wait for the window to end"),
    E("ERP_THROTTLED", "P", _H, "INTEGRATION", "TIMED", 1, "The ERP's quota is used up", "Wait; lower the pace if it stays"),
    E("ERP_AUTH", "P", _H, "INTEGRATION", "TIMED", 1, "The ERP refuses our credentials", "Renew the credentials of the instance"),
    E("EINVOICE_REJECTED", "P", _H, "FINANCE", "MAN", 8, "The structured invoice failed clearance", "Mend the field of the rule in the context"),
    E("RECON_MISSING_IN_ERP", "P", _B, "INTEGRATION", "MAN", 4, "Posted by us, absent in the ERP", "Look the reference up in the ERP before anything else"),
    E("RECON_EXTRA_IN_ERP", "P", _B, "FINANCE", "MAN", 4, "In the ERP with our prefix, not posted by us", "Find out who made it; void it or take it over"),
    E("OPP_INCOMPLETE", "D", _B, "SALES_OPS", "AUTO", 8, "A won deal does not say all that delivery and billing need", "Complete in the CRM what the context lists; the deal is tried again by itself"),
)  # fmt: skip

CATALOGUE: dict[str, ExceptionCode] = {each.code: each for each in _ALL}

STAGES: dict[str, str] = {
    "0": "Intake",
    "1": "Approval",
    "2": "Identity",
    "3": "Plausibility",
    "4": "Project and assignment",
    "5": "Contract",
    "6": "Orders, caps, retainers",
    "7": "Price and cost",
    "8": "Legal entity, customer, tax, maps",
    "9": "Accounting period",
    "10": "Anomalies",
    "C": "Corrections",
    "P": "Posting and reconciliation",
    "D": "Won deals",
}


def markdown() -> str:
    """The whole catalogue as docs/exceptions.md."""
    out = [
        "# Exception codes",
        "",
        "Made from `contracts/catalogue.py`; do not edit. BLOCK cannot be billed, HOLD is valued but",
        "not invoiced, WARN flows and is visible. AUTO is judged again when a record it waits for",
        "changes, TIMED by schedule, MAN when a person acts, DROP leaves no item.",
    ]
    for stage, title in STAGES.items():
        out += [
            "",
            f"## Stage {stage}: {title}",
            "",
            "| Code | Severity | Owner | Retry | Hours | Means | To do |",
            "|---|---|---|---|---|---|---|",
        ]
        out += [
            f"| `{e.code}` | {e.severity} | {e.owner} | {e.retry} | {e.sla_hours} "
            f"| {e.means} | {e.hint} |"
            for e in _ALL
            if e.stage == stage
        ]
    return "\n".join(out) + "\n"
