"""Write what durable runs keep as JSON with named shapes, so that no pickle is ever read back.

A Struct is kept under the name it was registered with, never under its module: moving a class
breaks no run in flight. Names are persisted: never rename one, never reuse one.
Source  house.md 3.5 (trap 3); DBOS Serializer.
"""

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from dbos import Serializer
from msgspec import Struct

from contracts.problem import FAULT_BY_CODE, Fault, FieldError, Problem, Vendor

S = TypeVar("S", bound=Struct)

_by_name: dict[str, type[Struct]] = {}
_by_type: dict[type[Struct], str] = {}


class Cancelled(Exception):
    """A run that stopped because somebody asked it to; what it had done is undone."""


def persisted(name: str) -> Callable[[type[S]], type[S]]:
    """Class decorator: keep values of this Struct under this name, for ever."""

    def register(shape: type[S]) -> type[S]:
        if _by_name.get(name, shape) is not shape:
            raise ValueError(f"{name} is the persisted name of {_by_name[name]!r}")
        _by_name[name] = shape
        _by_type[shape] = name
        return shape

    return register


class Json(Serializer):
    """The serializer of this tier. Text in, text out; unknown shapes are refused when written."""

    def name(self) -> str:
        return "firmwire_json_1"

    def serialize(self, data: Any) -> str:
        return msgspec.json.encode(_marked(data)).decode()

    def deserialize(cls, serialized_data: str) -> Any:
        return _unmarked(msgspec.json.decode(serialized_data))


def _marked(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Struct):
        name = _by_type.get(type(value))
        if name is None:
            raise TypeError(f"{type(value).__name__} has no persisted name; use @persisted")
        return {"$struct": name, "of": msgspec.to_builtins(value)}
    if isinstance(value, BaseException):
        return {"$error": _marked_error(value)}
    if isinstance(value, tuple | list | set | frozenset):
        items = [_marked(item) for item in value]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        return {"$dict": [[_marked(key), _marked(inner)] for key, inner in value.items()]}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return _marked_scalar(value)


def _marked_scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$instant": value.isoformat()}
    if isinstance(value, date):
        return {"$day": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    raise TypeError(f"a run cannot keep a {type(value).__name__}")


def _marked_error(error: BaseException) -> dict[str, Any]:
    if isinstance(error, Cancelled):
        return {"kind": "cancelled", "say": str(error)}
    if isinstance(error, Problem):
        return {
            "kind": "problem", "fault": error.fault.code, "say": error.say,
            "because": error.because, "retry_after_s": error.retry_after_s,
            "errors": msgspec.to_builtins(error.errors),
            "vendor": msgspec.to_builtins(error.vendor),
        }  # fmt: skip
    return {"kind": "other", "say": f"{type(error).__name__}: {error}"}


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$struct" in value:
        return msgspec.convert(value["of"], _by_name[value["$struct"]])
    mark, inner = next(iter(value.items()))
    return _READ[mark](inner)


def _error(kept: dict[str, Any]) -> Exception:
    if kept["kind"] == "cancelled":
        return Cancelled(kept["say"])
    if kept["kind"] == "problem":
        return Problem(
            FAULT_BY_CODE.get(kept["fault"], Fault.INTERNAL), kept["say"],
            because=kept["because"], retry_after_s=kept["retry_after_s"],
            errors=msgspec.convert(kept["errors"], tuple[FieldError, ...]),
            vendor=msgspec.convert(kept["vendor"], Vendor | None),
        )  # fmt: skip
    return Problem(Fault.INTERNAL, "An unexpected error; it is logged.", because=kept["say"])


_READ: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda kept: tuple(_unmarked(item) for item in kept),
    "$dict": lambda kept: {_unmarked(key): _unmarked(inner) for key, inner in kept},
    "$bytes": base64.b64decode,
    "$instant": datetime.fromisoformat,
    "$day": date.fromisoformat,
    "$decimal": Decimal,
    "$error": _error,
}
