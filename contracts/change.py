"""The shape of one dated API change: requests are walked up to head, replies are walked down."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

Body = dict[str, Any]


class Change(Struct, frozen=True):
    """date: the version it begins, YYYY-MM-DD. tells: one sentence for the changelog.

    request_up: by operation name, an older request body to the newer one.
    reply_down: by entity name, the newer entity to the older one. Each returns a new body.
    """

    date: str
    tells: str
    request_up: dict[str, Callable[[Body], Body]] = {}
    reply_down: dict[str, Callable[[Body], Body]] = {}
