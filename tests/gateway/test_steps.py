"""Long work in short steps: others get their turn, until it is time to be done."""

import asyncio

import pytest

from gateway import steps
from gateway.steps import finished, finished_between, slices


def work(number):
    for _ in range(number):
        yield
    return number


async def turns_of_others_during(doing):
    """How often another task had its turn."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    made = await doing
    beside.cancel()
    return made, turns


async def test_others_have_their_turn_between_steps(monkeypatch):
    """A step that held the loop long enough is followed by a turn of the others."""
    monkeypatch.setattr(steps, "HOLD_S", -1.0)
    made, turns = await turns_of_others_during(finished_between(work(50)))
    assert made == 50
    assert turns >= 50


async def test_work_that_takes_too_long_is_ended_at_once(monkeypatch):
    """Turns that are long, because many wait, must not put it off for ever."""
    monkeypatch.setattr(steps, "HOLD_S", -1.0)
    monkeypatch.setattr(steps, "HURRY_S", -1.0)
    made, turns = await turns_of_others_during(finished_between(work(50)))
    assert (made, turns) == (50, 0)


async def test_what_the_work_raises_is_raised():
    """By both ways of doing it."""

    def failing():
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        finished(failing())
    with pytest.raises(ValueError, match="no"):
        await finished_between(failing())


@pytest.mark.parametrize("number", [0, 1, 100, 101, 1000])
def test_slices_are_all_there_is(number):
    """In order, nothing twice."""
    assert [one for part in slices(range(number)) for one in part] == list(range(number))
