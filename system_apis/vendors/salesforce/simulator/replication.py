"""Tells which records of an object were deleted or changed between two instants.

Both answers are by whole lists, as the vendor gives them. `start` is inclusive, `end` is not [U];
what can still be told reaches back 30 days [U].
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from system_apis.simulator import Document, Kit
from system_apis.vendors.salesforce.simulator.objects import Object
from system_apis.vendors.salesforce.simulator.refusals import Refused
from system_apis.vendors.salesforce.simulator.values import instant

_REACHES_BACK = timedelta(days=30)


class Replication:
    """`/sobjects/{object}/deleted` and `/updated`."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def deleted(self, one: Object, query: Mapping[str, str]) -> dict[str, Any]:
        """Ids and times of deletion."""
        found, end = self._between(f"deleted.{one.name}", query)
        gone = [{"deletedDate": instant(doc["_updated_at"]), "id": doc["_id"]} for doc in found]
        return {
            "deletedRecords": gone,
            "earliestDateAvailable": instant((self._clock() - _REACHES_BACK).isoformat()),
            "latestDateCovered": end,
        }

    def updated(self, one: Object, query: Mapping[str, str]) -> dict[str, Any]:
        """Ids of what was made or changed."""
        found, end = self._between(one.name, query)
        return {"ids": [doc["_id"] for doc in found], "latestDateCovered": end}

    def _between(self, kind: str, query: Mapping[str, str]) -> tuple[list[Document], str]:
        now = self._clock()
        start, end = _moment(query, "start"), min(_moment(query, "end"), now)
        if start >= end:
            words = f"startDate ({start:%c}) is not before endDate ({end:%c})"
            raise Refused(400, "INVALID_REPLICATION_DATE", words)
        if start < now - _REACHES_BACK:
            words = "startDate cannot be more than 30 days ago"
            raise Refused(400, "INVALID_REPLICATION_DATE", words)
        until = end.isoformat(timespec="microseconds")
        found = self._store.list(kind, updated_since=start.isoformat(timespec="microseconds"))
        return [doc for doc in found if doc["_updated_at"] < until], instant(end.isoformat())


def _moment(query: Mapping[str, str], name: str) -> datetime:
    """A blank stands for the `+` an unescaped query lost."""
    text = query.get(name)
    if not text:
        raise Refused(400, "MISSING_ARGUMENT", f"The {name} parameter is required")
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise Refused(400, "MALFORMED_QUERY", f"{name}: {text} is not a valid date") from error
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
