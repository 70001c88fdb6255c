"""Kantata's words to ours and back. Pure: no clock, no network, no settings.

Where our codes sit in the tenant's records is in README.md (external references `firmwire`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from contracts.entities.engagement import Assignment, Project, RateCard, RateLine, Task
from contracts.entities.record import Alias, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from contracts.money import Money
from contracts.ports.system.psa import ProjectDraft
from system_apis.vendors.kantata import wire

SERVICE = "firmwire"
ProjectStatus = Literal[
    "DRAFT", "PLANNED", "ACTIVE", "ON_HOLD", "COMPLETING", "CLOSED", "CANCELLED"
]
STATUSES: dict[str, ProjectStatus] = {
    "estimate": "DRAFT",
    "not started": "PLANNED",
    "in progress": "ACTIVE",
    "in setup": "PLANNED",
    "on hold": "ON_HOLD",
    "completing": "COMPLETING",
    "done": "CLOSED",
    "completed": "CLOSED",
    "closed": "CLOSED",
    "cancelled": "CANCELLED",
}
_RANK = {"DRAFT": 0, "SUBMITTED": 1, "REJECTED": 2, "APPROVED": 3}
Codes = Mapping[str, str]


def micros(at: datetime) -> int:
    """A version that grows with the instant: microseconds since 1970."""
    return int((at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def codes(references: Sequence[wire.ExternalReference]) -> dict[str, str]:
    """Our codes on one record, by our entity name."""
    return {
        r.service_model: r.service_model_ref
        for r in references
        if r.service_name == SERVICE and r.service_model and r.service_model_ref
    }


def project(instance: str, w: wire.Workspace, ours: Codes) -> Project | Alias:
    """A workspace without our code is only an alias nobody has mapped yet."""
    ref, version = Ref(instance, w.id), micros(w.updated_at)
    title = w.title or ""
    if "project" not in ours:
        return Alias(
            ref=ref,
            source_version=version,
            source_updated_at=w.updated_at,
            of="project",
            name=title,
        )
    message = (w.status.message if w.status else None) or "In Progress"
    return Project(
        ref=ref,
        source_version=version,
        source_updated_at=w.updated_at,
        code=ours["project"],
        name=title,
        client=Ref(instance, w.workspace_group_ids[0]) if w.workspace_group_ids else None,
        contract=coded(ours["contract"]) if "contract" in ours else None,
        status=STATUSES.get(message.lower(), "ACTIVE"),
        start=w.start_date,
        end=w.due_date + timedelta(days=1) if w.due_date else None,
        rate_card=Ref(instance, str(w.rate_card_id)) if w.rate_card_id else None,
    )


def task(instance: str, s: wire.Story) -> Task:
    """The title is the task's code within its project."""
    title = s.title or s.id
    closed = s.state in ("completed", "finished", "resolved") or bool(s.archived)
    return Task(
        ref=Ref(instance, s.id),
        source_version=micros(s.updated_at),
        source_updated_at=s.updated_at,
        deleted=s.deleted_at is not None,
        code=title,
        project=Ref(instance, s.workspace_id or ""),
        name=title,
        status="CLOSED" if closed else "OPEN",
        closed_on=s.updated_at.date() if closed else None,
        billable=s.billable is not False,
        work_type="TRAVEL" if title.lower().startswith("travel") else "DELIVERY",
    )


def assignment(
    instance: str,
    r: wire.WorkspaceResource,
    booked: Sequence[wire.WorkspaceAllocation] = (),
    currency: str = "",
) -> Assignment | None:
    """None for an unnamed resource: nobody is assigned yet.

    booked: its allocations, for when it does not say its own dates. currency: the workspace's.
    """
    if not r.user_id or not r.workspace_id:
        return None
    starts = [b.start_date for b in booked if b.start_date]
    ends = [b.end_date for b in booked if b.end_date]
    last = r.latest_allocation_date or max(ends, default=None)
    rate = r.resource_bill_rate
    return Assignment(
        ref=Ref(instance, r.id),
        source_version=micros(r.updated_at),
        source_updated_at=r.updated_at,
        code=r.id,
        project=Ref(instance, r.workspace_id),
        resource=Ref(instance, r.user_id),
        role=Ref(instance, r.role_id) if r.role_id else None,
        start=r.earliest_allocation_date or min(starts, default=None),
        end=last + timedelta(days=1) if last else None,
        planned_minutes=r.total_allocated_minutes,
        bill_rate_override=Money(rate, currency).amount if rate and currency else None,
        status="ACTIVE",
    )


def alias(instance: str, of: str, id: str, at: datetime, **known: Any) -> Alias:
    """code, email, name: what the record says of itself."""
    return Alias(
        ref=Ref(instance, id), source_version=micros(at), source_updated_at=at, of=of, **known
    )


def rate_card(
    instance: str,
    card: wire.RateCard,
    versions: Sequence[wire.RateCardVersion],
    rows: Sequence[wire.RateCardRole],
    ours: Codes,
    role_codes: Codes,
    at: datetime,
) -> RateCard | None:
    """All versions of a card as lines with dates. None without our code or currency.

    role_codes: our role code by Kantata role id; a row of an unknown role cannot price anything.
    at: when this content was first seen; Kantata gives these records no time of change.
    """
    if "rate_card" not in ours or not card.currency:
        return None
    in_order = sorted(versions, key=lambda v: (v.effective_date or date.min, v.id))
    lines: list[RateLine] = []
    for place, version in enumerate(in_order):
        later = in_order[place + 1].effective_date if place + 1 < len(in_order) else None
        for row in rows:
            role = role_codes.get(str(row.role_id))
            if str(row.rate_card_version_id) == version.id and role and row.rate is not None:
                lines.append(
                    RateLine(
                        id=f"{version.id}-{row.role_id}-{row.id}",
                        role=role,
                        rate=Money(row.rate, card.currency).amount,
                        valid_from=version.effective_date,
                        valid_to=later,
                    )
                )
        if version.default_rate:
            lines.append(
                RateLine(
                    id=f"{version.id}-default",
                    rate=Money(version.default_rate, card.currency).amount,
                    valid_from=version.effective_date,
                    valid_to=later,
                )
            )
    owner, owner_code = _owner(ours)
    return RateCard(
        ref=Ref(instance, card.id),
        source_version=micros(at),
        source_updated_at=at,
        code=ours["rate_card"],
        name=ours["rate_card"],
        owner=owner,
        owner_code=owner_code,
        currency=card.currency,
        multipliers={"STANDARD": Decimal(1)},
        card_version=len(in_order),
        lines=tuple(lines),
    )


def _owner(ours: Codes) -> tuple[Literal["STANDARD", "LE", "CLIENT", "CONTRACT"], str]:
    if "contract" in ours:
        return "CONTRACT", ours["contract"]
    if "client" in ours:
        return "CLIENT", ours["client"]
    if "legal_entity" in ours:
        return "LE", ours["legal_entity"]
    return "STANDARD", ""


def time_entry(instance: str, e: wire.TimeEntry, submission: wire.Submission | None) -> TimeEntry:
    """approved is Kantata's own word; who approved stands on the submission."""
    status: Literal["DRAFT", "SUBMITTED", "APPROVED", "REJECTED"] = "DRAFT"
    if e.approved:
        status = "APPROVED"
    elif submission is not None and submission.status == "rejected":
        status = "REJECTED"
    elif e.active_submission_id:
        status = "SUBMITTED"
    # Kantata tells time in whole seconds; a later status within one still is a newer version.
    version = micros(e.updated_at) + _RANK[status]
    approver = submission.current_resolution_creator_id if submission is not None else None
    return TimeEntry(
        ref=Ref(instance, e.id),
        source_version=version,
        source_updated_at=e.updated_at,
        resource=Ref(instance, e.user_id or ""),
        project=Ref(instance, e.workspace_id or ""),
        task=Ref(instance, e.story_id) if e.story_id else None,
        role=Ref(instance, str(e.role_id)) if e.role_id else None,
        work_date=e.date_performed or e.updated_at.date(),
        minutes=e.time_in_minutes or 0,
        billable_flag="NON_BILLABLE" if e.billable is False else "BILLABLE",
        narrative=e.notes or "",
        status=status,
        approval=Approval(
            approver=Ref(instance, str(approver)) if approver else None,
            decided_at=e.updated_at,
            subject_version=version,
        )
        if e.approved
        else None,
        created_at=e.created_at,
    )


def withdrawn(instance: str, event: wire.SubscribedEvent) -> TimeEntry | None:
    """A hard-deleted entry as a tombstone, from what the event still knows of it."""
    was, at = event.previous_payload or {}, event.subject_changed_at or event.created_at
    if at is None or "date_performed" not in was:
        return None
    return TimeEntry(
        ref=Ref(instance, str(event.subject_id)),
        source_version=micros(at),
        source_updated_at=at,
        deleted=True,
        resource=Ref(instance, str(was.get("user_id", ""))),
        project=Ref(instance, str(was.get("workspace_id", ""))),
        work_date=date.fromisoformat(str(was["date_performed"])),
        minutes=int(was.get("time_in_minutes") or 0),
        status="UNAPPROVED",
    )


def workspace_body(draft: ProjectDraft) -> dict[str, Any]:
    """A new workspace that carries our code from its first moment."""
    body: dict[str, Any] = {
        "title": draft.name,
        "creator_role": "maven",
        "currency": draft.currency,
        "start_date": draft.start.isoformat(),
        "external_reference": reference_body("project", draft.code),
    }
    if draft.end:
        body["due_date"] = (draft.end - timedelta(days=1)).isoformat()
    return body


def reference_body(model: str, code: str) -> dict[str, str]:
    """An external reference of ours."""
    return {"service_name": SERVICE, "service_model": model, "service_model_ref": code}
