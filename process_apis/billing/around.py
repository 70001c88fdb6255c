"""What billing finds around it in this process: database, tenant, master data, house rules.

Runs are kept as asks; connections and settings are not part of an ask, so they are bound once.
"""

from collections.abc import Callable

from msgspec import Struct

from chassis import travel
from chassis.database import Database
from contracts.problem import Fault, Problem
from process_apis.journeys.approved_time_to_invoice.rules import Snapshot


class Around(Struct, frozen=True, kw_only=True):
    """snapshot: master data as it stands. allow_self_release: one person may do it all.

    poll_s: how soon a freed place is taken. spare: posting runs made ready beside those that
    call, so that a place at the ERP is never empty while a run is being fetched.
    """

    database: Database
    tenant: str
    snapshot: Callable[[], Snapshot]
    allow_self_release: bool = False
    poll_s: float = 0.05
    spare: int = 8

    @property
    def source(self) -> str:
        """Of our events."""
        return f"/{self.tenant}/process"


_around: Around | None = None


def bind(around: Around | None) -> Around | None:
    """Set it before the engine of runs starts; returns what was there, for tests to put back."""
    global _around
    before, _around = _around, around
    return before


def around() -> Around:
    """What was bound."""
    if _around is None:
        raise Problem(Fault.INTERNAL, "Billing is not set up.", because="billing.around.bind")
    return _around


def who() -> str:
    """The person or key behind this request, for the audit trail and for separation of duties."""
    caller = travel.caller()
    return caller.actor or caller.subject
