"""This file exists to read Workday's reports, which come whole, and to know its closed sign.

Touches  the vendor, reading only.
Fails    VENDOR_THROTTLED, VENDOR_AUTH, VENDOR_MAINTENANCE (a page of HTML), VENDOR_DOWN (5xx:
         nothing is ever written here), VENDOR_CONFUSED.
Source   shared vendor facts: customreport2, Report_Entry, prompts as query parameters.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from chassis.outbound import Outbound, Reply
from contracts.problem import Fault, Problem, Vendor
from system_apis.drift import Drift
from system_apis.sweep import Row
from system_apis.vendors.workday import mapping, wire

_FAULTS = {
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_AUTH,
    404: Fault.VENDOR_REJECTED,  # no such report: a matter of the tenant's settings
    400: Fault.VENDOR_REJECTED,
    429: Fault.VENDOR_THROTTLED,
}


class Reports:
    """Reads reports through one Outbound. root: the path of our user's reports."""

    def __init__(self, door: Outbound, instance: str, root: str, drift: Drift) -> None:
        self._door, self._instance, self._root, self._drift = door, instance, root, drift

    async def rows(
        self, stream: str, prompts: Mapping[str, str] | None = None, *, bulk: bool = True
    ) -> list[dict[str, Any]]:
        """The rows of a stream's report as they came. prompts: by their aliases."""
        query = {"format": "json", **(prompts or {})}
        path = f"{self._root}/{wire.REPORTS[stream]}"
        reply = await self._door.send("GET", path, query=query, bulk=bulk)
        refuse(self._instance, reply)
        return reply.json(wire.Report).rows

    async def whole(self, stream: str) -> list[Row]:
        """A stream's report for a sweep."""
        return [
            Row(_key(stream, row), self._stamp(stream, row), row) for row in await self.rows(stream)
        ]

    def record(self, stream: str, row: dict[str, Any], at: datetime) -> Any:
        """A row as our record, its columns looked at for new ones."""
        self._drift.look(stream, row)
        try:
            shaped = msgspec.convert(row, wire.SHAPES[stream], strict=False)
            return mapping.record(self._instance, shaped, at)
        except ValueError as error:
            raise self._unusable(stream, error) from error

    def _stamp(self, stream: str, row: Mapping[str, Any]) -> datetime | None:
        try:
            return mapping.stamp(str(row.get("Last_Updated", "")))
        except ValueError as error:
            raise self._unusable(stream, error) from error

    def _unusable(self, stream: str, error: ValueError) -> Problem:
        report = wire.REPORTS[stream]
        because = f"{self._instance} {report}: {error}"
        return Problem(Fault.VENDOR_CONFUSED, f"A row of {report} is unusable.", because=because)


def _key(stream: str, row: Mapping[str, Any]) -> str:
    return ":".join(str(row.get(name, "")) for name in wire.KEYS[stream])


def refuse(instance: str, reply: Reply) -> None:
    """A Problem for everything that is no report; in maintenance Workday shows a web page."""
    page = reply.headers.get("content-type", "").startswith("text/html") or reply.body[
        :200
    ].lstrip().startswith(b"<")
    if reply.ok and not page:
        return
    words = reply.body[:300].decode(errors="replace")
    fault = _FAULTS.get(reply.status, Fault.VENDOR_DOWN)
    if (page and reply.status not in (401, 403)) or reply.status == 503:
        fault = Fault.VENDOR_MAINTENANCE
    if reply.status == 503 and not page and "maintenance" not in words.lower():
        fault = Fault.VENDOR_THROTTLED
    raise Problem(
        fault,
        f"{instance}: {fault.title.lower()}.",
        because=f"{reply.status} {words}",
        retry_after_s=reply.retry_after_s(),
        vendor=Vendor(system=instance, status=reply.status),
    )
