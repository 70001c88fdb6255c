"""Shows what a record holds as Salesforce writes it: ids, instants, and what follows from a field.

Instants have milliseconds and `+0000`; the store's microseconds are cut off.
"""

from datetime import UTC, datetime
from typing import Any

from system_apis.simulator import Document
from system_apis.vendors.salesforce.simulator import numbers
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Field, Object

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
SEEDED, MADE = "5e", "5f"

STAGES = {
    "Prospecting": (10, "Pipeline"), "Qualification": (10, "Pipeline"),
    "Needs Analysis": (20, "Pipeline"), "Value Proposition": (50, "Pipeline"),
    "Id. Decision Makers": (60, "Pipeline"), "Perception Analysis": (70, "Pipeline"),
    "Proposal/Price Quote": (75, "Pipeline"), "Negotiation/Review": (90, "Pipeline"),
    "Closed Won": (100, "Closed"), "Closed Lost": (0, "Omitted"),
}  # fmt: skip
STATUS_CODES = {
    "Draft": "Draft", "In Approval Process": "InApproval", "Activated": "Activated",
    "Suspended": "Activated", "Expired": "Expired", "Terminated": "Terminated",
}  # fmt: skip
"""Contract statuses of our tenant and their categories; Suspended and later are custom [U]."""


def record_id(object_name: str, number: int, block: str = SEEDED) -> str:
    """An 18-character id: prefix, block, the number to base 62, and the case checksum."""
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return checked(f"{OBJECTS[object_name.lower()].prefix}{block}{digits:0>10}")


def checked(short: str) -> str:
    """15 case-sensitive characters to 18 case-safe ones."""
    chunks = (short[at : at + 5] for at in (0, 5, 10))
    return short + "".join(
        _CHECK[sum(1 << bit for bit, letter in enumerate(chunk) if "A" <= letter <= "Z")]
        for chunk in chunks
    )


def full_id(given: object) -> str | None:
    """An id as 18 characters, or None when it cannot be one."""
    if not isinstance(given, str) or not given.isalnum() or not given.isascii():
        return None
    if len(given) == 15:
        return checked(given)
    return given if len(given) == 18 else None


def instant(moment: str) -> str:
    """`2026-01-31T12:34:56.000+0000`, from any ISO text."""
    if moment.endswith("+00:00") and len(moment) == 32:
        return moment[:23] + "+0000"
    found = datetime.fromisoformat(moment)
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found.isoformat(timespec="milliseconds")[:23] + "+0000"


def value(one: Object, doc: Document, field: Field) -> Any:
    """What the field of a record is now."""
    name = field.name
    match name:
        case "Id":
            return doc["_id"]
        case "SystemModstamp" | "LastModifiedDate":
            return instant(doc["_updated_at"])
        case "CreatedDate":
            return instant(doc.get(name) or doc["_created_at"])
    found = doc.get(name)
    if one.name == "Opportunity" and name in _FOLLOWS_STAGE:
        found = _of_stage(doc, name)
    if name == "StatusCode":
        return STATUS_CODES.get(doc.get("Status", "Draft"), "Draft")
    if one.name == "Contact" and name == "Name":
        return " ".join(filter(None, (doc.get("FirstName"), doc.get("LastName"))))
    if field.type == "address":
        return _address(doc, name.removesuffix("Address"))
    if field.type == "boolean":
        return bool(found)
    if field.type in numbers.KINDS and found is not None:
        return numbers.exact(found)
    if field.type == "datetime" and found:
        return instant(found)
    return found


_FOLLOWS_STAGE = {"IsClosed", "IsWon", "Probability", "ForecastCategory", "ForecastCategoryName"}


def _of_stage(doc: Document, name: str) -> Any:
    stage = doc.get("StageName", "")
    percent, forecast = STAGES.get(stage, (None, "Pipeline"))
    match name:
        case "IsClosed":
            return stage.startswith("Closed")
        case "IsWon":
            return stage == "Closed Won"
        case "Probability":
            given = doc.get(name)
            return percent if given is None or stage.startswith("Closed") else given
    return forecast


def _address(doc: Document, kind: str) -> dict[str, Any] | None:
    parts = ("City", "Country", "GeocodeAccuracy", "Latitude", "Longitude", "PostalCode", "State",
             "Street")  # fmt: skip
    found = {part[0].lower() + part[1:]: doc.get(kind + part) for part in parts}
    return found if any(part is not None for part in found.values()) else None


def shown(one: Object, doc: Document, fields: list[Field], version: str) -> dict[str, Any]:
    """A record of a reply."""
    url = f"/services/data/{version}/sobjects/{one.name}/{doc['_id']}"
    return {"attributes": {"type": one.name, "url": url}} | {
        field.name: value(one, doc, field) for field in fields
    }
