"""Names and types of the fields of the records, transcribed from the vendor's record browser.

A type is `string`, `number`, `integer`, `boolean`, `date`, `date-time`, `any`, `ref:<record>`
(several joined by `|`), `enum:<name>` or `sublist:<name>`. A leading `=` marks what only the
system writes. Fields the public extract does not show but every account has are marked [U].
"""

from msgspec import Struct

ENUMS = {
    "approval": {"1": "Pending Approval", "2": "Approved", "3": "Rejected", "11": "Open"},
    "status": {},
}


class Spec(Struct, frozen=True):
    """kind: of the store; records that share internal and external ids share a kind."""

    kind: str
    fields: dict[str, str]
    title: str


_ALL = {
    "externalId": "string",
    "id": "=string",
    "links": "=any",
    "lastModifiedDate": "=date-time",
}
_TRANSACTION = _ALL | {
    "approvalStatus": "enum:approval",
    "amountPaid": "=number",
    "amountRemaining": "=number",
    "asOfDate": "date",
    "billAddress": "string",
    "class": "ref:classification",
    "createdDate": "=date-time",
    "createdFrom": "ref:transaction",
    "currency": "ref:currency",
    "department": "ref:department",
    "dueDate": "date",
    "email": "string",
    "endDate": "date",
    "startDate": "date",  # [U]
    "entity": "ref:customer|job",
    "exchangeRate": "number",
    "item": "sublist:line",
    "job": "ref:job",
    "location": "ref:location",
    "memo": "string",
    "message": "string",
    "number": "=integer",
    "originator": "=string",
    "otherRefNum": "string",
    "postingPeriod": "ref:accountingPeriod",
    "refName": "=string",
    "status": "=enum:status",  # [U]
    "subsidiary": "ref:subsidiary",  # [U]
    "subtotal": "=number",  # [U]
    "taxTotal": "=number",  # [U]
    "terms": "any",  # [U]
    "total": "=number",  # [U]
    "tranDate": "date",  # [U]
    "tranId": "=string",  # [U]
    "void": "boolean",  # [U]
}
LINE = {
    "amount": "number",
    "class": "ref:classification",
    "department": "ref:department",
    "description": "string",
    "grossAmt": "=number",
    "isTaxable": "boolean",
    "item": "ref:serviceItem",
    "itemType": "=any",
    "job": "ref:job",
    "line": "integer",
    "location": "ref:location",
    "quantity": "number",
    "rate": "number",
    "revRecEndDate": "date",
    "revRecStartDate": "date",
    "tax1Amt": "=number",
    "taxAmount": "=number",
    "taxCode": "ref:salesTaxItem",
    "taxRate1": "=number",
    "uniqueKey": "=integer",
    "units": "string",
}
RECORDS = {
    "invoice": Spec("transaction", _TRANSACTION, "Invoice"),
    "creditMemo": Spec("transaction", _TRANSACTION, "Credit Memo"),
    "customer": Spec(
        "entity",
        _ALL
        | {
            "entityId": "string",
            "companyName": "string",
            "isPerson": "boolean",
            "isInactive": "boolean",
            "subsidiary": "ref:subsidiary",
            "currency": "ref:currency",
            "email": "string",
            "phone": "string",
            "terms": "any",
            "taxItem": "ref:salesTaxItem",
            "vatRegNumber": "string",
            "defaultAddress": "string",
            "addressBook": "any",
            "comments": "string",
            "dateCreated": "=date-time",
        },
        "Customer",
    ),
    "job": Spec(
        "entity",
        _ALL
        | {
            "entityId": "string",
            "companyName": "string",
            "parent": "ref:customer",
            "subsidiary": "ref:subsidiary",
            "currency": "ref:currency",
            "isInactive": "boolean",
            "entityStatus": "any",
            "startDate": "date",
            "projectedEndDate": "date",
            "calculatedEndDate": "date",
            "comments": "string",
            "dateCreated": "=date-time",
        },
        "Project",
    ),
    "serviceItem": Spec(
        "serviceItem",
        _ALL
        | {
            "itemId": "string",
            "displayName": "string",
            "isInactive": "boolean",
            "subsidiary": "any",
            "incomeAccount": "any",
            "salesDescription": "string",
            "rate": "number",
        },
        "Service Item",
    ),
    "subsidiary": Spec(
        "subsidiary",
        _ALL
        | {
            "name": "string",
            "legalName": "string",
            "currency": "ref:currency",
            "country": "any",
            "parent": "ref:subsidiary",
            "tranPrefix": "string",
            "isInactive": "boolean",
            "isElimination": "boolean",
            "federalIdNumber": "string",
        },
        "Subsidiary",
    ),
    "accountingPeriod": Spec(
        "accountingPeriod",
        _ALL
        | {
            "periodName": "string",
            "startDate": "date",
            "endDate": "date",
            "closed": "boolean",
            "closedOnDate": "=date-time",
            "allLocked": "boolean",
            "arLocked": "boolean",
            "apLocked": "boolean",
            "isAdjust": "boolean",
            "isQuarter": "boolean",
            "isYear": "boolean",
            "isInactive": "boolean",
        },
        "Accounting Period",
    ),
    "currency": Spec(
        "currency",
        _ALL
        | {
            "name": "string",
            "symbol": "string",
            "currencyPrecision": "any",
            "exchangeRate": "number",
            "isBaseCurrency": "boolean",
            "isInactive": "boolean",
        },
        "Currency",
    ),
    "department": Spec(
        "department",
        _ALL | {"name": "string", "isInactive": "boolean", "parent": "ref:department"},
        "Department",
    ),
    "salesTaxItem": Spec(
        "salesTaxItem",
        _ALL
        | {
            "itemId": "string",
            "rate": "number",
            "isInactive": "boolean",
            "description": "string",
        },
        "Tax Code",
    ),
}
CUSTOM = ("custbody_", "custcol_", "custentity_", "custitem_", "custrecord_")


def is_custom(name: str) -> bool:
    """Custom fields appear in lower case."""
    return name.startswith(CUSTOM) and name == name.lower()
