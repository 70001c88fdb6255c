"""This file exists to read a port's methods once, so that server and client cannot disagree.

Owns   what `@operation` and the annotations of a method mean on the wire.
Fails  TypeError at start, naming the method, when a port cannot be put on the wire.
"""

import inspect
import re
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Raw, Struct

from contracts.operation import Operation, operations

ABSENT = "firmwire-absent"
"""Header of the 404 that means `None`: the thing is not there, as opposed to the route."""

_BRACED = re.compile(r"\{(\w+)\}")
_HEADERS = {"idempotency_key": "idempotency-key", "if_match": "if-match"}


class Place(Enum):
    """Where a parameter travels."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    BODY = "body"


class Parameter(Struct, frozen=True):
    """wire: its name there. default: inspect.Parameter.empty when it is required."""

    name: str
    place: Place
    wire: str
    kind: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def many(self) -> bool:
        """A list or tuple: repeated in the query."""
        kinds = get_args(self.kind) if is_union(self.kind) else (self.kind,)
        return any(get_origin(kind) in (list, tuple, set, frozenset) for kind in kinds)


class Call(Struct, frozen=True):
    """One operation of a port. absent: None is an answer, told as 404. returns: without None."""

    name: str
    operation: Operation
    parameters: tuple[Parameter, ...]
    returns: Any
    absent: bool
    tells: str

    @property
    def status(self) -> int:
        """204 whenever there is nothing to say."""
        return 204 if self.returns is NoneType else self.operation.status

    def one(self, place: Place) -> Parameter | None:
        """The first parameter of a place: the body, mostly."""
        return next((found for found in self.parameters if found.place is place), None)

    def has(self, name: str) -> bool:
        """Whether the method takes this parameter."""
        return any(found.name == name for found in self.parameters)

    @property
    def raw_body(self) -> bool:
        """The body is handed over unread."""
        body = self.one(Place.BODY)
        return body is not None and body.kind is Raw


@cache
def calls(port: Any) -> tuple[Call, ...]:
    """Every operation of a port, in order of definition."""
    return tuple(
        _call(port, name, getattr(port, name), operation)
        for name, operation in operations(port).items()
    )


def is_union(kind: Any) -> bool:
    """X | Y, however written."""
    return get_origin(kind) in (Union, UnionType)


def _call(port: Any, name: str, method: Any, operation: Operation) -> Call:
    hints = get_type_hints(method, include_extras=True)
    where = f"{port.__name__}.{name}"
    if "return" not in hints:
        raise TypeError(f"{where} has no return annotation")
    braced = set(_BRACED.findall(operation.path))
    parameters = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name not in hints:
            raise TypeError(f"{where}: {parameter.name} has no annotation")
        place, wire = _place(parameter.name, braced)
        kind = hints[parameter.name]
        parameters.append(Parameter(parameter.name, place, wire, kind, parameter.default))
    if missing := braced - {parameter.name for parameter in parameters}:
        raise TypeError(f"{where}: the path names {sorted(missing)}, the method does not take it")
    returns, absent = _without_none(hints["return"])
    tells = inspect.cleandoc(method.__doc__ or "")
    return Call(name, operation, tuple(parameters), returns, absent, tells)


def _place(name: str, braced: set[str]) -> tuple[Place, str]:
    if name in braced:
        return Place.PATH, name
    if name == "body":
        return Place.BODY, name
    if name in _HEADERS:
        return Place.HEADER, _HEADERS[name]
    return Place.QUERY, name


def _without_none(kind: Any) -> tuple[Any, bool]:
    if not is_union(kind) or NoneType not in get_args(kind):
        return kind, False
    rest = tuple(part for part in get_args(kind) if part is not NoneType)
    return (rest[0] if len(rest) == 1 else Union[rest]), True  # noqa: UP007
