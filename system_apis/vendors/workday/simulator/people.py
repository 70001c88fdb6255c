"""Workers as the REST services show them: references with id, descriptor and href.

What a worker lacks is left out, as when the integration user may not see it.
"""

import hashlib
from decimal import Decimal
from typing import Any

from system_apis.simulator import Document, Store


class People:
    """The tenant's workers and job profiles. base: URL of the service, for href."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, limit: int, offset: int, search: str, terminated: bool, today: str
    ) -> tuple[list[Document], int]:
        """Workers by id; only living contracts unless terminated; search is an OR of words."""
        words = [word.lower() for word in search.split()]
        found = [
            doc
            for doc in self._store.list("worker", order="id")
            if (terminated or not _ended(doc, today)) and (not words or _hit(doc, words))
        ]
        return found[offset : offset + limit], len(found)

    def one(self, id: str) -> Document | None:
        """By WID or `Employee_ID=21001`; also one whose contract has ended."""
        for name in ("Employee_ID=", "Contingent_Worker_ID="):
            if id.startswith(name):
                return self._store.by_unique("worker", id.removeprefix(name))
        return self._store.get("worker", id)

    def shown(self, doc: Document, base: str) -> dict[str, Any]:
        """A worker of staffing v6."""
        kind = doc.get("Worker_Type", "Employee")
        return {
            "id": doc["_id"],
            "descriptor": doc["Worker"],
            "workerId": doc["Employee_ID"],
            "person": _present(id=wid(doc, "person"), email=doc.get("Email")),
            "workerType": _reference(f"Worker_Type_ID={_word(kind)}", kind),
            "primaryJob": self._job(doc),
            "additionalJobs": [],
        }

    def summary(self, doc: Document, base: str) -> dict[str, Any]:
        """A worker in the list of common v1."""
        return _present(
            id=doc["_id"],
            descriptor=doc["Worker"],
            href=f"{base}/workers/{doc['_id']}",
            isManager=bool(self._store.count("worker", {"Manager_ID": doc["Employee_ID"]})),
            primaryWorkEmail=doc.get("Email"),
            businessTitle=self._title(doc),
            primarySupervisoryOrganization=_organisation(doc),
        )

    def profile(self, doc: Document, base: str) -> dict[str, Any]:
        """A worker of common v1 by itself: the summary and the place."""
        return self.summary(doc, base) | _present(location=_location(doc))

    def time_off(self, doc: Document, base: str) -> list[dict[str, Any]]:
        """Entries of common v1 by date. units: hours as a number."""
        where = {"Employee_ID": doc["Employee_ID"]}
        found = sorted(self._store.list("leave", where=where), key=lambda entry: entry["Date"])
        return [
            {
                "id": entry["_id"],
                "descriptor": f"{entry['Date']} {_kind(entry)}",
                "href": f"{base}/workers/{doc['_id']}/timeOffEntries/{entry['_id']}",
                "date": entry["Date"],
                "units": Decimal(str(entry["Units"])),
                "unitOfTime": _reference("Unit_of_Time_ID=Hours", "Hours"),
                "employee": _reference(doc["_id"], doc["Worker"]),
                "timeOff": _reference(f"Time_Off_Code={_word(_kind(entry))}", _kind(entry)),
                "timeOffRequest": {
                    "id": wid(entry, "request"),
                    "descriptor": f"Time Off Request: {doc['Worker']}",
                    "status": "Successfully Completed",
                },
            }
            for entry in found
        ]

    def _job(self, doc: Document) -> dict[str, Any]:
        profile = self._profile(doc)
        title = self._title(doc)
        return _present(
            id=wid(doc, "job"),
            descriptor=title,
            businessTitle=title,
            supervisoryOrganization=_organisation(doc),
            jobProfile=_reference(profile["_id"], profile["Job_Profile"]) if profile else None,
            location=_location(doc),
        )

    def _title(self, doc: Document) -> str | None:
        profile = self._profile(doc)
        title = doc.get("Business_Title") or (profile["Job_Profile"] if profile else None)
        return str(title) if title else None

    def _profile(self, doc: Document) -> Document | None:
        return self._store.by_unique("job_profile", doc.get("Job_Profile_ID") or "")


def service_dates(doc: Document) -> dict[str, Any]:
    """One row of `/workers/{ID}/serviceDates`. It does not say when a contract ended."""
    hired = doc.get("Hire_Date")
    return _present(
        id=doc["_id"],
        descriptor=doc["Worker"],
        hireDate=hired,
        continuousServiceDate=doc.get("Continuous_Service_Date") or hired,
    )


def wid(doc: Document, part: str) -> str:
    """The id of what hangs on a document: 32 hexadecimal digits, always the same."""
    return hashlib.sha256(f"{doc['_id']}/{part}".encode()).hexdigest()[:32]


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _reference(id: str, descriptor: str) -> dict[str, str]:
    return {"id": id, "descriptor": descriptor}


def _organisation(doc: Document) -> dict[str, str] | None:
    company = doc.get("Company")
    return _reference(f"Organization_Reference_ID={_word(company)}", company) if company else None


def _location(doc: Document) -> dict[str, str] | None:
    place = doc.get("Location")
    return _reference(f"Location_ID={_word(place)}", place) if place else None


def _kind(entry: Document) -> str:
    return str(entry.get("Time_Off_Type") or "Vacation")


def _word(text: str) -> str:
    """A reference id has no blanks."""
    return "_".join(text.split())


def _ended(doc: Document, today: str) -> bool:
    return bool(doc.get("Termination_Date")) and doc["Termination_Date"] < today


def _hit(doc: Document, words: list[str]) -> bool:
    text = f"{doc['Worker']} {doc['Employee_ID']}".lower()
    return any(word in text for word in words)
