"""The rows of our five reports at Workday; the names are the aliases of their columns.

Everything is text, what has no value is left out, a column of many values may be a list.
Source  shared vendor facts: Report-as-a-Service, JSON. The reports are ours, see README.md.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct, field

REPORTS = {
    "resource": "Firm_Workers",
    "role": "Firm_Job_Profiles",
    "cost_centre": "Firm_Cost_Centers",
    "leave": "Firm_Leave",
    "cost_rate": "Firm_Cost_Rates",
}


class Report(Struct, frozen=True):
    rows: list[dict[str, Any]] = field(default_factory=list, name="Report_Entry")


class Row(Struct, frozen=True, kw_only=True):
    """Deleted: `1` for a row that is shown only so that we learn that it ended."""

    WID: str = ""
    Last_Updated: str = ""
    Deleted: str = "0"


class Worker(Row, frozen=True, kw_only=True):
    Employee_ID: str
    Company: str
    Worker: str = ""
    Email: str = ""
    Worker_Type: str = "Employee"
    Business_Title: str = ""
    Job_Profile: str = ""
    Job_Profile_ID: str = ""
    Cost_Center: str = ""
    FTE: Decimal = Decimal(1)
    Time_Zone: str = "UTC"
    Country: str = ""
    Location: str = ""
    Grade: str = ""
    Hire_Date: str = ""
    Termination_Date: str = ""
    Manager_ID: str = ""


class JobProfile(Row, frozen=True, kw_only=True):
    Job_Profile_ID: str
    Job_Profile: str = ""
    Substitutable_By: Any = ""
    Target_Utilization: Decimal | None = None


class CostCenter(Row, frozen=True, kw_only=True):
    Cost_Center_ID: str
    Cost_Center: str = ""
    Company: str = ""


class Leave(Row, frozen=True, kw_only=True):
    """Units: hours."""

    Employee_ID: str
    Date: str
    Units: Decimal = Decimal(8)
    Full_Day: str = "1"
    Time_Off_Type: str = ""


class CostRate(Row, frozen=True, kw_only=True):
    Rate_ID: str
    Currency: str
    Hourly_Rate: Decimal
    Effective_From: str
    Effective_To: str = ""
    Employee_ID: str = ""
    Job_Profile_ID: str = ""
    Company: str = ""


SHAPES: dict[str, type[Row]] = {
    "resource": Worker,
    "role": JobProfile,
    "cost_centre": CostCenter,
    "leave": Leave,
    "cost_rate": CostRate,
}
KEYS = {
    "resource": ("Employee_ID",),
    "role": ("Job_Profile_ID",),
    "cost_centre": ("Cost_Center_ID",),
    "leave": ("Employee_ID", "Date"),
    "cost_rate": ("Rate_ID",),
}
"""The columns that make a row the same row tomorrow."""
