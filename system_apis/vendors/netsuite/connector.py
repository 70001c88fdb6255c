"""Answer the Erp port from NetSuite's REST record service and SuiteQL.

Touches  the vendor, only through chassis.outbound. Keeps its token and the currency ids.
Fails    VENDOR_THROTTLED, VENDOR_DOWN, VENDOR_MAINTENANCE (nothing happened), VENDOR_SILENT (it
         may have happened), VENDOR_REJECTED (with the work-item code), CONFLICT.
Source   SuiteTalk REST help pages and record browser as in the shared vendor facts, 2026-11.
"""

from datetime import date

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.finance import ErpInvoice, InvoiceDocument
from contracts.entities.master import MasterRecord
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.erp import CustomerDraft, Erp, JobDraft, PostingTraits
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.drift import Drift
from system_apis.places import place
from system_apis.tokens import Token, Tokens
from system_apis.vendors.netsuite import auth, feeds, mapping, wire

LIMITS = "/services/rest/system/v1/governanceLimits"
STREAMS = ("accounting_period", "alias", "billing_account", "exchange_rate", "legal_entity")
_STRICT = {"x-netsuite-propertynamevalidation": "Error"}
_SUBSIDIARY = (
    "id, name, externalid, currency, country, custrecord_fw_tz, custrecord_fw_tax_number,"
    " custrecord_fw_tax_fx"
)
_CUSTOMER = (
    "id, externalid, companyname, subsidiary, currency, email, terms, vatregnumber,"
    " defaultaddress, isinactive, custentity_fw_client, custentity_fw_country,"
    " custentity_fw_tax_treatment, custentity_fw_delivery, custentity_fw_endpoint,"
    " custentity_fw_buyer_reference, custentity_fw_po_required"
)
_PERIOD = (
    "id, periodname, TO_CHAR(startdate, 'YYYY-MM-DD') AS start,"
    " TO_CHAR(enddate, 'YYYY-MM-DD') AS finish, closed, alllocked, arlocked, isquarter, isyear"
)
_RATE = (
    "id, basecurrency, transactioncurrency, exchangerate,"
    " TO_CHAR(effectivedate, 'YYYY-MM-DD') AS day"
)
_INVOICE = (
    "id, tranid, externalid, entity, currency, subtotal, taxtotal, foreigntotal, status,"
    " custbody_fw_content_hash, TO_CHAR(trandate, 'YYYY-MM-DD') AS day"
)


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: origin of the account. private_key: PEM, EC on P-256. settle_s: after this long

    a lost call is decided (NetSuite ends a request after 15 minutes; the sandbox far sooner).
    """

    base_url: str
    client_id: str
    certificate_id: str
    private_key: Secret
    concurrency: int = 15
    deadline_s: float = 30.0
    settle_s: float = 900.0


class NetSuite:
    """One account."""

    def __init__(self, settings: Settings, instance: str) -> None:
        self._instance = instance
        self._settings = settings
        self._plain = Outbound(settings.base_url, peer=f"{instance}.oauth", deadline_s=10.0)
        self._tokens = Tokens(self._token)
        self._door = Outbound(
            settings.base_url,
            peer=instance,
            auth=self._tokens.auth,
            refused=self._tokens.refused,
            deadline_s=settings.deadline_s,
            limits=Limits(concurrency=settings.concurrency, bulk_share=0.3),
        )
        self.allowance = Allowance(
            self._door.limiter, Quota(settle_s=settings.settle_s), ask=self._ask_limits
        )
        self._drift = Drift(instance, wire.KNOWN)
        self._reader = feeds.Reader(self._door, instance, self._drift)

    async def aclose(self) -> None:
        await self._door.aclose()
        await self._plain.aclose()

    async def _token(self) -> Token:
        own = self._settings
        key = own.private_key.reveal()
        return await auth.fetch(self._plain, self._instance, own.client_id, own.certificate_id, key)

    async def health(self) -> Health:
        began = clock.monotonic()
        try:
            await self._reader.query("SELECT id FROM currency ORDER BY id", limit=1, bulk=False)
        except Problem as problem:
            if problem.fault is Fault.VENDOR_MAINTENANCE:
                return Health(state="MAINTENANCE", latency_ms=0, say=problem.say)
            if problem.fault is Fault.VENDOR_THROTTLED:
                return Health(state="DEGRADED", latency_ms=0, say=problem.say)
            return Health(state="DOWN", latency_ms=0, say=problem.say)
        took_ms = int((clock.monotonic() - began) * 1000)
        return Health(state="UP", latency_ms=took_ms, drifted_fields=self._drift.fields)

    async def quota(self) -> Quota:
        return await self.allowance.quota()

    async def _ask_limits(self) -> None:
        """Answered to administrators only; to others the configured figure stays."""
        reply = await self._door.send("GET", LIMITS)
        if reply.status != 403:
            feeds.refuse(self._instance, reply)
            self.allowance.at_once(reply.json(wire.Limits).ours)

    async def streams(self) -> tuple[str, ...]:
        return STREAMS

    async def posting_traits(self) -> PostingTraits:
        own = self._settings
        return PostingTraits(idempotency="A", settle_s=own.settle_s, lanes=own.concurrency)

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        read, instance = self._reader, self._instance
        items: list[MasterRecord]
        match stream:
            case "legal_entity":
                known = await read.currencies()
                subsidiaries, after, more = await read.changed(
                    "subsidiary", _SUBSIDIARY, wire.Subsidiary, cursor, limit
                )
                items = [mapping.legal_entity(instance, row, known) for row in subsidiaries]
            case "billing_account":
                known = await read.currencies()
                customers, after, more = await read.changed(
                    "customer", _CUSTOMER, wire.Customer, cursor, limit
                )
                items = [mapping.billing_account(instance, row, known) for row in customers]
            case "accounting_period":
                periods, after, more = await read.changed(
                    "accountingperiod", _PERIOD, wire.Period, cursor, limit
                )
                items = [p for row in periods if (p := mapping.period(instance, row))]
            case "exchange_rate":
                known = await read.currencies()
                rates, after, more = await read.changed(
                    "currencyrate", _RATE, wire.CurrencyRate, cursor, limit
                )
                items = [mapping.exchange_rate(instance, row, known) for row in rates]
            case "alias":
                return await self._aliases(cursor)
            case _:
                raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")
        return Page(tuple(items), after, more)

    async def _aliases(self, cursor: str | None) -> Page[MasterRecord]:
        """Items, tax codes and departments by our keys; small, so read whole and compared."""
        read = self._reader
        items = await read.all("SELECT id, externalid FROM item ORDER BY id", "item", wire.Named)
        jobs = await read.all("SELECT id, externalid FROM job ORDER BY id", "job", wire.Named)
        text = "SELECT id, externalid FROM department ORDER BY id"
        departments = await read.all(text, "department", wire.Named)
        taxes = await read.named("salesTaxItem")
        found = {"item": items, "gl_dimension": departments, "tax_code": taxes, "project": jobs}
        mark = feeds.mark(found)
        if mark == cursor:
            return Page((), mark, False)
        at = clock.now()
        made = tuple(
            mapping.alias(self._instance, of, row, at)
            for of, rows in found.items()
            for row in rows
            if row.externalid or row.externalId
        )
        return Page(made, mark, False)

    async def invoices(
        self, prefix: str, start: date, end: date, cursor: str | None = None, limit: int = 200
    ) -> Page[ErpInvoice]:
        offset = place(cursor)
        like = prefix.replace("'", "''").replace("%", "")
        text = (
            f"SELECT {_INVOICE} FROM transaction WHERE type = 'CustInvc'"
            f" AND externalid LIKE '{like}%'"
            f" AND trandate >= TO_DATE('{start:%Y-%m-%d}', 'YYYY-MM-DD')"
            f" AND trandate < TO_DATE('{end:%Y-%m-%d}', 'YYYY-MM-DD') ORDER BY id"
        )
        size = min(limit, feeds.LIMIT_MAX)
        page = await self._reader.query(text, limit=size, offset=offset)
        known = await self._reader.currencies()
        rows = self._reader.shaped("transaction", page.items, wire.InvoiceRow)
        found = tuple(mapping.invoice_row(self._instance, row, known) for row in rows)
        return Page(found, str(offset + size) if page.hasMore else None, page.hasMore)

    async def invoice_by_reference(self, reference: str) -> ErpInvoice | None:
        return await self.invoice(f"eid:{reference}")

    async def invoice(self, id: str) -> ErpInvoice | None:
        found = await self._reader.record("invoice", id, wire.Invoice, lines=True)
        if found is None:
            return None
        return mapping.invoice(self._instance, found, await self._reader.currencies())

    async def post_invoice(self, body: InvoiceDocument) -> ErpInvoice:
        """POST, not the upsert: an upsert would overwrite what a person changed meanwhile."""
        content = mapping.invoice_body(body, await self._reader.currency_id(body.currency))
        reply = await self._door.send(
            "POST",
            f"{feeds.RECORD}/invoice",
            body=content,
            headers={"content-type": "application/json", **_STRICT},
        )
        feeds.refuse(self._instance, reply)
        made = await self.invoice(reply.headers.get("location", "").rpartition("/")[2])
        if made is None:
            raise Problem(Fault.VENDOR_SILENT, "The new invoice is not visible yet.")
        return made

    async def customer_by_reference(self, reference: str) -> Placed | None:
        return await self._placed("customer", reference)

    async def put_customer(self, reference: str, body: CustomerDraft) -> Placed:
        found = await self._placed("customer", reference)
        if found is not None:
            return found
        currency = await self._reader.currency_id(body.currency)
        return await self._upsert("customer", reference, mapping.customer_body(body, currency))

    async def job_by_reference(self, reference: str) -> Placed | None:
        return await self._placed("job", reference)

    async def put_job(self, reference: str, body: JobDraft) -> Placed:
        found = await self._placed("job", reference)
        return found or await self._upsert("job", reference, mapping.job_body(body))

    async def close_job(self, id: str) -> None:
        reply = await self._door.send(
            "PATCH", f"{feeds.RECORD}/job/{id}", json={"isInactive": True}, safe=True
        )
        feeds.refuse(self._instance, reply)

    async def _placed(self, kind: str, reference: str) -> Placed | None:
        found = await self._reader.record(kind, f"eid:{reference}", wire.Named)
        return None if found is None else Placed(ref=Ref(self._instance, found.id), created=False)

    async def _upsert(self, kind: str, reference: str, body: dict[str, object]) -> Placed:
        """An upsert by external id may be sent again: a lost reply makes no second record."""
        reply = await self._door.send(
            "PUT",
            f"{feeds.RECORD}/{kind}/eid:{reference}",
            body=msgspec.json.encode(body),
            headers={"content-type": "application/json", **_STRICT},
            safe=True,
        )
        feeds.refuse(self._instance, reply)
        placed = await self._placed(kind, reference)
        if placed is None:
            raise Problem(Fault.VENDOR_SILENT, f"The new {kind} is not visible yet.")
        return Placed(ref=placed.ref, created=True)


CONNECTOR = Connector(vendor="netsuite", provides={"erp": Erp}, settings=Settings, open=NetSuite)
