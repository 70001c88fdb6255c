"""One won deal is one project, whatever happens on the way (domain.md D.1)."""

import asyncio

import pytest
from msgspec import Raw
from sqlalchemy import func, select
from vendor_shelf import deal

from contracts.entities.deal import DealLinks
from contracts.problem import Fault, Problem
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
