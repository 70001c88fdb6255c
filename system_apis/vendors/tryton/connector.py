"""Answer the Erp, Psa and Hcm ports from one company in Tryton, over its JSON-RPC.

Touches  the vendor, only through chassis.outbound. Keeps its session, and what it saw of small
         collections. Posts one invoice at a time: Tryton locks its gap-free number range.
Fails    VENDOR_THROTTLED, VENDOR_DOWN (nothing happened), VENDOR_SILENT (it may have happened;
         every create here looks first), VENDOR_REJECTED (with the work-item code), CONFLICT.
Source   shared vendor facts, all observed on a running trytond 8.2.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, Literal

from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.finance import ErpInvoice, InvoiceDocument
from contracts.entities.master import MasterRecord
from contracts.entities.party import Resource
from contracts.entities.time_entry import TimeEntry
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.erp import CustomerDraft, Erp, JobDraft, PostingTraits
from contracts.ports.system.hcm import Hcm
from contracts.ports.system.psa import ApprovalRequest, ProjectDraft, Psa
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.places import place
from system_apis.sweep import Sweeps
from system_apis.vendors.tryton import auth, mapping, wire
from system_apis.vendors.tryton.feeds import books, calls, streams

_WARNINGS_MAX = 20


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: origin. user: one with a company and the rights for accounting and projects.

    legal_entity: our code of that company. tax_registration, country: where Tryton has none.
    approval: `implicit` when the firm's policy is that written time is approved time, else `none`:
    Tryton has no approval. assignment: `everyone` on every open project, else `none`.
    item: code of the product whose list price is the rate card. settle_s: after this long a lost
    call is decided.
    """

    base_url: str
    database: str
    user: str
    password: Secret
    legal_entity: str = "LE-TRYTON"
    tax_registration: str = ""
    country: str = "DE"
    item: str = "TIME"
    rate_card: str = "RC-TRYTON-EUR"
    approval: Literal["implicit", "none"] = "implicit"
    assignment: Literal["everyone", "none"] = "everyone"
    concurrency: int = 4
    deadline_s: float = 20.0
    post_within_s: float = 45.0
    settle_s: float = 60.0


class Tryton:
    """One company."""

    def __init__(self, settings: Settings, instance: str) -> None:
        self._instance, self._settings = instance, settings
        plain = {"accept-encoding": "gzip"}  # Else Tryton says gzip and sends plain text (8.2).
        self._plain = Outbound(
            settings.base_url, peer=f"{instance}.login", deadline_s=10.0, headers=plain
        )
        sessions = auth.Sessions(
            self._plain, instance, settings.database, settings.user, settings.password
        )
        self._door = Outbound(
            settings.base_url, peer=instance, auth=sessions.auth, refused=sessions.refused,
            deadline_s=settings.deadline_s, headers=plain,
            limits=Limits(concurrency=settings.concurrency, bulk_share=0.5),
        )  # fmt: skip
        self.allowance = Allowance(self._door.limiter, Quota(settle_s=settings.settle_s))
        self._read = calls.Reader(self._door, instance, settings.database)
        tenant = streams.Tenant(
            legal_entity=settings.legal_entity, tax_registration=settings.tax_registration,
            country=settings.country, item=settings.item, rate_card=settings.rate_card,
            everyone=settings.assignment == "everyone",
        )  # fmt: skip
        self._streams = streams.Streams(self._read, instance, tenant)
        self._books = books.Books(self._read, instance)
        self._sweeps = Sweeps(timedelta(minutes=5))
        self._posting, self._creating = asyncio.Lock(), asyncio.Lock()

    async def aclose(self) -> None:
        await self._door.aclose()
        await self._plain.aclose()

    async def health(self) -> Health:
        began = clock.monotonic()
        try:
            await self._read.alive()
        except Problem as problem:
            states: dict[Fault, Literal["MAINTENANCE", "DEGRADED"]] = {
                Fault.VENDOR_MAINTENANCE: "MAINTENANCE", Fault.VENDOR_THROTTLED: "DEGRADED",
            }  # fmt: skip
            return Health(state=states.get(problem.fault, "DOWN"), latency_ms=0, say=problem.say)
        return Health(state="UP", latency_ms=int((clock.monotonic() - began) * 1000))

    async def quota(self) -> Quota:
        return self.allowance.known()

    async def streams(self) -> tuple[str, ...]:
        return tuple(self._streams.all)

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        """Collections are read whole and compared: they are small, and Tryton tells no removals."""
        if stream not in self._streams.all:
            raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")
        given = await self._sweeps.page(stream, lambda: self._streams.rows(stream), cursor, limit)
        found = [streams.unswept(stream, row, given.at) for row in given.rows]
        gone = [streams.unswept(stream, row, given.at, deleted=True) for row in given.gone]
        return Page((*found, *gone), given.cursor, given.more)

    async def time_entries(self, cursor: str | None = None, limit: int = 200) -> Page[TimeEntry]:
        lines, after, more = await self._read.changed_lines(cursor, limit)
        return Page(tuple(await self._entries(lines)), after, more)

    async def time_entry(self, id: str) -> TimeEntry | None:
        line = await self._read.one(wire.Line, id)
        return None if line is None else (await self._entries([line]))[0]

    async def _entries(self, lines: list[wire.Line]) -> list[TimeEntry]:
        if not lines:
            return []
        works = await self._read.works_of(lines)
        company = await self._read.one(wire.Company, await self._read.company_id())
        timezone = (company.timezone if company else None) or "UTC"
        approved = self._settings.approval == "implicit"
        return [
            mapping.time_entry(self._instance, line, works, timezone, approved=approved)
            for line in lines
        ]

    async def approve_time(self, body: ApprovalRequest) -> None:
        """Nothing to do where written is approved; else there is nobody to ask."""
        if self._settings.approval != "implicit":
            raise Problem(Fault.CONFLICT, "Tryton has no approval, and no policy stands for it.")

    async def project_by_reference(self, reference: str) -> Placed | None:
        found = await self._coded(reference)
        return None if found is None else self._placed(found, created=False)

    async def put_project(self, reference: str, body: ProjectDraft) -> Placed:
        party = await self._read.first("party.party", ["code", "=", body.client])
        tasks = body.tasks or ("Consulting",)
        return await self._put_work(reference, body.name, party, tasks, body.start)

    async def cancel_project(self, id: str) -> None:
        work = await self._read.one(wire.Work, id)
        if work is None:
            return
        below = await self._read.rows(wire.Work, ["path", "like", f"{work.path}%"])
        ids = [w.id for w in below]
        origins = [f"project.work,{each}" for each in ids]
        time = await self._read.first("timesheet.line", ["work.origin", "in", origins])
        if time is not None:
            raise Problem(Fault.CONFLICT, "There is time on this project.")
        await self._read.call("project.work.delete", ids)

    async def _coded(self, reference: str) -> int | None:
        """The project that begins with our code in brackets, or has it as its number."""
        like = mapping.code_mark(reference).replace("\\", "\\\\").replace("%", "\\%")
        like = like.replace("_", "\\_")
        kind = ["type", "=", "project"]
        found = await self._read.first("project.work", kind, ["name", "like", f"{like}%"])
        return found or await self._read.first("project.work", kind, ["number", "=", reference])

    async def _put_work(
        self, reference: str, name: str, party: int | None, tasks: tuple[str, ...],
        start: date | None,
    ) -> Placed:  # fmt: skip
        """Look, then create. Where the database holds codes unique, a racer's create is refused."""
        async with self._creating:
            if (found := await self._coded(reference)) is not None:
                return self._placed(found, created=False)
            company = await self._read.company_id()
            common = {"company": company, "timesheet_available": True}
            below = [{**common, "type": "task", "name": task} for task in tasks]
            body: dict[str, Any] = {
                **common, "type": "project", "name": mapping.title(reference, name),
                "party": party, "children": [["create", below]] if below else [],
            }  # fmt: skip
            if start:
                body["timesheet_start_date"] = start
            return await self._create("project.work", body, lambda: self._coded(reference))

    async def _create(
        self, model: str, body: dict[str, Any], look: Callable[[], Awaitable[int | None]]
    ) -> Placed:
        try:
            made = await self._read.call(f"{model}.create", [body])
        except Problem as problem:
            found = await look() if problem.fault is Fault.CONFLICT else None
            if found is None:
                raise
            return self._placed(found, created=False)
        return self._placed(int(made[0]), created=True)

    def _placed(self, id: int, *, created: bool) -> Placed:
        return Placed(ref=Ref(self._instance, str(id)), created=created)

    # ---- hcm -----------------------------------------------------------------------------------

    async def worker_by_reference(self, reference: str) -> Resource | None:
        return await self._worker(["party.code", "=", reference])

    async def worker(self, id: str) -> Resource | None:
        return await self._worker(["id", "=", int(id)]) if id.isdecimal() else None

    async def _worker(self, *domain: Any) -> Resource | None:
        found = await self._read.rows(wire.Employee, *domain, limit=1, bulk=False, inactive=True)
        if not found:
            return None
        made = mapping.resource(self._instance, found[0], await self._streams.company())
        return made if isinstance(made, Resource) else None

    # ---- erp -----------------------------------------------------------------------------------

    async def posting_traits(self) -> PostingTraits:
        """B: a unique index on the reference, which a tenant must add (README)."""
        return PostingTraits(idempotency="B", settle_s=self._settings.settle_s, lanes=1)

    async def invoices(
        self, prefix: str, start: date, end: date, cursor: str | None = None, limit: int = 200
    ) -> Page[ErpInvoice]:
        after = place(cursor)
        size = max(1, min(limit, calls.PAGE_MAX))
        literal = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = await self._invoices(
            ["id", ">", after], ["reference", "like", f"{literal}%"],
            ["invoice_date", ">=", start], ["invoice_date", "<", end], limit=size + 1,
        )  # fmt: skip
        items = tuple(mapping.invoice(self._instance, i) for i in found[:size])
        more = len(found) > size
        return Page(items, str(found[size - 1].id) if more else None, more)

    async def invoice_by_reference(self, reference: str) -> ErpInvoice | None:
        found = await self._referred(reference)
        return mapping.invoice(self._instance, found) if found else None

    async def invoice(self, id: str) -> ErpInvoice | None:
        found = await self._invoices(["id", "=", int(id)], limit=1) if id.isdecimal() else []
        return mapping.invoice(self._instance, found[0]) if found else None

    async def _referred(self, reference: str) -> wire.Invoice | None:
        """A posted one first, then a draft, then a cancelled one."""
        found = await self._invoices(["reference", "=", reference])
        order = {"posted": 0, "paid": 0, "validated": 1, "draft": 1}
        return min(found, key=lambda i: (order.get(i.state, 2), i.id), default=None)

    async def _invoices(self, *domain: Any, limit: int | None = None) -> list[wire.Invoice]:
        own = (["type", "=", "out"], ["company", "=", await self._read.company_id()])
        return await self._read.rows(wire.Invoice, *own, *domain, limit=limit, bulk=False)

    async def post_invoice(self, body: InvoiceDocument) -> ErpInvoice:
        """Create and post are two calls: a draft of ours that a crash left behind is posted."""
        async with self._posting:
            found = await self._referred(body.reference)
            if found is None:
                found = await self._drafted(body)
            seen = mapping.invoice(self._instance, found)
            if seen.status != "DRAFT" or seen.content_hash != body.content_hash:
                raise Problem(Fault.CONFLICT, f"{body.reference} is already there.")
            if (seen.net, seen.customer) != (body.net, body.customer):
                await self._settled(found.id)
                said = f"the draft says {seen.net}, we say {body.net}"
                raise books.refused(self._instance, said, "ERP_REJECTED")
            await self._posted(found.id)
            made = await self.invoice(str(found.id))
        if made is None or made.status == "DRAFT" or made.reference != body.reference:
            raise Problem(Fault.VENDOR_SILENT, "The posted invoice does not show yet.")
        return made

    async def _drafted(self, body: InvoiceDocument) -> wire.Invoice:
        """A new draft; where another process was faster, its."""
        content = await self._books.content(body)
        try:
            made = await self._read.call("account.invoice.create", [content])
        except Problem as problem:
            if problem.fault is not Fault.CONFLICT:
                raise
            found = await self._referred(body.reference)
            if found is None:
                raise
            return found
        drafts = await self._invoices(["id", "=", int(made[0])], limit=1)
        if not drafts:
            raise Problem(Fault.VENDOR_SILENT, "The new invoice does not show yet.")
        return drafts[0]

    async def _posted(self, id: int) -> None:
        """Post, again and again while somebody else holds the number range.

        A refused lock rolls back, and an invoice can be posted only once, so this is safe.
        """
        until_s, attempt = clock.monotonic() + self._settings.post_within_s, 0
        while True:
            try:
                await self._acknowledged("account.invoice.post", [id])
                return
            except Problem as problem:
                if problem.fault is Fault.VENDOR_REJECTED and await self._settled(id):
                    return
                attempt += 1
                pause_s = random.uniform(0.5, 1.0) * min(2.0, 0.05 * attempt)
                late = clock.monotonic() + pause_s >= until_s
                if problem.fault is not Fault.VENDOR_THROTTLED or late:
                    raise
            await asyncio.sleep(pause_s)

    async def _acknowledged(self, method: str, *params: Any) -> None:
        """A warning asks a person at a screen; our document was decided before it came here."""
        for _ in range(_WARNINGS_MAX):
            try:
                await self._read.call(method, *params)
                return
            except Problem as problem:
                name = problem.vendor.message if problem.vendor else ""
                if problem.vendor is None or problem.vendor.code != "UserWarning":
                    raise
            await self._read.acknowledge(name.split("\n")[0])
        raise books.refused(self._instance, "Tryton warns without end", "ERP_REJECTED")

    async def _settled(self, id: int) -> bool:
        """After a refusal: True when somebody else had posted it; our own draft is taken back."""
        now = await self.invoice(str(id))
        if now is not None and now.status != "DRAFT":
            return True
        if now is not None:
            await self._read.call("account.invoice.delete", [id])
        return False

    async def customer_by_reference(self, reference: str) -> Placed | None:
        found = await self._read.first("party.party", ["code", "=", reference])
        return None if found is None else self._placed(found, created=False)

    async def put_customer(self, reference: str, body: CustomerDraft) -> Placed:
        """The code of a party is unique in Tryton, so a racer's create is refused."""
        async with self._creating:
            if (found := await self.customer_by_reference(reference)) is not None:
                return found
            country = await self._read.first("country.country", ["code", "=", body.country])
            home = {"street": body.address, "country": country}
            content: dict[str, Any] = {
                "name": body.name, "code": reference, "addresses": [["create", [home]]],
            }  # fmt: skip
            if body.email:
                mail = {"type": "email", "value": body.email}
                content["contact_mechanisms"] = [["create", [mail]]]
            if body.tax_id:
                number = {"type": None, "code": body.tax_id}
                content["identifiers"] = [["create", [number]]]
            domain = ["code", "=", reference]
            return await self._create(
                "party.party", content, lambda: self._read.first("party.party", domain)
            )

    async def job_by_reference(self, reference: str) -> Placed | None:
        return await self.project_by_reference(reference)

    async def put_job(self, reference: str, body: JobDraft) -> Placed:
        """A project in the books is the project itself."""
        return await self._put_work(reference, body.name, books.number(body.customer), (), None)

    async def close_job(self, id: str) -> None:
        done = await self._read.first(
            "project.work.status", ["progress", "=", 1], ["types", "in", ["project"]]
        )
        if not id.isdecimal() or done is None:
            raise books.refused(self._instance, "no such project, or no status ends one", "")
        # Tryton ends a project only when everything below it is ended, so the deepest go first.
        work = await self._read.one(wire.Work, id)
        below = await self._read.rows(wire.Work, ["path", "like", f"{work.path}%"]) if work else []
        below.sort(key=lambda w: len(w.path or ""), reverse=True)
        for each in below:
            values = {"status": done, "progress": 1.0}
            await self._read.call("project.work.write", [each.id], values, safe=True)


CONNECTOR = Connector(
    vendor="tryton", provides={"erp": Erp, "psa": Psa, "hcm": Hcm}, settings=Settings, open=Tryton
)
