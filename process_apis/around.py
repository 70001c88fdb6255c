"""What journeys and billing find around them in this process: database, tenant, master data.

Runs are kept as asks; connections and settings are not part of an ask, so they are bound once.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from chassis import travel
from chassis.database import Database
from contracts.problem import Fault, Problem


class Around(Struct, frozen=True, kw_only=True):
    """snapshot: master data as it stands, a Snapshot of the rules. Its type belongs to the journey
    that judges time, and journeys know nothing of each other.

    allow_self_release: one person may do it all. poll_s: how soon a freed place is taken.
    spare: posting runs made ready beside those that call, so that a place at the ERP is never
    empty while a run is being fetched.
    """

    database: Database
    tenant: str
    snapshot: Callable[[], Any]
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
        raise Problem(Fault.INTERNAL, "The process tier is not set up.", because="around.bind")
    return _around


def who() -> str:
    """The person or key behind this request, for the audit trail and for separation of duties."""
    caller = travel.caller()
    return caller.actor or caller.subject
