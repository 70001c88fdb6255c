"""Keep one gate an ERP instance, as wide as the ERP says, and its trouble on one desk."""

import asyncio

from sqlalchemy import Connection

from chassis import clock, limiter, travel
from chassis.log import log
from contracts.ports.system.erp import Erp, PostingTraits
from contracts.problem import Problem
from process_apis import events
from process_apis.billing.around import around
from process_apis.billing.findings import about_system, finding
from process_apis.billing.gate import Gate
from process_apis.billing.telling import Telling
from process_apis.durable import Lane, open_lane
from process_apis.journey import port

ASK_AGAIN_S = 1.0
ASK_AGAIN_MAX_S = 30.0
_log = log("process.posting")
_gates: dict[str, Gate] = {}
_traits: dict[str, PostingTraits] = {}
_asking: dict[str, asyncio.Lock] = {}


def queue_of(instance: str) -> str:
    """The queue in which posting runs of an instance wait."""
    return f"posting-{instance}"


async def traits_of(instance: str) -> PostingTraits:
    """What the ERP says of itself; asked until it answers, then known."""
    async with _asking.setdefault(instance, asyncio.Lock()):
        wait_s = ASK_AGAIN_S
        while instance not in _traits:
            try:
                with travel.in_lane(limiter.Lane.POSTING):
                    said = await port(Erp, instance).posting_traits()
                    quota = await port(Erp, instance).quota()
            except Problem as problem:
                _log.warning("traits.unknown", instance=instance, because=str(problem))
                await asyncio.sleep(wait_s)
                wait_s = min(ASK_AGAIN_MAX_S, wait_s * 2)
                continue
            lanes = min(said.lanes, quota.concurrency or said.lanes)
            _traits[instance] = PostingTraits(
                idempotency=said.idempotency, settle_s=said.settle_s, lanes=max(1, lanes)
            )
            await open_queue(instance)
    return _traits[instance]


async def open_queue(instance: str) -> None:
    """The queue of an instance: its lanes, once known, and a few runs made ready beside them."""
    known = _traits.get(instance)
    places = (known.lanes if known else 1) + around().spare
    await open_lane(Lane(name=queue_of(instance), places=places), around().poll_s)


async def gate_of(instance: str) -> Gate:
    """The gate through which every posting call of this process goes."""
    traits = await traits_of(instance)
    gate = _gates.get(instance)
    if gate is None:

        async def probe() -> bool:
            try:
                with travel.in_lane(limiter.Lane.POSTING):
                    seen = await port(Erp, instance).health()
                return seen.state in ("UP", "DEGRADED")
            except Problem:
                return False

        async def told(code: str) -> None:
            await around().database.write(lambda c: _told(c, instance, code))
            events.wake()

        gate = _gates[instance] = Gate(instance, traits.lanes, probe, told)
    return gate


def forget() -> None:
    """At shutdown: gates stop looking, and what ERPs said is asked anew at the next start."""
    for gate in _gates.values():
        gate.stop()
    _gates.clear()
    _traits.clear()
    _asking.clear()


def _told(connection: Connection, instance: str, code: str) -> None:
    found = [finding(code, f"system:{instance}", instance=instance)] if code else []
    telling = Telling(around().source)
    telling.tell(about_system(connection, instance, found, clock.now()))
    telling.done(connection)
