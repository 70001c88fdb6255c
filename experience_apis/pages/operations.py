"""This file exists to show the operations board as a page that keeps itself up to date.

Owns   the page, its fragment, the stream that pushes a new fragment when totals change.
Fails  as the view fails.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response, get
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from chassis import stopping
from contracts.money import Money
from contracts.ports.experience.operations import OperationsBoard
from contracts.problem import Fault, Problem
from experience_apis.follow import Follower
from experience_apis.read_model import ReadModel
from experience_apis.view import View

_HERE = Path(__file__).parent
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
PUSH_AT_MOST_EVERY_S = 0.5
HEARTBEAT_S = 15.0


def _money(value: Money) -> str:
    return str(value)


def _percent(value: Decimal | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
)
_templates.filters |= {"money": _money, "percent": _percent}


def fragment(board: OperationsBoard) -> str:
    """The part of the page that changes."""
    return _templates.get_template("operations_board.html").render(board=board)


def handlers(prefix: str, view: View, read_model: ReadModel, follower: Follower) -> list[Any]:
    """The page over the operations view, its stream, and the two files it needs."""
    scope = {"scope": view.scope}

    @get(f"{prefix}/pages/operations", opt=scope, name="pages.operations")
    async def page() -> Response[str]:
        board = await view.show(read_model)
        body = _templates.get_template("operations.html").render(board=board, prefix=prefix)
        return Response(body, media_type="text/html", headers=_HEADERS)

    @get(f"{prefix}/pages/operations/stream", opt=scope, name="pages.operations.stream")
    async def stream() -> ServerSentEvent:
        return ServerSentEvent(_fragments(view, read_model, follower))

    @get(f"{prefix}/pages/static/{{name:str}}", opt=scope, name="pages.static")
    async def static(name: FromPath[str]) -> Response[bytes]:
        # Litestar adds the charset to every text/*
        kinds = {"operations.css": "text/css", "operations.js": "text/javascript"}
        if name not in kinds:
            raise Problem(Fault.NOT_FOUND, "There is no such file.")
        body = (_HERE / "static" / name).read_bytes()
        return Response(body, media_type=kinds[name], headers=_HEADERS)

    return [page, stream, static]


async def _fragments(
    view: View, read_model: ReadModel, follower: Follower
) -> AsyncIterator[ServerSentEventMessage]:
    """A fragment at once, then one whenever totals change; a heartbeat when nothing does."""
    watcher = follower.watch()
    untell = stopping.tell(watcher.set)
    try:
        while not stopping.begun():
            board = await view.show(read_model)
            yield ServerSentEventMessage(
                data=fragment(board), event="board", id=str(board.position)
            )
            watcher.clear()
            while not await _within(watcher, HEARTBEAT_S):
                yield ServerSentEventMessage(comment="still here")
            await asyncio.sleep(PUSH_AT_MOST_EVERY_S)  # a burst of events is one push
    finally:
        untell()
        follower.unwatch(watcher)


async def _within(watcher: asyncio.Event, wait_s: float) -> bool:
    try:
        await asyncio.wait_for(watcher.wait(), wait_s)
    except TimeoutError:
        return False
    return True
