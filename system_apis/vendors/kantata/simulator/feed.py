"""Writes the feed of subscribed events: what changed, from what to what.

setting account.duplicate_events_every: each n-th event comes twice, as duplicates may.
"""

from typing import Any

from system_apis.simulator import Document, Kit
from system_apis.vendors.kantata.simulator.resources import RESOURCES
from system_apis.vendors.kantata.simulator.values import instant


class Feed:
    """The account's events."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def tell(
        self, collection: str, what: str, id: str, before: Document | None, user: str | None
    ) -> None:
        """One event: created, updated or deleted."""
        resource = RESOURCES[collection]
        after = None if what == "deleted" else self._store.get(collection, id)
        old, new = _payload(collection, before), _payload(collection, after)
        account = self._store.get("setting", "account") or {}
        event = {
            "event_type": f"{resource.singular}:{what}",
            "account_id": account.get("account_id", "1"),
            "user_id": user,
            "subject_id": id,
            "subject_type": resource.subject,
            "subject_changed_at": instant(self._clock().isoformat()),
            "previous_payload": old or None,
            "current_payload": new or None,
            "payload_changes": {
                name: [old.get(name), new.get(name)]
                for name in old | new
                if old.get(name) != new.get(name)
            },
        }
        number = self._store.next_id("subscribed_events")
        self._store.put("subscribed_events", str(number), event)
        every = account.get("duplicate_events_every", 0)
        if every and number % every == 0:
            again = self._store.next_id("subscribed_events")
            self._store.put("subscribed_events", str(again), event)


def _payload(collection: str, doc: Document | None) -> dict[str, Any]:
    if doc is None:
        return {}
    fields = RESOURCES[collection].fields
    kept = {name: value for name, value in doc.items() if name in fields}
    return {"id": doc["_id"], "updated_at": instant(doc["_updated_at"])} | kept
