"""Make of a won deal what delivery and billing need: contract, project, job, soft bookings.

Needs    Crm (deal, put_client, put_contract, link_deal), Erp (put_customer, put_job),
         Psa (put_project), Scheduling (put_scheduled_project, put_booking)
Promise  One contract, project and job a deal, whatever crashes in between: every key is made of
         the deal's id and every step is create-or-match on its key. A deal that carries our links
         already is answered with them. A run that fails or is stopped undoes, in reverse, what it
         made; what was there before it came is left alone, and so are client and customer.
Stops    An incomplete deal (all of what is missing, as INVALID, and on the desk of SALES_OPS until
         it is complete; a change of the deal, or of what it names, starts it again).
         A refusal by a system. A request to stop, between two steps. Bookings only warn.
Patches  none. Add, drop or reorder steps only behind DBOS.patch, listed here with its date.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any

import msgspec
from dbos import DBOS, SetWorkflowID, error
from msgspec import Struct
from sqlalchemy import Connection, select

from chassis import clock
from contracts.entities.deal import Deal, DealLinks
from contracts.entities.party import BillingAccount
from contracts.ports.system.crm import Crm
from contracts.ports.system.erp import CustomerDraft, Erp, JobDraft
from contracts.ports.system.psa import Psa
from contracts.ports.system.scheduling import BookingDraft, ScheduledProjectDraft, Scheduling
from contracts.ports.system.system import Placed
from contracts.problem import Fault, Problem
from process_apis import events
from process_apis.around import around
from process_apis.events import fact
from process_apis.journey import Journey, port, unless_stopped, worth_retrying
from process_apis.journeys.opportunity_to_project import desk, rules
from process_apis.journeys.opportunity_to_project.rules import Plan
from process_apis.persisted import Cancelled, persisted
from process_apis.tables import event_log

NAME = "opportunity_to_project"


@persisted("o2p.Wish")
class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be booked softly. resource: the scheduler's own id. end: first day after."""

    resource: str
    start: date
    end: date
    minutes_per_day: int


@persisted("o2p.Ask")
class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """deal_id: at the CRM. attempt: another text allows another run after one that failed."""

    deal_id: str
    crm: str = "salesforce"
    psa: str = "kantata"
    erp: str = "netsuite"
    scheduler: str = "float"
    wishes: tuple[Wish, ...] = ()
    attempt: str = "1"


@persisted("o2p.Made")
class Made(Struct, frozen=True, kw_only=True):
    """Codes of ours, and the ERP's id of the job. warnings: what the bookings came to."""

    contract: str
    project: str
    erp_job: str
    client: str = ""
    warnings: tuple[str, ...] = ()


@persisted("o2p.Before")
class Before(Struct, frozen=True, kw_only=True):
    """What existed before this run; it is never undone."""

    contract: bool
    project: bool
    job: bool


persisted("o2p.Plan")(Plan)
persisted("Deal")(Deal)
persisted("Placed")(Placed)
_again: dict[str, Any] = {
    "retries_allowed": True, "max_attempts": 8, "interval_seconds": 0.5,
    "should_retry": worth_retrying,
}  # fmt: skip


@DBOS.step(name="o2p.freeze", **_again)
async def freeze(ask: Ask) -> Deal:
    deal = await port(Crm, ask.crm).deal(ask.deal_id)
    if deal is None:
        raise Problem(Fault.NOT_FOUND, "The CRM has no such deal.")
    if deal.stage != "WON":
        raise Problem(Fault.CONFLICT, f"The deal is {deal.stage}, not WON.")
    return deal


@DBOS.step(name="o2p.gate")
async def gate(ask: Ask, deal: Deal) -> Plan:
    known = _known(ask, deal)
    gaps = rules.missing(deal, known)
    erp = around().snapshot().erp_instance_of.get(deal.legal_entity, ask.erp)
    await desk.tell(deal, gaps, msgspec.to_builtins(ask), erp)
    if gaps:
        say = f"OPP_INCOMPLETE: {'; '.join(f'{g.pointer[1:]}: {g.reason}' for g in gaps)}."
        raise Problem(Fault.INVALID, say, errors=gaps)
    return rules.plan(deal, known)


@DBOS.step(name="o2p.survey", **_again)
async def survey(ask: Ask, plan: Plan) -> Before:
    return Before(
        contract=await port(Crm, ask.crm).contract_by_reference(plan.contract) is not None,
        project=await port(Psa, ask.psa).project_by_reference(plan.project) is not None,
        job=await port(Erp, ask.erp).job_by_reference(plan.project) is not None,
    )


@DBOS.step(name="o2p.client", **_again)
async def client(ask: Ask, plan: Plan) -> Placed:
    return await port(Crm, ask.crm).put_client(plan.client, plan.client_draft())


@DBOS.step(name="o2p.customer", **_again)
async def customer(ask: Ask, plan: Plan) -> Placed:
    draft = CustomerDraft(
        code=plan.billing_account, name=plan.client_name, legal_entity=plan.company,
        currency=plan.currency, country=plan.country,
    )  # fmt: skip
    return await port(Erp, ask.erp).put_customer(plan.billing_account, draft)


@DBOS.step(name="o2p.contract", **_again)
async def contract(ask: Ask, plan: Plan) -> Placed:
    return await port(Crm, ask.crm).put_contract(plan.contract, plan.contract_draft())


@DBOS.step(name="o2p.undo_contract", **_again)
async def undo_contract(ask: Ask, plan: Plan) -> None:
    crm = port(Crm, ask.crm)
    placed = await crm.contract_by_reference(plan.contract)
    if placed is not None:
        await crm.terminate_contract(placed.ref.id)


@DBOS.step(name="o2p.project", **_again)
async def project(ask: Ask, plan: Plan) -> Placed:
    return await port(Psa, ask.psa).put_project(plan.project, plan.project_draft())


@DBOS.step(name="o2p.undo_project", **_again)
async def undo_project(ask: Ask, plan: Plan) -> None:
    psa = port(Psa, ask.psa)
    placed = await psa.project_by_reference(plan.project)
    if placed is not None:
        await psa.cancel_project(placed.ref.id)


@DBOS.step(name="o2p.job", **_again)
async def job(ask: Ask, plan: Plan, customer_id: str) -> Placed:
    draft = JobDraft(code=plan.project, name=plan.name, customer=customer_id)
    return await port(Erp, ask.erp).put_job(plan.project, draft)


@DBOS.step(name="o2p.undo_job", **_again)
async def undo_job(ask: Ask, plan: Plan) -> None:
    erp = port(Erp, ask.erp)
    placed = await erp.job_by_reference(plan.project)
    if placed is not None:
        await erp.close_job(placed.ref.id)


@DBOS.step(name="o2p.booking", **{**_again, "max_attempts": 3})
async def booking(ask: Ask, plan: Plan) -> int:
    """Soft bookings of everybody wished for; how many."""
    scheduler = port(Scheduling, ask.scheduler)
    placed = await scheduler.put_scheduled_project(
        plan.project, ScheduledProjectDraft(code=plan.project, name=plan.name)
    )
    for number, wish in enumerate(ask.wishes, start=1):
        draft = BookingDraft(
            resource=wish.resource, project=placed.ref.id, kind="SOFT", start=wish.start,
            end=wish.end, minutes_per_day=wish.minutes_per_day,
        )  # fmt: skip
        await scheduler.put_booking(f"{plan.project}-{number}", draft)
    return len(ask.wishes)


@DBOS.step(name="o2p.undo_booking", **_again)
async def undo_booking(ask: Ask, plan: Plan) -> None:
    scheduler = port(Scheduling, ask.scheduler)
    for number in range(1, len(ask.wishes) + 1):
        placed = await scheduler.booking_by_reference(f"{plan.project}-{number}")
        if placed is not None:
            await scheduler.release_booking(placed.ref.id)


@DBOS.step(name="o2p.links", **_again)
async def links(ask: Ask, plan: Plan, erp_job: str) -> None:
    body = DealLinks(contract=plan.contract, project=plan.project, erp_job=erp_job)
    await port(Crm, ask.crm).link_deal(ask.deal_id, body)


@DBOS.step(name="o2p.undo_links", **_again)
async def undo_links(ask: Ask, plan: Plan) -> None:
    await port(Crm, ask.crm).link_deal(ask.deal_id, DealLinks())


@DBOS.step(name="o2p.tell", **_again)
async def tell(made: Made) -> None:
    """project.created, once however often this runs."""
    source, id = around().source, f"project:{made.project}:created"

    def work(connection: Connection) -> None:
        told = select(event_log.c.id).where(event_log.c.id == id, event_log.c.source == source)
        if connection.execute(told).first() is None:
            created = fact(id, "project.created", made.project, clock.now(), made)
            events.append(connection, source, [created])

    await around().database.write(work)
    events.wake()


Undo = Callable[[Ask, Plan], Awaitable[None]]


@DBOS.workflow(name="opportunity_to_project", max_recovery_attempts=1000)
async def run(ask: Ask) -> Made:
    deal = await freeze(ask)
    if deal.linked_contract and deal.linked_job:
        return Made(
            contract=deal.linked_contract, project=deal.project_code, erp_job=deal.linked_job
        )
    plan = await gate(ask, deal)
    there = await survey(ask, plan)
    undo: list[Undo] = []
    try:
        made = await _make(ask, plan, there, undo)
    except (Problem, error.DBOSException, Cancelled):
        for step in reversed(undo):
            await step(ask, plan)
        raise
    await tell(made)
    return made


async def _make(ask: Ask, plan: Plan, there: Before, undo: list[Undo]) -> Made:
    """An undo is noted before its step: a step that fails may have worked all the same."""
    await unless_stopped()
    await client(ask, plan)
    paying = await customer(ask, plan)
    await unless_stopped()
    undo += [] if there.contract else [undo_contract]
    await contract(ask, plan)
    await unless_stopped()
    undo += [] if there.project else [undo_project]
    await project(ask, plan)
    await unless_stopped()
    undo += [] if there.job else [undo_job]
    booked = await job(ask, plan, paying.ref.id)
    await unless_stopped()
    undo.append(undo_booking)
    warnings = await _booked(ask, plan)
    undo.append(undo_links)
    await links(ask, plan, booked.ref.id)
    await unless_stopped()
    return Made(
        contract=plan.contract, project=plan.project, erp_job=booked.ref.id, client=plan.client,
        warnings=warnings,
    )  # fmt: skip


async def _booked(ask: Ask, plan: Plan) -> tuple[str, ...]:
    """Bookings are a courtesy: without them the project stands."""
    try:
        await booking(ask, plan)
    except (Problem, error.DBOSException) as trouble:
        return (f"Nobody is booked yet: {trouble}",)
    return ()


def _known(ask: Ask, deal: Deal) -> rules.Known:
    """From the replica; nothing is asked of a vendor."""
    snapshot = around().snapshot()
    code = snapshot.resolve("client", deal.client) or ""
    record: Any = snapshot.get("client", code) if code else None
    entity = deal.legal_entity
    accounts = snapshot.scoped(BillingAccount, f"{code}/{entity}/{deal.currency}")
    erp = snapshot.erp_instance_of.get(entity, ask.erp)
    card = deal.rate_card if snapshot.get("rate_card", deal.rate_card) else ""
    return rules.Known(
        client=code,
        client_name=record.name if record else "",
        country=record.country if record else "",
        billing_account=accounts[0].code if accounts else "",
        company=snapshot.external("legal_entity", entity, erp) or "",
        rate_card=card,
    )


def run_id(ask: Ask) -> str:
    return f"{NAME}:{ask.crm}:{ask.deal_id}:{ask.attempt}"


async def mended(keys: Iterable[str]) -> int:
    """Deals on the desk that wait for one of these keys are tried again; how many."""
    asks = [msgspec.convert(told, Ask) for told in await desk.waiting(keys)]
    for ask in asks:
        with SetWorkflowID(run_id(ask)):
            await DBOS.start_workflow_async(run, ask)
    return len(asks)


JOURNEY = Journey(
    run=run, ask=Ask, needs=(Crm, Psa, Erp, Scheduling), stops=True, run_id=run_id, mended=mended,
)  # fmt: skip
