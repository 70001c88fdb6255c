"""Facts that happened, as CloudEvents 1.0. Past tense; the full record as data, not a delta.

Source  CloudEvents 1.0 (structured JSON); domain.md B.0, J.3.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct

BUSINESS_EVENT_TYPES = (
    "firmwire.time_entry.approved.v1",
    "firmwire.time_entry.changed.v1",
    "firmwire.time_entry.withdrawn.v1",
    "firmwire.time_entry.evaluated.v1",
    "firmwire.bt.created.v1",
    "firmwire.bt.reversed.v1",
    "firmwire.exception.opened.v1",
    "firmwire.exception.assigned.v1",
    "firmwire.exception.resolved.v1",
    "firmwire.invoice.drafted.v1",
    "firmwire.invoice.approved.v1",
    "firmwire.invoice.released.v1",
    "firmwire.invoice.posted.v1",
    "firmwire.invoice.in_doubt.v1",
    "firmwire.invoice.rejected.v1",
    "firmwire.invoice.cancelled.v1",
    "firmwire.project.created.v1",
    "firmwire.recon.completed.v1",
)


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """id + source are unique together; consumers drop what they have seen.

    partitionkey: order is only promised among events with the same key. position: place in our
    event log, growing, set by the log.
    """

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Any
    datacontenttype: str = "application/json"
    partitionkey: str = ""
    traceparent: str = ""
    correlationid: str = ""
    causationid: str = ""
    position: int | None = None
