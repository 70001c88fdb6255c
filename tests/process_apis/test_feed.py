"""The event feed's parameters: what is no position and no wait of ours is refused by name."""

from typing import Any

import pytest

from contracts.problem import Fault, Problem
from process_apis.feed import POSITION_MAX, EventsPort


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"after": -1}, ["?after"]),
        ({"after": POSITION_MAX + 1}, ["?after"]),
        ({"wait_s": -0.1}, ["?wait_s"]),
        ({"wait_s": 31.0}, ["?wait_s"]),
        ({"wait_s": float("nan")}, ["?wait_s"]),
        ({"after": -1, "wait_s": float("inf")}, ["?after", "?wait_s"]),
    ],
)
async def test_a_feed_that_cannot_be_read_like_this(
    world: Any, asked: dict[str, Any], wrong: list[str]
) -> None:
    with pytest.raises(Problem) as caught:
        await EventsPort(world.database).feed(**asked)
    assert caught.value.fault is Fault.INVALID
    assert [error.pointer for error in caught.value.errors] == wrong


async def test_the_last_position_there_can_be_is_one(world: Any) -> None:
    """Nothing follows it, and the position stays."""
    page = await EventsPort(world.database).feed(after=POSITION_MAX)
    assert (page.events, page.after) == ((), POSITION_MAX)
