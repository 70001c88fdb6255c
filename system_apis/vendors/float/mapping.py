"""Float's words to ours and back. Pure: no clock, no network, no settings.

Float has no external ids: our code or reference stands in notes or tags as `firmwire:<it>`.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from contracts.entities.engagement import Allocation
from contracts.entities.record import Alias
from contracts.ids import Ref
from contracts.ports.system.scheduling import BookingDraft, ScheduledProjectDraft
from system_apis.vendors.float import wire

_MARK = re.compile(r"\bfirmwire:(\S+)")
_DAY = timedelta(days=1)


def ours(*texts: Any) -> str | None:
    """Our code or reference in notes or tags, None when there is none."""
    for text in texts:
        if found := _MARK.search(str(text.get("name", "") if isinstance(text, dict) else text)):
            return found[1]
    return None


def stamp(text: str | None) -> datetime | None:
    """`2023-05-01 12:00:00`, in UTC [unverified]."""
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _meta(instance: str, id: int, at: datetime) -> dict[str, Any]:
    since = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "ref": Ref(instance, str(id)),
        "source_version": int(since / timedelta(microseconds=1)),
        "source_updated_at": at,
    }


def person(instance: str, p: wire.Person, at: datetime) -> Alias:
    """A person is found by e-mail address."""
    meta = _meta(instance, p.people_id, stamp(p.modified) or at)
    return Alias(**meta, of="resource", email=p.email, name=p.name or "")


def project(instance: str, p: wire.Project, at: datetime) -> Alias:
    """A project is found by our code in its tags or notes."""
    meta = _meta(instance, p.project_id, stamp(p.modified) or at)
    code = ours(*(p.tags or ()), p.notes or "")
    return Alias(**meta, of="project", code=code, name=p.name or "")


def allocation(instance: str, t: wire.Task, at: datetime, *, gone: bool = False) -> Allocation:
    """A booking of one person. gone: it is not there any more, seen at `at`.

    Fails on a booking without person, project or days, with ValueError.
    """
    who = t.people_id if t.people_id is not None else next(iter(t.people_ids or ()), None)
    if who is None or t.project_id is None or not t.start_date or not t.end_date:
        raise ValueError(f"task {t.task_id} has no person, project or days")
    minutes = ((t.hours or Decimal(0)) * 60).quantize(Decimal(1), ROUND_HALF_UP)
    return Allocation(
        **_meta(instance, t.task_id, at if gone else stamp(t.modified) or at),
        deleted=gone,
        code=str(t.task_id),
        resource=Ref(instance, str(who)),
        project=Ref(instance, str(t.project_id)),
        kind="SOFT" if t.status == 1 else "HARD",
        start=date.fromisoformat(t.start_date[:10]),
        end=date.fromisoformat(t.end_date[:10]) + _DAY,
        minutes_per_day=int(minutes),
        reference=ours(t.notes or "") or "",
    )


def project_body(draft: ScheduledProjectDraft) -> dict[str, object]:
    """A new project that carries our code from its first moment."""
    mark = f"firmwire:{draft.code}"
    return {"name": draft.name, "notes": mark, "tags": [mark]}


def booking_body(reference: str, draft: BookingDraft) -> dict[str, object]:
    """A new booking that carries our reference. Fails with ValueError on ids that are none."""
    return {
        "people_id": int(draft.resource),
        "project_id": int(draft.project),
        "start_date": draft.start.isoformat(),
        "end_date": (draft.end - _DAY).isoformat(),
        "hours": (Decimal(draft.minutes_per_day) / 60).quantize(Decimal("0.01"), ROUND_HALF_UP),
        "status": 1 if draft.kind == "SOFT" else 2,
        "notes": f"firmwire:{reference}",
    }
