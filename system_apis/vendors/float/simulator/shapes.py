"""Names the collections and their fields, as an independent client has seen them, and checks them.

One field: `name:type` and marks: ! wanted of a create, = never written by a caller, ? filters a
list, and `/value` for what it is when nobody says.
"""

import re
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

_FIELD = re.compile(r"(\w+):(\w+)([!=?]*)(?:/(\S+))?")
_STAMPS = " created:stamp= modified:stamp="
_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "must be an integer."),
    "number": ((int, float), "must be a number."),
    "text": (str, "must be a string."),
    "list": (list, "is invalid."),
    "object": (dict, "is invalid."),
}


class Field(Struct, frozen=True):
    """One field of a collection."""

    name: str
    type: str
    required: bool
    writable: bool
    filters: bool
    default: Any

    def wrong(self, value: Any) -> str:
        """What is wrong with a value, in the framework's words [U]; empty when nothing is."""
        label = self.name.replace("_", " ").capitalize()
        if value in (None, "", []):
            return f"{label} cannot be blank." if self.required else ""
        if self.type == "day":
            return "" if _is_day(value) else f"The format of {label} is invalid."
        wanted, words = _TYPES[self.type]
        fits = isinstance(value, wanted) and not isinstance(value, bool)
        return "" if fits else f"{label} {words}"


class Shape(Struct, frozen=True):
    """key: the id's name. since: whether the list knows modified_since.

    days: the fields start_date and end_date of a list look at.
    """

    key: str
    fields: dict[str, Field]
    since: bool = False
    days: tuple[str, str] | None = None


def _shape(
    key: str, text: str, *, since: bool = False, days: tuple[str, str] | None = None
) -> Shape:
    kind = "text" if key == "logged_time_id" else "int"
    fields = [
        Field(name, type, "!" in marks, "=" not in marks, "?" in marks,
              msgspec.json.decode(default) if default else None)
        for name, type, marks, default in _FIELD.findall(f"{key}:{kind}= {text} {_STAMPS}")
    ]  # fmt: skip
    return Shape(key, {field.name: field for field in fields}, since, days)


def _is_day(value: Any) -> bool:
    try:
        return len(value) == 10 and bool(date.fromisoformat(value))
    except (TypeError, ValueError):
        return False


SHAPES = {
    "people": _shape("people_id", """
        name:text! email:text? job_title:text role_id:int department:object notes:text
        avatar_file:text auto_email:int/0 employee_type:int/1 people_type_id:int/1
        active:int?/1 start_date:day end_date:day default_hourly_rate:text work_days_hours:list
        tags:list/[] account:object= managers:list contracts:list region_id:int"""),
    "roles": _shape("role_id", """
        name:text! description:text default_hourly_rate:text permissions:list active:int/1
        department_id:int level:int is_system_role:int/0"""),
    "clients": _shape("client_id", "name:text! notes:text active:int/1"),
    "projects": _shape("project_id", """
        name:text! notes:text status:int client_id:int? start_date:day= end_date:day= budget:number
        hourly_rate:number color:text project_manager:int tags:list/[] non_billable:int/0
        tentative:int/0 locked:int/0 active:int?/1"""),
    "phases": _shape("phase_id", """
        project_id:int!? name:text! start_date:day end_date:day status:int/2 notes:text
        non_billable:int/0 color:text default_hourly_rate:text budget_total:number active:int/1"""),
    "project-tasks": _shape("project_task_id", """
        project_id:int!? phase_id:int task_names:text! notes:text budget:number budget_type:int
        color:text billable:int/1 active:int/1 priority:int sort_order:int dependencies:list
        estimated_hours:number status:int"""),
    "tasks": _shape("task_id", """
        people_id:int!? people_ids:list project_id:int!? phase_id:int name:text/"" start_date:day!
        end_date:day! hours:number! notes:text/"" billable:int/1 repeat_state:int/0 repeat_end:day
        task_type:int status:int?/2""", days=("start_date", "end_date")),
    "logged-time": _shape("logged_time_id", """
        people_id:int!? project_id:int!? phase_id:int task_id:text task_name:text date:day!
        hours:number! billable:int/1 notes:text/"" reference_date:day locked:int/0 created_by:int=
        modified_by:int=""", since=True, days=("date", "date")),
    "timeoffs": _shape("timeoff_id", """
        people_id:int? people_ids:list! timeoff_type_id:int! timeoff_type_name:text= start_date:day!
        end_date:day! start_time:text hours:number timeoff_notes:text/"" full_day:int/1 status:int/2
        status_note:text status_creator_id:int= notes:text created_by:int= modified_by:int=
        approved_by:int= approved_at:text= rejected_by:int= rejected_at:text= repeat_state:int/0
        repeat_end:day""", days=("start_date", "end_date")),
}  # fmt: skip
