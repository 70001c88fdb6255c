"""Say what a fault of a posting call means for the invoice and for the whole ERP. Pure.

Source  domain.md C.4 (6), C.2 stage P; contracts.problem (Retry).
"""

from typing import Literal

from contracts.catalogue import CATALOGUE
from contracts.problem import Fault, Problem, Retry

Verdict = Literal["WAIT", "REFUSED", "THERE", "DOUBT"]

PAUSES: dict[Fault, str] = {
    Fault.VENDOR_THROTTLED: "ERP_THROTTLED",
    Fault.VENDOR_MAINTENANCE: "ERP_MAINTENANCE",
    Fault.VENDOR_AUTH: "ERP_AUTH",
    Fault.UNAUTHENTICATED: "ERP_AUTH",
    Fault.FORBIDDEN: "ERP_AUTH",
}
"""The instance takes nothing from anybody now: one item for the system, not one an invoice."""


def verdict(trouble: Problem) -> Verdict:
    """WAIT: nothing happened, the same again later; not an attempt. REFUSED: nothing happened and

    never will. THERE: the reference exists, look at it. DOUBT: all else; it may have happened.
    """
    fault = trouble.fault
    if fault is Fault.CONFLICT:
        return "THERE"
    if fault in PAUSES or fault.retry is Retry.LATER:
        return "WAIT"
    said = trouble.vendor.exception_code if trouble.vendor else ""
    if fault.retry is Retry.NEVER and said != "ERP_IN_DOUBT":
        return "REFUSED"
    return "DOUBT"


def pause_code(trouble: Problem) -> str:
    """The item a closed gate puts on a desk; empty when the ERP is merely out of reach."""
    return PAUSES.get(trouble.fault, "")


def refusal_code(trouble: Problem) -> str:
    """The code of the item for a refused document: the vendor's words, mapped, when they are."""
    said = trouble.vendor.exception_code if trouble.vendor else ""
    return said if said in CATALOGUE else "ERP_REJECTED"
