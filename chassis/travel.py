"""This file exists to hold what travels from hop to hop: ids, trace, deadline, caller, lane.

Owns   one context variable; the names of the headers that travel.
Fails  DEADLINE_EXCEEDED when asked for time that has run out.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct
from msgspec.structs import replace

from chassis import clock, trace
from chassis.limiter import Lane
from chassis.trace import Trace
from contracts.ids import uuid7
from contracts.principal import Principal
from contracts.problem import Fault, Problem

REQUEST_ID = "firmwire-request-id"
CORRELATION_ID = "firmwire-correlation-id"
DEADLINE_MS = "firmwire-deadline-ms"
LANE = "firmwire-lane"
_LANES = {lane.value: lane for lane in Lane}
_FIT_FOR_AN_ID = re.compile(r"^[A-Za-z0-9._:\-]{1,128}\Z")


class Travel(Struct, frozen=True):
    """until_s: monotonic seconds at which the caller gives up, None when it waits for ever.

    request_id: one HTTP exchange at the edge. correlation_id: everything one cause led to.
    lane: what for; nobody outside says it, the gateway lets no such header in.
    """

    request_id: str
    correlation_id: str
    trace: Trace
    until_s: float | None = None
    principal: Principal | None = None
    lane: Lane = Lane.SYNC

    def headers(self) -> dict[str, str]:
        """For the next hop. The remaining time is rounded down, at least 1 ms."""
        found = {
            REQUEST_ID: self.request_id,
            CORRELATION_ID: self.correlation_id,
            trace.HEADER: self.trace.child().header(),
            LANE: self.lane.value,
        }
        if self.until_s is not None:
            left_ms = int((self.until_s - clock.monotonic()) * 1000)
            found[DEADLINE_MS] = str(max(1, left_ms))
        return found


_current: ContextVar[Travel | None] = ContextVar("firmwire_travel", default=None)


def current() -> Travel | None:
    """What travels now, None outside any request or run."""
    return _current.get()


def begin(
    *,
    correlation_id: str = "",
    deadline_s: float | None = None,
    principal: Principal | None = None,
    lane: Lane = Lane.SYNC,
) -> Travel:
    """A journey of our own: a scheduled run, a command, a worker's batch."""
    request_id = uuid7(clock.now())
    until_s = None if deadline_s is None else clock.monotonic() + deadline_s
    began = trace.begin()
    return Travel(request_id, correlation_id or request_id, began, until_s, principal, lane)


def received(
    header: Callable[[str], str | None], deadline_s: float, lane: Lane = Lane.SYNC
) -> Travel:
    """From the headers of a request. deadline_s: the longest we allow, whatever the caller says.

    lane: of a request that comes with none, from outside.
    """
    asked_s = deadline_s
    sent = header(DEADLINE_MS) or ""
    if sent.isdecimal() and len(sent) <= 9:
        asked_s = min(deadline_s, int(sent) / 1000)
    request_id = _id(header(REQUEST_ID)) or uuid7(clock.now())
    return Travel(
        request_id,
        _id(header(CORRELATION_ID)) or request_id,
        trace.received(header(trace.HEADER)),
        clock.monotonic() + asked_s,
        lane=_LANES.get(header(LANE) or "", lane),
    )


def budget_s(own_s: float) -> float:
    """Seconds the next call may take: min(own, what is left of the travelling deadline)."""
    travel = _current.get()
    if travel is None or travel.until_s is None:
        return own_s
    left_s = travel.until_s - clock.monotonic()
    if left_s <= 0:
        raise Problem(Fault.DEADLINE_EXCEEDED, "The time for this request has run out.")
    return min(own_s, left_s)


def headers() -> dict[str, str]:
    """For the next hop; a new journey's when nothing travels."""
    return (_current.get() or begin()).headers()


def lane() -> Lane:
    """What the call in hand is for. Outside any journey nobody competes: POSTING, all places."""
    travel = _current.get()
    return travel.lane if travel else Lane.POSTING


def caller() -> Principal:
    """Who is calling, proven. Raises UNAUTHENTICATED outside a request of somebody."""
    travel = _current.get()
    if travel is None or travel.principal is None:
        raise Problem(Fault.UNAUTHENTICATED, "Nobody is known to be calling.")
    return travel.principal


def adopt(principal: Principal) -> None:
    """From here on, until the enclosing `using` ends, this principal is calling."""
    travel = _current.get() or begin()
    _current.set(replace(travel, principal=principal))


def narrow(deadline_s: float) -> float:
    """Give up no later than in so many seconds, until the enclosing `using` ends. What is left."""
    left_s = budget_s(deadline_s)
    travel = _current.get() or begin()
    _current.set(replace(travel, until_s=clock.monotonic() + left_s))
    return left_s


@contextmanager
def using(travel: Travel) -> Iterator[Travel]:
    """Everything inside, also tasks started inside, belongs to this journey."""
    token = _current.set(travel)
    try:
        yield travel
    finally:
        _current.reset(token)


@contextmanager
def in_lane(lane: Lane) -> Iterator[None]:
    """Everything inside is for this; the journey stays, or one begins."""
    with using(replace(_current.get() or begin(), lane=lane)):
        yield


def _id(sent: str | None) -> str | None:
    """A caller's id only when it is fit for a log line."""
    return sent if sent and _FIT_FOR_AN_ID.match(sent) else None
