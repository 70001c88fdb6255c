"""Keeps asynchronous jobs: accepted with 202, done at once, told after a while.

Kind asyncJob: {status, body, headers, ready_at}; its unique key is the idempotency key.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from system_apis.simulator import Document, Kit, Reply
from system_apis.vendors.netsuite.simulator.refusals import Refused, missing

_DUPLICATE = (
    "A request with the same idempotency key is already submitted. "
    'See the "Location" header for a link to the previously submitted job'
)


class Jobs:
    """setting account.async_delay_s: how long a job looks unfinished."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def accept(self, key: str | None, work: Callable[[], Reply], root: str) -> Reply:
        """202 and where to look; a key seen before is 400 and the first job's place."""
        preference = {"preference-applied": "respond-async"}
        if key:
            self._check(key)
            if first := self._store.by_unique("asyncJob", key):
                where = {"location": f"{root}/{first['_id']}"}
                refused = Refused(
                    400,
                    "IDEMPOTENCY_ERROR",
                    _DUPLICATE,
                    title="Conflict",
                    headers=preference | where,
                )
                raise refused
        delay_s = (self._store.get("setting", "account") or {}).get("async_delay_s", 0)
        ready = self._clock() + timedelta(seconds=delay_s)
        with self._store.transaction():
            id, reply = str(self._store.next_id("asyncJob")), work()
            doc = {
                "status": reply.status,
                "body": reply.body.decode(),
                "headers": reply.headers,
                "ready_at": ready.isoformat(timespec="microseconds"),
            }
            self._store.put("asyncJob", id, doc, unique=key)
        return Reply(202, b"", preference | {"location": f"{root}/{id}"})

    def show(self, id: str, root: str) -> Reply:
        """How far a job is."""
        job, here = self._find(id), f"{root}/{id}"
        done = self._done(job)
        progress = "pending"
        if done:
            progress = "succeeded" if job["status"] < 400 else "failed"
        body = {
            "links": [{"rel": "self", "href": here}],
            "completed": done,
            "id": id,
            "progress": progress,
            "task": {"links": [{"rel": "self", "href": f"{here}/task"}]},
        }
        return _json(body)

    def tasks(self, id: str, root: str) -> Reply:
        """One task a job; its id is 1 [U]."""
        here = f"{root}/{self._find(id)['_id']}/task/1"
        item = {"id": "1", "links": [{"rel": "self", "href": here}]}
        return _json({"items": [item], "count": 1, "hasMore": False, "totalResults": 1})

    def result(self, id: str) -> Reply:
        """The answer the call would have had."""
        job = self._find(id)
        if not self._done(job):
            raise Refused(404, "NONEXISTENT_ID", "The job has not finished.")
        return Reply(job["status"], job["body"].encode(), job["headers"])

    def _find(self, id: str) -> Document:
        job = self._store.get("asyncJob", id)
        if job is None:
            raise missing("job", id)
        return job

    def _done(self, job: Document) -> bool:
        return bool(job["ready_at"] <= self._clock().isoformat(timespec="microseconds"))

    def _check(self, key: str) -> None:
        try:
            uuid.UUID(key)
        except ValueError as error:
            words = "X-NetSuite-Idempotency-Key must be a UUID."
            raise Refused(400, "INVALID_HEADER", words) from error


def _json(body: Any) -> Reply:
    return Reply(200, msgspec.json.encode(body), {"content-type": "application/json"})
