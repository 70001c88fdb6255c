"""What vendors grant us and what is used of it, in words that every tier and the gateway share.

The port is here, not in ports/: it is the one that the gateway itself calls, for its admins.
"""

from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from contracts.operation import operation


class LaneUse(Struct, frozen=True, kw_only=True):
    """Calls for one purpose: posting, interactive, sync or bulk, first things first.

    waiting: for a place now. waited, shed: since this process began, those that had to wait and
    those refused so that what is left serves the lanes above. quiet_until: none goes out before.
    """

    lane: str
    waiting: int
    waited: int
    shed: int
    quiet_until: datetime | None = None


class Quota(Struct, frozen=True, kw_only=True):
    """What a vendor grants us, and what is used of it now. None: nobody says.

    source: VENDOR once the vendor told a figure, at told_at; CONFIGURED until then.
    concurrency: calls at once. per_window and window_s: calls in a rolling window.
    used, left: of the calls in it. settle_s: after this long an unanswered write is decided.
    in_use: calls at the vendor now, of this process.
    """

    concurrency: int | None = None
    per_window: int | None = None
    window_s: int | None = None
    used: int | None = None
    settle_s: float = 60.0
    left: int | None = None
    source: Literal["VENDOR", "CONFIGURED"] = "CONFIGURED"
    told_at: datetime | None = None
    in_use: int = 0
    lanes: tuple[LaneUse, ...] = ()


class InstanceQuota(Struct, frozen=True, kw_only=True):
    """The quota of one account at one vendor."""

    instance: str
    vendor: str
    quota: Quota


class Vendors(Protocol):
    """All instances at once."""

    @operation("GET", "/quotas", scope="system:read", deadline_s=2.0)
    async def quotas(self) -> tuple[InstanceQuota, ...]:
        """By instance, as last told: no vendor is called."""
        ...
