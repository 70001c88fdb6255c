"""The firm's people, roles and costs in Workday."""

import hashlib

from sandbox.firm.model import Firm
from sandbox.firm.vendors import Rows

CLIENT_ID, ISU, TENANT = "firmwire-workday", "ISU_Firmwire", "firm"


def wid(code: str) -> str:
    """A Workday id: 32 hexadecimal digits, the same for the same code."""
    return hashlib.md5(code.encode(), usedforsecurity=False).hexdigest()


def rows(firm: Firm, secret: str) -> Rows:
    """secret: of the API client and of the integration user."""
    out = Rows()
    out.add("setting", "tenant", {"name": TENANT, "rate_per_s": 200})
    out.add("client", CLIENT_ID, {"client_secret": secret, "refresh_token": secret})
    out.add("isu", ISU, {"password": secret})
    for role in firm.roles:
        profile = {
            "Job_Profile_ID": role.code,
            "Job_Profile": role.name,
            "Substitutable_By": ";".join(role.substitutable_by),
        }
        out.add("job_profile", wid(f"role/{role.code}"), profile, unique=role.code)
    for centre in firm.cost_centres:
        company = centre.legal_entity.id if centre.legal_entity else None
        out.add(
            "cost_center",
            wid(f"cc/{centre.code}"),
            {"Cost_Center_ID": centre.code, "Cost_Center": centre.name, "Company": company},
            unique=centre.code,
        )
    for person in firm.resources:
        out.add(
            "worker",
            wid(person.code),
            {
                "Employee_ID": person.code,
                "Worker": person.name,
                "Email": person.email,
                "Company": person.legal_entity.id,
                "Cost_Center": person.cost_centre.id if person.cost_centre else None,
                "Job_Profile_ID": person.home_role.id if person.home_role else None,
                "Hire_Date": str(person.hire_date) if person.hire_date else None,
                "Termination_Date": str(person.termination_date)
                if person.termination_date
                else None,
                "FTE": str(person.fte),
                "Location": person.location,
                "Country": person.country,
                "Time_Zone": person.timezone,
                "Worker_Type": "Employee",
            },
            unique=person.code,
        )
    for rate in firm.cost_rates:
        out.add(
            "cost_rate",
            wid(rate.code),
            {
                "Rate_ID": rate.code,
                "Employee_ID": rate.resource.id if rate.resource else None,
                "Currency": rate.currency,
                "Hourly_Rate": str(rate.rate),
                "Effective_From": str(rate.valid_from),
            },
        )
    for leave in firm.leaves:
        hours = leave.minutes / 60
        out.add(
            "leave",
            wid(leave.code),
            {
                "Employee_ID": leave.resource.id,
                "Date": leave.day.isoformat(),
                "Units": f"{hours:g}",
                "Full_Day": "1" if leave.full_day else "0",
                "Time_Off_Type": leave.kind or "Vacation",
            },
        )
    return out
