"""How a port's method becomes an HTTP operation: one definition serves, calls and documents.

Parameters of a marked method: a name in {braces} of the path is a path parameter; `body` is the
JSON body; `idempotency_key` is the header Idempotency-Key; `if_match` is the header If-Match;
everything else is a query parameter.
The return annotation is the JSON reply; None answers 204; `T | None` answers 404 for None.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import Struct

F = TypeVar("F", bound=Callable[..., Any])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(Struct, frozen=True):
    """safe: reads only, may be sent again. deadline_s: the longest this may take, in seconds.

    body_limit_bytes: larger bodies are refused with 413 before they are read.
    """

    method: Method
    path: str
    scope: str
    safe: bool
    deadline_s: float
    status: int
    body_limit_bytes: int


def operation(
    method: Method,
    path: str,
    *,
    scope: str,
    safe: bool | None = None,
    deadline_s: float = 10.0,
    status: int = 200,
    body_limit_bytes: int = 2_000_000,
) -> Callable[[F], F]:
    """Mark a port method. safe defaults to True for GET only."""
    is_safe = method == "GET" if safe is None else safe

    def mark(method_of_port: F) -> F:
        method_of_port.__operation__ = Operation(  # type: ignore[attr-defined]
            method, path, scope, is_safe, deadline_s, status, body_limit_bytes
        )
        return method_of_port

    return mark


def operations(port: Any) -> dict[str, Operation]:
    """Every marked method of a port by name, in order of definition (bases first)."""
    found: dict[str, Operation] = {}
    for owner in reversed(port.__mro__):
        for name, member in vars(owner).items():
            marked = getattr(member, "__operation__", None)
            if isinstance(marked, Operation):
                found[name] = marked
    return found
