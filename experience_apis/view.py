"""The shape of a view: what a file under views/ exports as VIEW."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from experience_apis.read_model import ReadModel

Show = Callable[[ReadModel], Awaitable[Any]]


class View(Struct, frozen=True, kw_only=True):
    """path: below /experience/v1. scope: who may see it. show: from the read model to the answer.

    shape: the answer's type, for the OpenAPI document. fresh_s: how long an answer may be kept.
    """

    path: str
    scope: str
    show: Show
    shape: type
    fresh_s: float = 0.0
