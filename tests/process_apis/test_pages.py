"""Lists by cursor: every row once, and a cursor that is none of ours is refused as such."""

import base64
from typing import Any

import pytest

from contracts.ids import Ref
from contracts.problem import Fault, Problem
from process_apis import exceptions, pages
from process_apis.intake import reading
from process_apis.replica import port
from process_apis.tables import reconciliation

FORGED = [
    "garbage", "7", "Ø", base64.urlsafe_b64encode(b'["a","b","c"]').decode(),
    base64.urlsafe_b64encode(b'["\\u0000"]').decode(),
    base64.urlsafe_b64encode(b'["2026-01-05T08:00:00","x"]').decode(),
    base64.urlsafe_b64encode(b'["2026-01-05T08:00:00Z","\\u0000"]').decode(),
]  # fmt: skip


def lists() -> dict[str, Any]:
    """name -> (connection, cursor, limit) -> a page."""
    return {
        "entries": lambda c, cursor, limit: reading.entries(c, {}, cursor, limit),
        "items": lambda c, cursor, limit: exceptions._page(c, {}, None, cursor, limit),
        "references": lambda c, cursor, limit: port._page(c, {}, cursor, limit),
    }


@pytest.mark.parametrize("name", sorted(lists()))
async def test_a_list_is_walked_to_its_end(world: Any, name: str) -> None:
    """Small pages give what one large page gives, in the same order."""
    await world.deliver(
        *(world.entry(str(n), resource=Ref("kantata", f"nobody-{n}")) for n in range(5))
    )
    with world.database.reading() as connection:
        ask = lists()[name]
        whole = ask(connection, None, 500)
        assert (len(whole.items) >= 4, whole.more, whole.next_cursor) == (True, False, None)
        found, cursor = [], None
        while True:
            page = ask(connection, cursor, 3)
            found += page.items
            assert page.more == (page.next_cursor is not None)
            if not page.more:
                break
            cursor = page.next_cursor
    assert tuple(found) == whole.items


@pytest.mark.parametrize("cursor", FORGED)
@pytest.mark.parametrize("name", [*sorted(lists()), "newest"])
async def test_a_cursor_of_somebody_else_is_refused(world: Any, name: str, cursor: str) -> None:
    """Not an empty page, not the beginning: the caller is told which parameter is wrong."""
    ask = lists().get(name) or (
        lambda c, at, limit: pages.newest(c, reconciliation, at, limit, by="ran_at")
    )
    with world.database.reading() as connection, pytest.raises(Problem) as caught:
        ask(connection, cursor, 3)
    assert caught.value.fault is Fault.INVALID
    assert [error.pointer for error in caught.value.errors] == ["?cursor"]
