"""The shape of a journey, and what a run finds around it: ports of systems, database, tenant.

A journey is one folder in `process_apis/journeys` whose `journey.py` exports JOURNEY; adding one
needs no edit elsewhere. Runs start from asks that are kept; whatever cannot be kept (connections,
clients, settings) is bound once per process with `bind`, before the engine of runs starts.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from dbos import DBOS
from msgspec import Struct
from typing_extensions import TypeForm

from chassis.discovery import plugs
from contracts.problem import Fault, Problem, Retry
from process_apis.persisted import Cancelled

T = TypeVar("T")

SOCKET = "process_apis.journeys"
STOP = "stop"


class Journey(Struct, frozen=True, kw_only=True):
    """run: a DBOS workflow of one ask. run_id: the business key, so starting twice is one run.

    needs: the system ports it calls. queue: where its runs wait, empty to start at once.
    stops: it looks for a request to stop between its steps and undoes what it has done.
    mended: told the keys of records and references that changed; starts again what waits for one.
    """

    run: Callable[[Any], Coroutine[Any, Any, Any]]
    ask: type[Struct]
    run_id: Callable[[Any], str]
    needs: tuple[Any, ...] = ()
    queue: str = ""
    stops: bool = False
    mended: Callable[[Iterable[str]], Awaitable[int]] | None = None


class Ports(Protocol):
    """Where the ports of vendor systems are had."""

    def port(self, kind: TypeForm[T], instance: str) -> T:
        """A port of one instance. Raises NOT_FOUND for an instance that has none."""
        ...


class Unbound:
    """Before `bind`: says what was forgotten."""

    def port(self, kind: TypeForm[T], instance: str) -> T:
        raise Problem(Fault.INTERNAL, "No systems are bound.", because=f"{kind} of {instance}")


_ports: Ports = Unbound()


def bind(ports: Ports) -> Ports:
    """What runs of this process call; returns what was bound before, for tests to put back."""
    global _ports
    before, _ports = _ports, ports
    return before


def port(kind: TypeForm[T], instance: str) -> T:
    """A system port, for steps: `await port(Erp, "netsuite").post_invoice(...)`."""
    return _ports.port(kind, instance)


def journeys() -> dict[str, Journey]:
    """Every journey by the name of its folder."""
    return plugs(SOCKET, "JOURNEY", Journey, part="journey")


def worth_retrying(error: BaseException) -> bool:
    """For steps that may be repeated: anything but a refusal. Programming errors are not."""
    return isinstance(error, Problem) and error.fault.retry is not Retry.NEVER


async def unless_stopped() -> None:
    """Between two steps of a run that stops: raises Cancelled once somebody asked for it."""
    reason = await DBOS.recv_async(STOP, timeout_seconds=0)
    if reason is not None:
        raise Cancelled(str(reason))
