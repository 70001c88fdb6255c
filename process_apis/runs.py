"""The journeys port: start, list, look into and stop durable runs, whatever journey they are of."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from dbos import DBOS, SetWorkflowID, WorkflowStatus
from msgspec import Raw

from chassis import problems, travel
from contracts.paging import LIMIT_MAX, Page
from contracts.ports.process.journeys import Run, Step
from contracts.problem import Fault, FieldError, Problem
from process_apis.journey import STOP, Journey, journeys
from process_apis.persisted import Cancelled

State = Literal["RUNNING", "WAITING", "DONE", "FAILED", "CANCELLED"]
StepState = Literal["DONE", "RUNNING", "FAILED", "COMPENSATED"]

INNER = ("post_invoice", "settle_invoice", "release_run")
"""Runs that journeys start themselves: seen here, never started or stopped from outside."""

_STATES: dict[str, State] = {
    "PENDING": "RUNNING", "ENQUEUED": "WAITING", "DELAYED": "WAITING", "SUCCESS": "DONE",
    "ERROR": "FAILED", "CANCELLED": "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "FAILED",
}  # fmt: skip
_FINISHED = frozenset({"DONE", "FAILED", "CANCELLED"})
_UNDO = "undo_"


class Runs:
    """Implements contracts.ports.process.journeys.Journeys over the engine of runs."""

    def __init__(self) -> None:
        self._journeys = journeys()

    async def names(self) -> tuple[str, ...]:
        return tuple(self._journeys)

    async def start(self, journey: str, body: Raw, idempotency_key: str = "") -> Run:
        plug = self._journey(journey)
        ask = _asked(plug, body)
        id = plug.run_id(ask)
        with SetWorkflowID(id):
            if plug.queue:
                await DBOS.enqueue_workflow_async(plug.queue, plug.run, ask)
            else:
                await DBOS.start_workflow_async(plug.run, ask)
        return await self._one(id)

    async def runs(
        self,
        journey: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        first, size = _offset(cursor), max(1, min(limit, LIMIT_MAX))
        wanted = [name for name, ours in _STATES.items() if ours == state] if state else None
        if wanted == [] and state:
            return Page(())
        if wanted is not None and state == "CANCELLED":
            wanted.append("ERROR")
        found = await DBOS.list_workflows_async(
            name=journey or [*self._names(), *INNER], status=wanted, sort_desc=True,
            limit=size + 1, offset=first,
        )  # fmt: skip
        items = [self._run(each) for each in found[:size]]
        if state:
            items = [item for item in items if item.state == state]
        after = str(first + size) if len(found) > size else None
        return Page(tuple(items), after, after is not None)

    async def run(self, id: str) -> Run | None:
        status = await DBOS.get_workflow_status_async(id)
        if status is None:
            return None
        steps = await DBOS.list_workflow_steps_async(id)
        return self._run(status, _steps(steps, _STATES[status.status]))

    async def cancel(self, id: str, idempotency_key: str = "") -> Run:
        run = await self._one(id)
        if run.state in _FINISHED:
            raise Problem(Fault.CONFLICT, f"The run is {run.state}.")
        plug = self._journeys.get(run.journey)
        if plug is None or not plug.stops:
            say = "This run cannot be stopped; what it does is settled by its invoice or run."
            raise Problem(Fault.CONFLICT, say)
        caller = travel.caller()
        reason = f"Stopped by {caller.actor or caller.subject}."
        await DBOS.send_async(id, reason, topic=STOP, idempotency_key=f"{id}:{STOP}")
        return await self._one(id)

    def _journey(self, name: str) -> Journey:
        plug = self._journeys.get(name)
        if plug is None:
            known = ", ".join(self._journeys)
            raise Problem(Fault.NOT_FOUND, f"There is no journey {name}. Known: {known}.")
        return plug

    def _names(self) -> list[str]:
        return list(self._journeys)

    async def _one(self, id: str) -> Run:
        found = await self.run(id)
        if found is None:
            raise Problem(Fault.NOT_FOUND, "There is no such run.")
        return found

    def _run(self, status: WorkflowStatus, steps: tuple[Step, ...] = ()) -> Run:
        error: Any = status.error
        state = _STATES[status.status]
        if isinstance(error, Cancelled):
            state = "CANCELLED"
        given: Any = status.input
        args = given["args"] if isinstance(given, dict) else ()
        at = status.created_at
        return Run(
            id=status.workflow_id,
            journey=status.name,
            state=state,
            ask=msgspec.to_builtins(args[0]) if args else None,
            result=msgspec.to_builtins(status.output),
            error=_said(error),
            started_at=None if at is None else datetime.fromtimestamp(at / 1000, UTC),
            steps=steps,
        )


def _asked(plug: Journey, body: Raw) -> Any:
    """The ask, checked as any body; who asks is never taken from the body."""
    try:
        ask = msgspec.json.decode(body, type=plug.ask)
    except msgspec.ValidationError as error:
        wrong = problems.field_errors(msgspec.json.decode(body), plug.ask)
        found = wrong or (problems.field_error(str(error)),)
        raise problems.invalid(*found, because=str(error)) from error
    if "requested_by" in ask.__struct_fields__:
        caller = travel.caller()
        ask = msgspec.structs.replace(ask, requested_by=caller.actor or caller.subject)
    return ask


def _steps(found: Sequence[Any], run: State) -> tuple[Step, ...]:
    """Steps of ours in order; one whose undoing is done is COMPENSATED."""
    named = [each for each in found if not each["function_name"].startswith("DBOS.")]
    undone = {
        each["function_name"].replace(_UNDO, "")
        for each in named
        if _UNDO in each["function_name"] and each["error"] is None
    }
    return tuple(
        Step(
            name=each["function_name"],
            state=_step_state(each, undone),
            result=msgspec.to_builtins(each["output"]),
            error=_said(each["error"]),
        )
        for each in named
    )


def _step_state(step: Any, undone: set[str]) -> StepState:
    if step["error"] is not None:
        return "FAILED"
    return "COMPENSATED" if step["function_name"] in undone else "DONE"


def _said(error: Any) -> str:
    if error is None:
        return ""
    return error.say if isinstance(error, Problem) else str(error)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise Problem(
            Fault.INVALID, "The cursor is not one of ours.",
            errors=(FieldError("?cursor", "is unknown", "Use next_cursor as it was given."),),
        )  # fmt: skip
    return int(cursor)
