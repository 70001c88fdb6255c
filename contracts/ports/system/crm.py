"""What Firmwire asks of any CRM: clients, contracts, purchase orders, won deals.

Streams: client, contract, purchase_order, deal.
"""

from datetime import date
from typing import Protocol

from msgspec import Struct

from contracts.entities.deal import Deal, DealLinks
from contracts.operation import operation
from contracts.ports.system.system import Placed, System


class ClientDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """country: ISO 3166 alpha-2. currency: ISO 4217."""

    code: str
    name: str
    country: str = ""
    currency: str = ""


class ContractDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """client, legal_entity, billing_account, rate_card, project: canonical codes."""

    code: str
    client: str
    legal_entity: str
    billing_account: str
    currency: str
    type: str
    start: date
    end: date | None = None
    rate_card: str = ""
    project: str = ""
    fixed_amount: str = ""


class Crm(System, Protocol):
    """Salesforce, ..."""

    @operation("GET", "/deals/{id}", scope="system:read")
    async def deal(self, id: str) -> Deal | None:
        """A strong read of one opportunity."""
        ...

    @operation("PUT", "/deals/{id}/links", scope="system:write", status=204)
    async def link_deal(self, id: str, body: DealLinks) -> None:
        """Write our ids back to the opportunity; empty strings clear them."""
        ...

    @operation("GET", "/clients/by-reference/{reference}", scope="system:read")
    async def client_by_reference(self, reference: str) -> Placed | None:
        """The account that carries this client code."""
        ...

    @operation("PUT", "/clients/by-reference/{reference}", scope="system:write")
    async def put_client(self, reference: str, body: ClientDraft) -> Placed:
        """Create or match by code."""
        ...

    @operation("GET", "/contracts/by-reference/{reference}", scope="system:read")
    async def contract_by_reference(self, reference: str) -> Placed | None:
        """The contract that carries this code."""
        ...

    @operation("PUT", "/contracts/by-reference/{reference}", scope="system:write", deadline_s=30.0)
    async def put_contract(self, reference: str, body: ContractDraft) -> Placed:
        """Create (draft, with one line) or match by code, then activate."""
        ...

    @operation("POST", "/contracts/{id}/terminate", scope="system:write", status=204)
    async def terminate_contract(self, id: str) -> None:
        """End a contract that was rolled back. Twice is as once."""
        ...
