"""What Firmwire asks of any human-capital system: who works here, since when, as what.

Streams: resource, role, cost_centre, leave, cost_rate.
"""

from typing import Protocol

from contracts.entities.party import Resource
from contracts.operation import operation
from contracts.ports.system.system import System


class Hcm(System, Protocol):
    """Workday, Tryton, ... Read only."""

    @operation("GET", "/workers/by-reference/{reference}", scope="system:read")
    async def worker_by_reference(self, reference: str) -> Resource | None:
        """The person with this person number, also when employment has ended."""
        ...

    @operation("GET", "/workers/{id}", scope="system:read")
    async def worker(self, id: str) -> Resource | None:
        """The person with this id at the vendor."""
        ...
