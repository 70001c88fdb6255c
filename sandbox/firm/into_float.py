"""The firm's bookings in Float."""

from datetime import timedelta

from sandbox.firm.model import Firm
from sandbox.firm.vendors import Ids, Rows


def rows(firm: Firm, secret: str) -> Rows:
    """secret: the account's API token."""
    out, people, projects = Rows(), Ids(), Ids()
    account = {"token": secret, "gets_per_min": 20_000, "writes_per_min": 10_000}
    out.add("setting", "account", account)
    for person in firm.resources:
        number = int(people[person.code])
        out.add(
            "people",
            str(number),
            {
                "people_id": number,
                "name": person.name,
                "email": person.email,
                "active": 1,
                "employee_type": 1,
                "people_type_id": 1,
            },
        )
    for project in firm.projects:
        number = int(projects[project.code])
        out.add(
            "projects",
            str(number),
            {
                "project_id": number,
                "name": project.name,
                "active": 1,
                "tentative": 0,
                "notes": f"firmwire:{project.code}",
                "tags": [],
            },
        )
    for number, booking in enumerate(firm.allocations, start=1):
        out.add(
            "tasks",
            str(number),
            {
                "task_id": number,
                "people_id": int(people[booking.resource.id]),
                "project_id": int(projects[booking.project.id]),
                "name": "Delivery",
                "start_date": booking.start.isoformat(),
                "end_date": (booking.end - timedelta(days=1)).isoformat(),
                "hours": round(booking.minutes_per_day / 60, 2),
                "notes": f"firmwire:{booking.reference}",
                "status": 2,
                "billable": 1,
            },
        )
    return out
