"""One won deal is one project, whatever happens on the way (domain.md D.1)."""

import asyncio
from datetime import date

import pytest
from msgspec import Raw
from sqlalchemy import func, select
from vendor_shelf import deal

from chassis import identity
from chassis.identity import Signer
from contracts.entities.deal import DealLinks
from contracts.money import Money
from contracts.problem import Fault, Problem
from process_apis import app
from process_apis.exceptions import ExceptionsPort
from process_apis.journeys.opportunity_to_project.journey import JOURNEY
from process_apis.settings import ProcessSettings
from process_apis.tables import event_log

NAME = "opportunity_to_project"
ASK = Raw(b'{"deal_id": "006-1"}')
WISHED = Raw(
    b'{"deal_id": "006-1", "wishes": [{"resource": "77", "start": "2026-07-01",'
    b' "end": "2026-08-01", "minutes_per_day": 240}]}'
)
ALL = {"client", "customer", "contract", "project", "job", "scheduled", "booking"}


async def created_events(firm) -> int:
    query = select(func.count()).where(event_log.c.type == "firmwire.project.created.v1")
    return await firm.database.read(lambda c: c.execute(query).scalar())


async def test_won_deal_becomes_everything_and_a_second_event_is_the_same_run(firm):
    """Duplicate won events find the first run; ids go back to the deal; it is told once."""
    async with firm() as f:
        first = await f.runs.start(NAME, WISHED)
        again = await f.runs.start(NAME, WISHED)
        assert first.id == again.id == "opportunity_to_project:salesforce:006-1:1"
        run = await f.ended(first.id)
        assert (run.state, run.error) == ("DONE", "")
        assert run.result["project"] == "P-0042"
        assert f.kinds() == ALL
        assert f.systems.links.project == "P-0042"
        assert f.systems.links.erp_job == run.result["erp_job"]
        assert await created_events(f) == 1
        assert f.systems.calls.count("put_project") == 1


async def test_incomplete_deal_makes_nothing_and_names_everything_missing(firm):
    """The gate lists all gaps at once."""
    async with firm() as f:
        f.systems.won = deal(signed=False, rate_card="", legal_entity="", start=None, end=None)
        run = await f.ended((await f.runs.start(NAME, ASK)).id)
        assert run.state == "FAILED"
        for gap in ("signed", "legal_entity", "start", "rate_card"):
            assert gap in run.error
        assert f.kinds() == set()


@pytest.mark.parametrize("at", ["put_contract", "put_project", "put_job", "link_deal"])
async def test_refused_step_undoes_in_reverse_what_this_run_made(firm, at):
    """Client and customer stay; contract, project, job and bookings do not."""
    async with firm() as f:
        f.systems.faults[at] = ["refused"]
        run = await f.ended((await f.runs.start(NAME, WISHED)).id)
        assert run.state == "FAILED"
        assert f.kinds() - {"scheduled"} == {"client", "customer"}
        assert f.systems.links == DealLinks()
        ended = [call for call in f.systems.calls if call.startswith("end_")]
        order = ["end_booking", "end_job", "end_project", "end_contract"]
        assert ended == [each for each in order if each in ended]
        assert await created_events(f) == 0


async def test_undone_steps_show_as_compensated(firm):
    """People see what was taken back."""
    async with firm() as f:
        f.systems.faults["put_job"] = ["refused"]
        run = await f.ended((await f.runs.start(NAME, ASK)).id)
        states = {step.name: step.state for step in run.steps}
        assert states["o2p.contract"] == states["o2p.project"] == "COMPENSATED"
        assert states["o2p.job"] == "FAILED"
        assert states["o2p.client"] == "DONE"


async def test_what_was_there_before_the_run_is_never_undone(firm):
    """A project somebody made by hand under the same code survives a rollback."""
    async with firm() as f:
        await f.systems.put_project("P-0042", None)
        f.systems.faults["put_job"] = ["refused"]
        run = await f.ended((await f.runs.start(NAME, ASK)).id)
        assert run.state == "FAILED"
        assert "project" in f.kinds()
        assert "contract" not in f.kinds()


@pytest.mark.parametrize("at", ["put_contract", "put_project", "put_job", "put_customer"])
async def test_lost_reply_is_asked_again_and_matched(firm, at):
    """Create-or-match on our key: once, although the answer was lost."""
    async with firm() as f:
        f.systems.faults[at] = ["lost_reply", "down"]
        run = await f.ended((await f.runs.start(NAME, ASK)).id)
        assert run.state == "DONE"
        assert f.systems.calls.count(at) == 3
        assert len([key for key in f.systems.there if f"put_{key[0]}" == at]) == 1


async def test_bookings_only_warn(firm):
    """Without people booked the project stands."""
    async with firm() as f:
        f.systems.faults["put_booking"] = ["refused"]
        run = await f.ended((await f.runs.start(NAME, WISHED)).id)
        assert run.state == "DONE"
        assert len(run.result["warnings"]) == 1


async def test_stopped_run_takes_back_what_it_made(firm):
    """A request to stop is heard between two steps; a finished run cannot be stopped."""
    async with firm() as f:
        f.systems.hold["put_project"] = asyncio.Event()
        started = await f.runs.start(NAME, ASK)
        await asyncio.wait_for(f.systems.reached.wait(), 10)
        await f.runs.cancel(started.id)
        f.systems.hold["put_project"].set()
        run = await f.ended(started.id)
        assert run.state == "CANCELLED"
        assert f.kinds() == {"client", "customer"}
        with pytest.raises(Problem) as refused:
            await f.runs.cancel(started.id)
        assert refused.value.fault is Fault.CONFLICT


async def test_process_that_starts_again_finishes_the_run(firm):
    """Steps that were done are not done again."""
    async with firm() as f:
        f.systems.hold["put_job"] = asyncio.Event()
        started = await f.runs.start(NAME, ASK)
        await asyncio.wait_for(f.systems.reached.wait(), 10)
        systems = f.systems
    systems.hold.clear()
    async with firm(systems) as f:
        run = await f.ended(started.id)
        assert run.state == "DONE"
        assert systems.calls.count("put_contract") == 1
        assert systems.calls.count("put_job") == 2


async def test_linked_deal_is_answered_with_its_links(firm):
    """Another run of a deal that is done makes nothing new."""
    async with firm() as f:
        f.systems.won = deal(linked_contract="C-1", linked_job="j-9")
        run = await f.ended((await f.runs.start(NAME, ASK)).id)
        assert (run.result["contract"], run.result["erp_job"]) == ("C-1", "j-9")
        assert f.kinds() == set()


async def test_unknown_journey_and_bad_ask_are_told_apart(firm):
    """NOT_FOUND for the journey, INVALID with the field for the ask."""
    async with firm() as f:
        with pytest.raises(Problem) as unknown:
            await f.runs.start("nothing", ASK)
        assert unknown.value.fault is Fault.NOT_FOUND
        with pytest.raises(Problem) as bad:
            await f.runs.start(NAME, Raw(b'{"deal": 1}'))
        assert {error.pointer for error in bad.value.errors} == {"/deal_id", "/deal"}
        assert await f.runs.names() == ("approved_time_to_invoice", NAME)


async def desk_of(firm):
    """Live items as people see them."""
    port = ExceptionsPort(firm.database, source="/acme/process", redriven=lambda: None)
    return (await port.items()).items


async def test_incomplete_deal_lies_on_the_desk_of_sales(firm):
    """With its reason, owner, worth and mend; trying again does not double it."""
    async with firm() as f:
        f.systems.won = deal(signed=False, rate_card="")
        await f.ended((await f.runs.start(NAME, ASK)).id)
        (item,) = await desk_of(f)
        assert (item.code, item.owner, item.severity, item.stage) == (
            "OPP_INCOMPLETE", "SALES_OPS", "BLOCK", "D",
        )  # fmt: skip
        assert (item.subject_type, item.subject_id) == ("deal", "salesforce:006-1")
        assert item.amount_at_risk == Money(9_000_000, "GBP")
        assert item.root == "deal:salesforce:006-1"
        assert [gap["field"] for gap in item.context["missing"]] == ["signed", "rate_card"]
        assert "CRM" in item.hint
        await f.ended((await f.runs.start(NAME, Raw(b'{"deal_id":"006-1","attempt":"2"}'))).id)
        (same,) = await desk_of(f)
        assert (same.id, same.attempts) == (item.id, 2)


async def test_completed_deal_is_tried_again_by_itself_and_leaves_the_desk(firm, tmp_path):
    """A newer version read from the CRM starts it, wishes and all; the item is resolved."""
    identity.ensure(tmp_path)
    async with firm() as f:
        f.systems.won = deal(signed=False)
        first = await f.ended((await f.runs.start(NAME, WISHED)).id)
        (item,) = await desk_of(f)
        made = app.tier(ProcessSettings(), Signer.of(tmp_path, "process"), f.database)
        f.systems.won = deal(source_version=2)
        await made.mended(await made.replica.take(f.database, records=[f.systems.won]))
        again = f"{NAME}:salesforce:006-1:{item.id}.1"
        run = await f.ended(again)
        assert (first.state, run.state) == ("FAILED", "DONE")
        assert f.kinds() == ALL
        assert await desk_of(f) == ()
        port = ExceptionsPort(f.database, source="/acme/process", redriven=lambda: None)
        ended = await port.item(item.id)
        assert (ended.state, ended.resolution) == ("RESOLVED", "AUTO")
        await made.mended(await made.replica.take(f.database, records=[deal(source_version=3)]))
        assert len((await f.runs.runs(NAME)).items) == 2
        await made.systems.aclose()


async def test_deal_completed_by_halves_stays_on_the_desk(firm):
    """The same item, with what is left; the next change tries again."""
    async with firm() as f:
        f.systems.won = deal(signed=False, end=date(2026, 1, 1))
        await f.ended((await f.runs.start(NAME, ASK)).id)
        (item,) = await desk_of(f)
        f.systems.won = deal(source_version=2, signed=False)
        key = "xref:deal:salesforce:006-1"
        assert await JOURNEY.mended([key, "xref:client:salesforce:001-1"]) == 1
        await f.ended(f"{NAME}:salesforce:006-1:{item.id}.1")
        (same,) = await desk_of(f)
        assert same.id == item.id
        assert [gap["field"] for gap in same.context["missing"]] == ["signed"]
        f.systems.won = deal(source_version=3)
        assert await JOURNEY.mended([key]) == 1
        assert (await f.ended(f"{NAME}:salesforce:006-1:{item.id}.2")).state == "DONE"
        assert await JOURNEY.mended([key]) == 0


async def test_deal_without_amount_is_at_no_known_risk(firm):
    """Nothing is made up: no amount, no currency, no figure."""
    async with firm() as f:
        f.systems.won = deal(amount=None, currency="")
        await f.ended((await f.runs.start(NAME, ASK)).id)
        (item,) = await desk_of(f)
        assert item.amount_at_risk is None
