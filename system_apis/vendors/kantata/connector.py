"""Answer the Psa port from Kantata's API v1.

Touches  the vendor, only through chassis.outbound. Keeps its token, and the content marks of
         collections to which Kantata gives no time of change (users, roles, rate cards).
Fails    VENDOR_THROTTLED, VENDOR_DOWN, VENDOR_MAINTENANCE (nothing happened), VENDOR_SILENT (it
         may have happened; every write here looks before it creates), VENDOR_REJECTED, CONFLICT.
Source   shared vendor facts (gem specification, developer documentation), read 2026-11.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.master import MasterRecord
from contracts.entities.record import Alias
from contracts.entities.time_entry import TimeEntry
from contracts.ids import Ref
from contracts.paging import Page
from contracts.ports.system.psa import ApprovalRequest, ProjectDraft, Psa
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.drift import Drift
from system_apis.tokens import Token, Tokens
from system_apis.vendors.kantata import auth, feeds, mapping, wire

STREAMS = ("alias", "assignment", "project", "rate_card", "task")
_WITH_REFERENCES = {"include": "external_references"}


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: origin of the account's API. concurrency, rate_per_s: our own manners, since

    Kantata documents no limits. deadline_s: seconds one call may take.
    """

    base_url: str
    client_id: str
    client_secret: Secret
    deadline_s: float = 20.0
    concurrency: int = 8
    rate_per_s: float | None = None


class DeletionCursor(Struct, frozen=True):
    """entries: the feed of changes. deleted_after: where the feed of deletions stands."""

    entries: feeds.Cursor = feeds.Cursor()
    deleted_after: datetime | None = None


class Kantata:
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
            limits=Limits(concurrency=settings.concurrency, rate_per_s=settings.rate_per_s),
        )
        self.allowance = Allowance(self._door.limiter, Quota(settle_s=180.0))
        self._drift = Drift(instance, wire.KNOWN)
        self._pages = feeds.Pages(self._door, instance, self._drift)
        self._first_seen: dict[str, datetime] = {}

    async def aclose(self) -> None:
        await self._door.aclose()
        await self._plain.aclose()

    async def _token(self) -> Token:
        secret = self._settings.client_secret.reveal()
        return await auth.fetch(self._plain, self._instance, self._settings.client_id, secret)

    async def health(self) -> Health:
        began = clock.monotonic()
        try:
            await self._pages.get("/roles", {"per_page": 1}, bulk=False)
        except Problem as problem:
            state = {
                Fault.VENDOR_MAINTENANCE: "MAINTENANCE",
                Fault.VENDOR_THROTTLED: "DEGRADED",
            }.get(problem.fault, "DOWN")
            return Health(state=state, latency_ms=0, say=problem.say)  # type: ignore[arg-type]
        took_ms = int((clock.monotonic() - began) * 1000)
        return Health(state="UP", latency_ms=took_ms, drifted_fields=self._drift.fields)

    async def quota(self) -> Quota:
        """Ours: Kantata documents no figures, and its answers tell none."""
        return self.allowance.known()

    async def streams(self) -> tuple[str, ...]:
        return STREAMS

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        match stream:
            case "project":
                return await self._projects(cursor, limit)
            case "task":
                return await self._tasks(cursor, limit)
            case "assignment":
                return await self._assignments(cursor, limit)
            case "alias":
                return await self._aliases(cursor)
            case "rate_card":
                return await self._rate_cards(cursor)
        raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")

    async def _projects(self, cursor: str | None, limit: int) -> Page[MasterRecord]:
        here, after, more = await self._pages.changed(
            "/workspaces", _WITH_REFERENCES, feeds.read(cursor), limit
        )
        if here is None:
            return Page((), feeds.written(after), False)
        references = here.side("external_references", wire.ExternalReference)
        items = tuple(
            mapping.project(self._instance, w, _codes(w.external_reference_ids, references))
            for w in here.of(wire.Workspace)
        )
        return Page(items, feeds.written(after), more)

    async def _tasks(self, cursor: str | None, limit: int) -> Page[MasterRecord]:
        here, after, more = await self._pages.changed("/stories", {}, feeds.read(cursor), limit)
        rows = here.of(wire.Story) if here else []
        items = tuple(mapping.task(self._instance, s) for s in rows)
        return Page(items, feeds.written(after), more)

    async def _assignments(self, cursor: str | None, limit: int) -> Page[MasterRecord]:
        here, after, more = await self._pages.changed(
            "/workspace_resources", {"include": "workspace"}, feeds.read(cursor), limit
        )
        if here is None:
            return Page((), feeds.written(after), False)
        rows = here.of(wire.WorkspaceResource)
        currencies = {id: w.currency for id, w in here.side("workspaces", wire.Workspace).items()}
        booked = await self._booked([r.id for r in rows if r.latest_allocation_date is None])
        made = (
            mapping.assignment(
                self._instance,
                r,
                booked.get(r.id, []),
                currencies.get(r.workspace_id or "") or "",
            )
            for r in rows
        )
        return Page(tuple(a for a in made if a is not None), feeds.written(after), more)

    async def _booked(self, resources: Sequence[str]) -> dict[str, list[wire.WorkspaceAllocation]]:
        """Allocations by resource; the filter is [unverified], so the answer is grouped by us."""
        found: dict[str, list[wire.WorkspaceAllocation]] = {}
        if resources:
            query = {"workspace_resource_id": ",".join(resources)}
            for page in await self._pages.all("/workspace_allocations", query):
                for one in page.of(wire.WorkspaceAllocation):
                    found.setdefault(one.workspace_resource_id or "", []).append(one)
        return found

    async def _aliases(self, cursor: str | None) -> Page[MasterRecord]:
        users = await self._pages.all("/users")
        roles = await self._pages.all("/roles", _WITH_REFERENCES)
        groups = await self._pages.all("/workspace_groups", _WITH_REFERENCES)
        mark = feeds.content_mark(*[p.raw() for p in (*users, *roles, *groups)])
        if mark == cursor:
            return Page((), mark, False)
        at = self._seen(mark)
        items: list[MasterRecord] = []
        for page in users:
            items.extend(
                mapping.alias(
                    self._instance, "resource", u.id, at, email=u.email_address,
                    name=u.full_name or "",
                )
                for u in page.of(wire.User)
                if not u.generic
            )  # fmt: skip
        items.extend(self._coded(roles, "role", wire.Role, at))
        items.extend(self._coded(groups, "client", wire.WorkspaceGroup, at))
        return Page(tuple(items), mark, False)

    def _coded(
        self,
        pages: Sequence[feeds.Records],
        of: str,
        shape: type[wire.Role] | type[wire.WorkspaceGroup],
        at: datetime,
    ) -> list[Alias]:
        made = []
        for page in pages:
            references = page.side("external_references", wire.ExternalReference)
            for row in page.of(shape):
                code = _codes(row.external_reference_ids, references).get(of)
                name = row.name or ""
                made.append(mapping.alias(self._instance, of, row.id, at, code=code, name=name))
        return made

    async def _rate_cards(self, cursor: str | None) -> Page[MasterRecord]:
        cards = await self._pages.all("/rate_cards", _WITH_REFERENCES)
        versions = await self._pages.all("/rate_card_versions")
        rows = await self._pages.all("/rate_card_roles")
        roles = await self._pages.all("/roles", _WITH_REFERENCES)
        mark = feeds.content_mark(*[p.raw() for p in (*cards, *versions, *rows, *roles)])
        if mark == cursor:
            return Page((), mark, False)
        at = self._seen(mark)
        all_versions = [v for p in versions for v in p.of(wire.RateCardVersion)]
        all_rows = [r for p in rows for r in p.of(wire.RateCardRole)]
        role_codes = {a.ref.id: a.code for a in self._coded(roles, "role", wire.Role, at) if a.code}
        items: list[MasterRecord] = []
        for page in cards:
            references = page.side("external_references", wire.ExternalReference)
            for card in page.of(wire.RateCard):
                own = [v for v in all_versions if str(v.rate_card_id) == card.id]
                ours = _codes(card.external_reference_ids, references)
                made = mapping.rate_card(self._instance, card, own, all_rows, ours, role_codes, at)
                if made is not None:
                    items.append(made)
        return Page(tuple(items), mark, False)

    def _seen(self, mark: str) -> datetime:
        """When this content was first seen: the version Kantata does not give."""
        return self._first_seen.setdefault(mark, clock.now())

    async def time_entries(self, cursor: str | None = None, limit: int = 200) -> Page[TimeEntry]:
        state = _deletions(cursor)
        here, after, more = await self._pages.changed(
            "/time_entries",
            {"include": "active_submission,recent_submission"},
            state.entries,
            limit,
        )
        items: list[TimeEntry] = []
        if here is not None:
            submissions = here.side("timesheet_submissions", wire.Submission)
            for e in here.of(wire.TimeEntry):
                known = e.active_submission_id or e.recent_submission_id or ""
                items.append(mapping.time_entry(self._instance, e, submissions.get(known)))
        deleted_after = state.deleted_after
        if not more:
            gone, deleted_after = await self._deleted(deleted_after)
            items.extend(gone)
        text = msgspec.json.encode(DeletionCursor(after, deleted_after)).decode()
        return Page(tuple(items), text, more)

    async def _deleted(self, after: datetime | None) -> tuple[list[TimeEntry], datetime | None]:
        """Hard deletes: only the event feed knows of them; it keeps them for nine days."""
        since = (after or clock.now() - timedelta(days=9)) - feeds.OVERLAP
        query = {
            "created_after": since.isoformat(),
            "event_types": "time_entry:deleted",
            "per_page": feeds.PAGE_MAX,
            "optional_fields": "previous_payload,current_payload,payload_changes",
        }
        page = await self._pages.get("/subscribed_events", query)
        events = page.of(wire.SubscribedEvent)
        newest = max((e.created_at for e in events if e.created_at), default=after)
        if after is not None and newest == after:
            return [], after
        gone = (mapping.withdrawn(self._instance, e) for e in events)
        return [e for e in gone if e is not None], newest or after

    async def time_entry(self, id: str) -> TimeEntry | None:
        query = {"only": id, "include": "active_submission,recent_submission"}
        here = await self._pages.get("/time_entries", query, bulk=False)
        submissions = here.side("timesheet_submissions", wire.Submission)
        for e in here.of(wire.TimeEntry):
            known = e.active_submission_id or e.recent_submission_id or ""
            return mapping.time_entry(self._instance, e, submissions.get(known))
        return None

    async def approve_time(self, body: ApprovalRequest) -> None:
        """Through the submissions the entries are on; an entry without one is refused."""
        waiting: list[wire.TimeEntry] = []
        for first in range(0, len(body.entry_ids), feeds.PAGE_MAX):
            ids = ",".join(body.entry_ids[first : first + feeds.PAGE_MAX])
            here = await self._pages.get(
                "/time_entries", {"only": ids, "per_page": feeds.PAGE_MAX}, bulk=False
            )
            waiting += [e for e in here.of(wire.TimeEntry) if not e.approved]
        for id in sorted({e.active_submission_id or "" for e in waiting}):
            if not id:
                raise Problem(Fault.CONFLICT, "An entry has not been submitted for approval.")
            reply = await self._door.send(
                "PUT", f"{feeds.API}/timesheet_submissions/{id}/approve", json={}, safe=True
            )
            feeds.refuse(self._instance, reply)

    async def project_by_reference(self, reference: str) -> Placed | None:
        query = {
            "service_name": mapping.SERVICE,
            "service_model": "project",
            "service_model_ref": reference,
        }
        asked = {f"external_reference_{name}": value for name, value in query.items()}
        here = await self._pages.get("/workspaces", asked | _WITH_REFERENCES, bulk=False)
        references = here.side("external_references", wire.ExternalReference)
        for w in here.of(wire.Workspace):
            # The filter is documented only in part, so the answer is checked.
            if _codes(w.external_reference_ids, references).get("project") == reference:
                return Placed(ref=Ref(self._instance, w.id), created=False)
        return None

    async def put_project(self, reference: str, body: ProjectDraft) -> Placed:
        """No idempotency key at Kantata: look, create with our reference inside, complete."""
        found = await self.project_by_reference(reference)
        created = found is None
        id = (
            found.ref.id if found else await self._create("workspace", mapping.workspace_body(body))
        )
        await self._link(id, "contract", body.contract)
        have = await self._pages.get("/stories", {"workspace_id": id, "per_page": feeds.PAGE_MAX})
        titles = {s.title for s in have.of(wire.Story) if s.workspace_id == id}
        for title in body.tasks:
            if title not in titles:
                await self._create(
                    "story", {"title": title, "workspace_id": id, "story_type": "task"}
                )
        return Placed(ref=Ref(self._instance, id), created=created)

    async def _link(self, workspace: str, model: str, code: str) -> None:
        here = await self._pages.get("/workspaces", {"only": workspace, **_WITH_REFERENCES})
        references = here.side("external_references", wire.ExternalReference)
        if model not in mapping.codes(list(references.values())):
            body = mapping.reference_body(model, code)
            subject = {"subject_type": "Workspace", "subject_id": workspace}
            await self._create("external_reference", body | subject)

    async def _create(self, kind: str, body: Mapping[str, object]) -> str:
        plural = "stories" if kind == "story" else f"{kind}s"
        reply = await self._door.send("POST", f"{feeds.API}/{plural}", json={kind: body})
        feeds.refuse(self._instance, reply)
        return reply.json(wire.Envelope).results[0].id

    async def cancel_project(self, id: str) -> None:
        time = await self._pages.get("/time_entries", {"workspace_id": id, "per_page": 1})
        if time.meta.count:
            raise Problem(Fault.CONFLICT, "There is time on the project.")
        reply = await self._door.send(
            "PUT",
            f"{feeds.API}/workspaces/{id}",
            json={"workspace": {"archived": True}},
            safe=True,
        )
        feeds.refuse(self._instance, reply)


def _codes(
    ids: Sequence[str] | None, references: Mapping[str, wire.ExternalReference]
) -> dict[str, str]:
    return mapping.codes([references[i] for i in ids or () if i in references])


def _deletions(cursor: str | None) -> DeletionCursor:
    if not cursor:
        return DeletionCursor()
    try:
        return msgspec.json.decode(cursor, type=DeletionCursor)
    except msgspec.DecodeError as error:
        raise Problem(Fault.INVALID, "The cursor is not one of ours.") from error


CONNECTOR = Connector(vendor="kantata", provides={"psa": Psa}, settings=Settings, open=Kantata)
