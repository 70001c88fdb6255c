"""Answer the Crm port from Salesforce's REST API.

Touches  the vendor, only through chassis.outbound. Keeps its token and the last quota it told.
Fails    VENDOR_THROTTLED (also for a locked row), VENDOR_DOWN, VENDOR_MAINTENANCE (nothing
         happened), VENDOR_SILENT (every write here is an upsert and may be sent again),
         VENDOR_REJECTED, CONFLICT (an external id that is not unique).
Source   vendor's request collection, recorded answers, describes as in the shared facts, 2026-11.
"""

from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.deal import Deal, DealLinks
from contracts.entities.master import MasterRecord
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.crm import ClientDraft, ContractDraft, Crm
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem, Vendor
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.drift import Drift, names_of
from system_apis.fields import field_names
from system_apis.vendors.salesforce import feeds, mapping, wire

T = TypeVar("T", bound=wire.Row)
STREAMS = ("client", "contract", "deal", "purchase_order")
_LINES = "Contract_Line__c"
_IDS_AT_ONCE = 100


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: the My Domain origin. api: the pinned version. multi_currency: whether the org

    has CurrencyIsoCode on every object; without it, currency is the org's own.
    """

    base_url: str
    client_id: str
    client_secret: Secret
    api: str = "v60.0"
    multi_currency: bool = True
    currency: str = "USD"
    deadline_s: float = 20.0
    concurrency: int = 10


class Salesforce:
    """One org."""

    def __init__(self, settings: Settings, instance: str) -> None:
        self._instance = instance
        self._settings = settings
        self._plain = Outbound(settings.base_url, peer=f"{instance}.oauth", deadline_s=10.0)
        self._door = Outbound(
            settings.base_url,
            peer=instance,
            auth=lambda call: self._reader.tokens.auth(call),
            refused=lambda: self._reader.tokens.refused(),
            deadline_s=settings.deadline_s,
            limits=Limits(concurrency=settings.concurrency),
        )
        self.allowance = Allowance(self._door.limiter, Quota(settle_s=120.0), ask=self._ask_limits)
        secret = settings.client_secret.reveal()
        self._reader = feeds.Reader(
            self._door, self._plain, instance, settings.client_id, secret, settings.api,
            self.allowance,
        )  # fmt: skip
        known = {"Opportunity": field_names(wire.Opportunity) | wire.OPPORTUNITY}
        self._drift = Drift(instance, known)

    async def aclose(self) -> None:
        await self._door.aclose()
        await self._plain.aclose()

    async def health(self) -> Health:
        began = clock.monotonic()
        try:
            await self._reader.query("SELECT Id FROM Account LIMIT 1", wire.Id, bulk=False)
        except Problem as problem:
            if problem.fault is Fault.VENDOR_MAINTENANCE:
                return Health(state="MAINTENANCE", latency_ms=0, say=problem.say)
            if problem.fault is Fault.VENDOR_THROTTLED:
                return Health(state="DEGRADED", latency_ms=0, say=problem.say)
            return Health(state="DOWN", latency_ms=0, say=problem.say)
        took_ms = int((clock.monotonic() - began) * 1000)
        return Health(state="UP", latency_ms=took_ms, drifted_fields=self._drift.fields)

    async def quota(self) -> Quota:
        """Calls a day, as every answer tells."""
        return await self.allowance.quota()

    async def _ask_limits(self) -> None:
        self._reader.refuse(await self._reader.call("GET", "/limits"))

    async def streams(self) -> tuple[str, ...]:
        return STREAMS

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        read, instance, own = self._reader, self._instance, self._settings.currency
        items: list[MasterRecord]
        match stream:
            case "client":
                accounts, after, more = await read.changed(
                    "Account", self._columns(wire.Account), wire.Account, cursor, limit
                )
                items = [mapping.client(instance, row) for row in accounts]
            case "contract":
                return await self._contracts(cursor, limit)
            case "purchase_order":
                columns = self._columns(wire.PurchaseOrder)
                orders, after, more = await read.changed(
                    "Purchase_Order__c", columns, wire.PurchaseOrder, cursor, limit
                )
                items = [mapping.purchase_order(instance, row, own) for row in orders]
            case "deal":
                columns = self._columns(wire.Opportunity)
                deals, after, more = await read.changed(
                    "Opportunity", columns, wire.Opportunity, cursor, limit
                )
                items = [mapping.deal(instance, row, own) for row in deals]
            case _:
                raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")
        return Page(tuple(items), after, more)

    async def _contracts(self, cursor: str | None, limit: int) -> Page[MasterRecord]:
        """Contracts that changed, then contracts whose lines did: a line does not touch its head.

        Both positions rest only when both are read to the end, else a page would come for ever.
        """
        at = feeds.read(cursor)
        began, size = at.began or clock.now(), min(limit, feeds.PAGE_MAX)
        columns = self._columns(wire.Contract)
        rows, position = await self._reader.after("Contract", columns, wire.Contract, at.rows, size)
        lines, left = at.lines, size - len(rows)
        more = left == 0
        if left:
            touched, lines = await self._reader.after(
                _LINES, self._columns(wire.ContractLine), wire.ContractLine, at.lines, left
            )
            more = len(touched) == left
            missing = {line.Contract__c or "" for line in touched} - {row.Id for row in rows}
            rows += await self._many("Contract", "Id", wire.Contract, missing)
        of = await self._many(_LINES, "Contract__c", wire.ContractLine, {row.Id for row in rows})
        items = tuple(
            mapping.contract(
                self._instance,
                row,
                [line for line in of if line.Contract__c == row.Id],
                self._settings.currency,
            )
            for row in rows
        )
        if more:
            return Page(items, feeds.written(feeds.Cursor(position, lines, began)), True)
        rest = feeds.Cursor(feeds.rested(position, began), feeds.rested(lines, began))
        return Page(items, feeds.written(rest), False)

    async def _many(self, thing: str, field: str, shape: type[T], ids: set[str]) -> list[T]:
        found: list[T] = []
        wanted = sorted(ids - {""})
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            some = ", ".join(map(mapping.literal, wanted[start : start + _IDS_AT_ONCE]))
            text = f"SELECT {self._columns(shape)} FROM {thing} WHERE {field} IN ({some})"
            found += await self._reader.query(text, shape)
        return found

    def _columns(self, shape: type[Struct]) -> str:
        names = field_names(shape)
        if not self._settings.multi_currency:
            names -= {"CurrencyIsoCode"}
        return ", ".join(sorted(names))

    async def deal(self, id: str) -> Deal | None:
        """The whole row, so that fields nobody here knows are noticed."""
        reply = await self._reader.row(f"Opportunity/{quote(id, safe='')}")
        if reply is None:
            return None
        self._drift.look("Opportunity", names_of(reply.json(dict)))
        return mapping.deal(self._instance, reply.json(wire.Opportunity), self._settings.currency)

    async def link_deal(self, id: str, body: DealLinks) -> None:
        await self._patch(f"Opportunity/{quote(id, safe='')}", mapping.links_body(body))

    async def client_by_reference(self, reference: str) -> Placed | None:
        return await self._placed("Account", "Firm_Client_Code__c", reference)

    async def put_client(self, reference: str, body: ClientDraft) -> Placed:
        """A client that is there is left as sales keeps it."""
        found = await self.client_by_reference(reference)
        if found is not None:
            return found
        new = mapping.client_body(body, self._settings.multi_currency)
        return await self._upsert("Account", "Firm_Client_Code__c", reference, new)

    async def contract_by_reference(self, reference: str) -> Placed | None:
        return await self._placed("Contract", "Firm_Ext_Id__c", reference)

    async def put_contract(self, reference: str, body: ContractDraft) -> Placed:
        """Draft, line, activation: a half-done one is resumed, an activated one is left alone."""
        where = f"Contract/Firm_Ext_Id__c/{quote(reference, safe='')}"
        reply = await self._reader.row(where)
        found = reply.json(wire.Contract) if reply else None
        if found and (found.Status or "").lower() != "draft":
            return Placed(ref=Ref(self._instance, found.Id), created=False)
        account = await self.client_by_reference(body.client)
        if account is None:
            raise Problem(
                Fault.VENDOR_REJECTED,
                f"{self._instance} has no client {body.client}.",
                vendor=Vendor(system=self._instance, exception_code="CUSTOMER_REF_MISSING"),
            )
        draft = mapping.contract_body(body, account.ref.id, self._settings.multi_currency)
        placed = await self._upsert("Contract", "Firm_Ext_Id__c", reference, draft)
        line = mapping.line_body(body, placed.ref.id)
        await self._upsert(_LINES, "Firm_Ext_Id__c", f"{reference}/1", line)
        await self._patch(f"Contract/{placed.ref.id}", {"Status": "Activated"})
        return placed

    async def terminate_contract(self, id: str) -> None:
        await self._patch(f"Contract/{quote(id, safe='')}", {"Status": "Terminated"})

    async def _placed(self, thing: str, field: str, reference: str) -> Placed | None:
        path = f"{thing}/{field}/{quote(reference, safe='')}"
        reply = await self._reader.row(path, {"fields": "Id"})
        if reply is None:
            return None
        id = str(reply.json(dict)["Id"])
        return Placed(ref=Ref(self._instance, id), created=False)

    async def _upsert(
        self, thing: str, field: str, reference: str, body: dict[str, object] | dict[str, str]
    ) -> Placed:
        """Sent again after a lost reply it makes no second record; then created is False."""
        path = f"/sobjects/{thing}/{field}/{quote(reference, safe='')}"
        reply = await self._reader.call("PATCH", path, body=_JSON.encode(body), safe=True,
                                        headers={"content-type": "application/json"})  # fmt: skip
        self._reader.refuse(reply)
        if reply.status != 204:
            id = reply.json(wire.Written).id
            return Placed(ref=Ref(self._instance, id), created=reply.status == 201)
        placed = await self._placed(thing, field, reference)
        if placed is None:
            raise Problem(Fault.VENDOR_SILENT, f"The new {thing} is not visible yet.")
        return placed

    async def _patch(self, path: str, body: dict[str, str] | dict[str, str | None]) -> None:
        reply = await self._reader.call("PATCH", f"/sobjects/{path}", json=body, safe=True)
        self._reader.refuse(reply)


# Amounts as exact numbers: none passes through a float.
_JSON = msgspec.json.Encoder(decimal_format="number")
CONNECTOR = Connector(
    vendor="salesforce", provides={"crm": Crm}, settings=Settings, open=Salesforce
)
