"""This file exists to be what a partner's program has: an API key and typed calls to the gateway.

Owns   the connections; close it at the end.
Fails  the Problem the platform answered with.
"""

from chassis import call
from contracts.ports.process.billing import Billing
from contracts.ports.process.exceptions import Exceptions
from contracts.ports.process.journeys import Journeys
from contracts.ports.process.master_data import MasterData
from contracts.ports.process.reconciliation import Reconciliation
from contracts.ports.process.time_entries import TimeEntries

PREFIX = "/process/v1"


class Office:
    """Everything a finance partner calls, through the gateway only."""

    def __init__(self, gateway_url: str, key: str) -> None:
        self.time = call.client(TimeEntries, gateway_url, key=key, prefix=PREFIX)
        self.exceptions = call.client(Exceptions, gateway_url, key=key, prefix=PREFIX)
        self.billing = call.client(Billing, gateway_url, key=key, prefix=PREFIX)
        self.master = call.client(MasterData, gateway_url, key=key, prefix=PREFIX)
        self.journeys = call.client(Journeys, gateway_url, key=key, prefix=PREFIX)
        self.books = call.client(Reconciliation, gateway_url, key=key, prefix=PREFIX)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await call.close(
            self.time, self.exceptions, self.billing, self.master, self.journeys, self.books
        )
