"""This file exists to make our records of Tryton's small collections, read whole.

Touches  the vendor, reading only.
Fails    what a call fails with.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from contracts.entities.master import MasterRecord
from contracts.entities.party import LegalEntity
from contracts.entities.record import Alias
from contracts.problem import Fault, Problem
from system_apis.sweep import Row
from system_apis.vendors.tryton import mapping, wire
from system_apis.vendors.tryton.feeds.calls import Reader

EPOCH = "1970-01-01T00:00:00Z"
OWN_STAMP = frozenset({"accounting_period", "project", "task"})
"""Their records change only when Tryton's own record does."""
_NO_TAX = ("S", "DOMESTIC", "REVERSE_CHARGE", "EXPORT")


class Tenant(Struct, frozen=True, kw_only=True):
    """What settings say of things for which Tryton has no word."""

    legal_entity: str
    tax_registration: str
    country: str
    item: str
    rate_card: str
    everyone: bool


class Streams:
    """One method a stream."""

    def __init__(self, reader: Reader, instance: str, tenant: Tenant) -> None:
        self._read, self._instance, self._tenant = reader, instance, tenant
        self.all: dict[str, Callable[[], Awaitable[list[MasterRecord]]]] = {
            "accounting_period": self._accounting_period, "alias": self._alias,
            "assignment": self._assignment, "billing_account": self._billing_account,
            "client": self._client, "contract": self._contract,
            "legal_entity": self._legal_entity, "project": self._project,
            "rate_card": self._rate_card, "resource": self._resource, "role": self._role,
            "task": self._task,
        }  # fmt: skip

    async def rows(self, stream: str) -> list[Row]:
        """A stream for a sweep."""
        return swept(await self.all[stream](), stamp=stream in OWN_STAMP)

    async def company(self) -> LegalEntity:
        own = self._tenant
        company = await self._read.one(wire.Company, await self._read.company_id())
        if company is None:
            raise Problem(Fault.VENDOR_CONFUSED, "Our user's company is not there.")
        party = company.party.id
        taxes = await self._read.rows(wire.Identifier, ["party", "=", party])
        number = own.tax_registration or next((t.code for t in taxes), "")
        homes = await self._read.rows(wire.Address, ["party", "=", party], limit=1)
        country = mapping.country_of(homes[0] if homes else None, own.country)
        return mapping.legal_entity(self._instance, company, own.legal_entity, number, country)

    async def _legal_entity(self) -> list[MasterRecord]:
        return [await self.company()]

    async def _accounting_period(self) -> list[MasterRecord]:
        mine = ["company", "=", await self._read.company_id()]
        rows = await self._read.rows(wire.Period, mine)
        return [p for row in rows if (p := mapping.period(self._instance, row))]

    async def _customers(self) -> tuple[list[wire.Party], dict[int, wire.Address]]:
        """Every party that is neither a company nor an employee, and where each lives first."""
        read = self._read
        people = {e.party.id for e in await read.rows(wire.Employee, inactive=True)}
        ours = {c.party.id for c in await read.rows(wire.Company)}
        parties = await read.rows(wire.Party, inactive=True)
        homes: dict[int, wire.Address] = {}
        for address in await read.rows(wire.Address):
            homes.setdefault(address.party, address)
        return [p for p in parties if p.id not in people | ours], homes

    async def _client(self) -> list[MasterRecord]:
        company, (parties, homes) = await self.company(), await self._customers()
        currency = company.functional_currency
        return [
            mapping.client(
                self._instance, p, mapping.country_of(homes.get(p.id), company.country), currency
            )
            for p in parties
        ]

    async def _billing_account(self) -> list[MasterRecord]:
        company, (parties, homes) = await self.company(), await self._customers()
        taxes = {t.party: t.code for t in await self._read.rows(wire.Identifier)}
        return [
            mapping.billing_account(
                self._instance, p, company, homes.get(p.id), taxes.get(p.id, "")
            )
            for p in parties
        ]

    async def _alias(self) -> list[MasterRecord]:
        """Items by product code, taxes by name, the company as its own posting dimension."""
        entity, at = self._tenant.legal_entity, datetime.fromisoformat(EPOCH)
        mine = ["company", "=", await self._read.company_id()]
        taxes = {f"{entity}:{key}": ("0", at) for key in _NO_TAX}
        named = mapping.tax_keys(await self._read.rows(wire.Tax, mine), entity)
        if named:  # a company that names its taxes for us has no untaxed default
            taxes = named
        made: list[MasterRecord] = [
            mapping.alias(self._instance, "tax_code", id, key, at)
            for key, (id, at) in sorted(taxes.items())
        ]
        made += [
            mapping.alias(self._instance, "item", p.id, p.code, p.changed)
            for p in await self._read.rows(wire.Product)
            if p.code
        ]
        return [*made, mapping.alias(self._instance, "gl_dimension", 0, entity, at)]

    async def _project(self) -> list[MasterRecord]:
        works = await self._read.works()
        return [mapping.project(self._instance, w) for w in works.values() if w.type == "project"]

    async def _task(self) -> list[MasterRecord]:
        works = await self._read.works()
        return [
            mapping.task(self._instance, w, owner)
            for w in works.values()
            if w.type == "task" and (owner := mapping.owner_of(w, works))
        ]

    async def _contract(self) -> list[MasterRecord]:
        company, card = await self.company(), self._tenant.rate_card
        works = (await self._read.works()).values()
        made = (mapping.contract(self._instance, w, company, card) for w in works)
        return [contract for contract in made if contract]

    async def _assignment(self) -> list[MasterRecord]:
        if not self._tenant.everyone:
            return []
        mine = ["company", "=", await self._read.company_id()]
        people = await self._read.rows(wire.Employee, mine)
        works = (await self._read.works()).values()
        projects = [w for w in works if w.type == "project"]
        return [mapping.assignment(self._instance, w, e) for w in projects for e in people]

    async def _rate_card(self) -> list[MasterRecord]:
        own = self._tenant
        company = await self.company()
        products = await self._read.rows(wire.Product, ["code", "=", own.item], limit=1)
        currency = company.functional_currency
        return [mapping.rate_card(self._instance, p, own.rate_card, currency) for p in products]

    async def _resource(self) -> list[MasterRecord]:
        mine = ["company", "=", await self._read.company_id()]
        company = await self.company()
        rows = await self._read.rows(wire.Employee, mine, inactive=True)
        return [mapping.resource(self._instance, e, company) for e in rows]

    async def _role(self) -> list[MasterRecord]:
        return [mapping.role(self._instance, datetime.fromisoformat(EPOCH))]


def swept(records: list[MasterRecord], *, stamp: bool) -> list[Row]:
    """Our records for a sweep. stamp: False when they also change with their neighbours."""
    return [
        Row(_key(r), r.source_updated_at if stamp else None, _content(r, stamp=stamp))
        for r in records
    ]


def _key(record: MasterRecord) -> str:
    """Tryton counts every model from 1, and one record may stand for several of our keys."""
    if isinstance(record, Alias):
        return f"{record.of}:{record.code}:{record.ref.id}"
    return record.ref.id


def _content(record: MasterRecord, *, stamp: bool) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found if stamp else found | {"source_version": 0, "source_updated_at": EPOCH}


def unswept(stream: str, row: Row, at: datetime, *, deleted: bool = False) -> MasterRecord:
    """The record again. at: when it was first seen like this, its version where it has no own."""
    record: MasterRecord = msgspec.convert(row.record, MasterRecord)
    if stream in OWN_STAMP and not deleted:
        return record
    return msgspec.structs.replace(
        record, source_version=mapping.micros(at), source_updated_at=at, deleted=deleted
    )
