"""Workday's rows to our records. Pure: no clock, no network, no settings.

Which columns carry our codes is in README.md. Effective_To is the first day a rate does not hold.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.entities.party import CostCentre, CostRate, Leave, Resource, Role
from contracts.entities.record import coded
from contracts.ids import Ref
from system_apis.vendors.workday import wire


def stamp(text: str) -> datetime | None:
    """An instant as a report shows it; without an offset it is UTC. None when there is none."""
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def day(text: str) -> date | None:
    """A date; some reports add an offset to it, which means nothing."""
    return date.fromisoformat(text[:10]) if text else None


def record(instance: str, row: wire.Row, at: datetime) -> Any:
    """A row as our record. at: when it was first seen, for rows that do not say when they changed.

    Fails on a column that cannot be read, with ValueError.
    """
    match row:
        case wire.Worker():
            return worker(instance, row, at)
        case wire.JobProfile():
            return role(instance, row, at)
        case wire.CostCenter():
            return cost_centre(instance, row, at)
        case wire.Leave():
            return leave(instance, row, at)
        case wire.CostRate():
            return cost_rate(instance, row, at)
    raise ValueError(f"no record is made of {type(row).__name__}")


def _meta(instance: str, row: wire.Row, id: str, at: datetime) -> dict[str, Any]:
    moment = stamp(row.Last_Updated) or at
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "ref": Ref(instance, row.WID or id),
        "source_version": int(since / timedelta(microseconds=1)),
        "source_updated_at": moment,
        "deleted": _yes(row.Deleted),
    }


def worker(instance: str, w: wire.Worker, at: datetime) -> Resource:
    """Location is `GB/London` or only a place; the country stands in its own column then."""
    first, slash, place = w.Location.partition("/")
    return Resource(
        **_meta(instance, w, w.Employee_ID, at),
        code=w.Employee_ID,
        name=w.Worker,
        email=w.Email,
        legal_entity=coded(w.Company),
        home_role=coded(w.Job_Profile_ID) if w.Job_Profile_ID else None,
        cost_centre=coded(w.Cost_Center) if w.Cost_Center else None,
        kind="CONTRACTOR" if w.Worker_Type.lower().startswith("conting") else "EMPLOYEE",
        fte=w.FTE,
        timezone=w.Time_Zone or "UTC",
        country=w.Country or (first if slash else ""),
        location=place if slash else w.Location,
        grade=w.Grade,
        hire_date=day(w.Hire_Date),
        termination_date=day(w.Termination_Date),
        manager=coded(w.Manager_ID) if w.Manager_ID else None,
    )


def role(instance: str, j: wire.JobProfile, at: datetime) -> Role:
    """Substitutes come as one text or as a list of references."""
    return Role(
        **_meta(instance, j, j.Job_Profile_ID, at),
        code=j.Job_Profile_ID,
        name=j.Job_Profile or j.Job_Profile_ID,
        substitutable_by=_many(j.Substitutable_By),
        target_utilization=j.Target_Utilization,
    )


def cost_centre(instance: str, c: wire.CostCenter, at: datetime) -> CostCentre:
    """Of one company, or of all."""
    return CostCentre(
        **_meta(instance, c, c.Cost_Center_ID, at),
        code=c.Cost_Center_ID,
        name=c.Cost_Center or c.Cost_Center_ID,
        legal_entity=coded(c.Company) if c.Company else None,
    )


def leave(instance: str, x: wire.Leave, at: datetime) -> Leave:
    """One row is one day of one person."""
    code = f"{x.Employee_ID}:{x.Date[:10]}"
    return Leave(
        **_meta(instance, x, code, at),
        code=code,
        resource=coded(x.Employee_ID),
        day=date.fromisoformat(x.Date[:10]),
        minutes=int(x.Units * 60),
        full_day=_yes(x.Full_Day),
        kind=x.Time_Off_Type,
    )


def cost_rate(instance: str, r: wire.CostRate, at: datetime) -> CostRate:
    """Of a person, or of a role in a company."""
    return CostRate(
        **_meta(instance, r, r.Rate_ID, at),
        code=r.Rate_ID,
        resource=coded(r.Employee_ID) if r.Employee_ID else None,
        role=coded(r.Job_Profile_ID) if r.Job_Profile_ID else None,
        legal_entity=coded(r.Company) if r.Company else None,
        currency=r.Currency,
        rate=r.Hourly_Rate,
        valid_from=date.fromisoformat(r.Effective_From[:10]),
        valid_to=day(r.Effective_To),
    )


def _yes(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "y")


def _many(value: Any) -> tuple[str, ...]:
    """`A;B`, or a list of texts or of references with an id or a descriptor."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    found = [
        str(item.get("id") or item.get("descriptor") or "") if isinstance(item, dict) else str(item)
        for item in value or ()
    ]
    return tuple(code for code in found if code)
