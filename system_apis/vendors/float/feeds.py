"""This file exists to read Float's lists whole, page by page, and to understand its refusals.

Touches  the vendor, reading only.
Fails    VENDOR_THROTTLED, VENDOR_AUTH, VENDOR_MAINTENANCE, VENDOR_REJECTED, VENDOR_SILENT.
Source   shared vendor facts: bare arrays, page, per-page, X-Pagination headers.
"""

from typing import Any, TypeVar

import msgspec

from chassis.outbound import Outbound, Reply
from contracts.problem import Fault, Problem, Vendor
from system_apis.drift import Drift
from system_apis.sweep import Row
from system_apis.vendors.float import mapping, wire

T = TypeVar("T")
API = "/v3"
PER_PAGE = 200
KEYS = {"people": "people_id", "projects": "project_id", "tasks": "task_id"}
_FAULTS = {
    400: Fault.VENDOR_REJECTED,
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_AUTH,
    404: Fault.NOT_FOUND,
    422: Fault.VENDOR_REJECTED,
    429: Fault.VENDOR_THROTTLED,
    503: Fault.VENDOR_MAINTENANCE,
}


class Lists:
    """Reads lists through one Outbound."""

    def __init__(self, door: Outbound, instance: str, drift: Drift) -> None:
        self._door, self._instance, self._drift = door, instance, drift

    async def whole(self, name: str, *, bulk: bool = True) -> list[Row]:
        """Every record of a list once, even when pages shift while we read."""
        found: dict[str, Row] = {}
        page, pages = 1, 1
        while page <= pages:
            reply = await self._door.send(
                "GET", f"{API}/{name}", query={"page": page, "per-page": PER_PAGE}, bulk=bulk
            )
            refuse(self._instance, reply)
            for record in reply.json(list[dict[str, Any]]):
                id = str(record.get(KEYS[name]))
                found[id] = Row(f"{name}:{id}", self._stamp(record), record)
            pages = int(reply.headers.get("x-pagination-page-count", "1"))
            page += 1
        return list(found.values())

    def shaped(self, name: str, record: dict[str, Any], shape: type[T]) -> T:
        """A record as a struct, its fields looked at for new ones."""
        self._drift.look(name, record)
        try:
            return msgspec.convert(record, shape, strict=False)
        except msgspec.ValidationError as error:
            raise unusable(name, error) from error

    def _stamp(self, record: dict[str, Any]) -> Any:
        try:
            return mapping.stamp(record.get("modified"))
        except ValueError as error:
            raise unusable("modified", error) from error


def unusable(name: str, error: Exception) -> Problem:
    """A record that cannot be read."""
    return Problem(
        Fault.VENDOR_CONFUSED, "A record of the vendor is unusable.", because=f"{name}: {error}"
    )


def refuse(instance: str, reply: Reply) -> None:
    """A Problem for everything that is not 2xx; its body has two forms."""
    if reply.ok:
        return
    try:
        said = msgspec.json.decode(reply.body, type=list[wire.Error] | wire.Error)
    except msgspec.DecodeError:
        said = wire.Error(message=reply.body[:200].decode(errors="replace"))
    first = said if isinstance(said, wire.Error) else next(iter(said), wire.Error())
    fault = _FAULTS.get(reply.status, Fault.VENDOR_SILENT)
    raise Problem(
        fault,
        f"{instance}: {fault.title.lower()}.",
        because=f"{reply.status} {first.field} {first.message[:300]}",
        retry_after_s=reply.retry_after_s() or (60.0 if reply.status == 429 else None),
        vendor=Vendor(
            system=instance,
            status=reply.status,
            code=first.field or first.name,
            message=first.message[:500],
        ),
    )
