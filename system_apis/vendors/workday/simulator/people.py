"""Workers as the REST services show them: references with id, descriptor and href."""

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
        """By WID or `Employee_ID=21001`."""
        if id.startswith("Employee_ID="):
            return self._store.by_unique("worker", id.removeprefix("Employee_ID="))
        return self._store.get("worker", id)

    def shown(self, doc: Document, base: str) -> dict[str, Any]:
        """A worker of staffing v6."""
        profile = self._store.by_unique("job_profile", doc.get("Job_Profile_ID", "")) or {}
        kind = doc.get("Worker_Type", "Employee")
        return {
            "id": doc["_id"],
            "descriptor": doc["Worker"],
            "href": f"{base}/workers/{doc['_id']}",
            "workerId": doc["Employee_ID"],
            "person": {"id": f"{doc['_id'][:31]}p", "email": doc.get("Email", "")},
            "workerType": _reference(f"Worker_Type_ID={kind.replace(' ', '_')}", kind),
            "primaryJob": {
                "id": f"{doc['_id'][:31]}j",
                "descriptor": doc.get("Business_Title", profile.get("Job_Profile", "")),
                "businessTitle": doc.get("Business_Title", profile.get("Job_Profile", "")),
                "supervisoryOrganization": _reference(
                    f"Organization_Reference_ID={doc.get('Company', '')}", doc.get("Company", "")
                ),
                "jobProfile": _reference(
                    profile.get("_id", f"Job_Profile_ID={doc.get('Job_Profile_ID', '')}"),
                    profile.get("Job_Profile", ""),
                ),
                "location": _reference(
                    f"Location_ID={doc.get('Location', '')}", doc.get("Location", "")
                ),
            },
            "additionalJobs": [],
        }


def service_dates(doc: Document) -> dict[str, Any]:
    """`/workers/{ID}/serviceDates`."""
    dates = {"hireDate": doc.get("Hire_Date"), "terminationDate": doc.get("Termination_Date")}
    return {"id": doc["_id"], "descriptor": doc["Worker"]} | {k: v for k, v in dates.items() if v}


def _reference(id: str, descriptor: str) -> dict[str, str]:
    return {"id": id, "descriptor": descriptor}


def _ended(doc: Document, today: str) -> bool:
    return bool(doc.get("Termination_Date")) and doc["Termination_Date"] < today


def _hit(doc: Document, words: list[str]) -> bool:
    text = f"{doc['Worker']} {doc['Employee_ID']}".lower()
    return any(word in text for word in words)
