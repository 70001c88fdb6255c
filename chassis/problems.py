"""This file exists to turn any exception into a problem document, and a document back.

Owns   the only mapping from exceptions to replies; nothing internal gets through it.
Fails  never: what it does not know is INTERNAL.
Source RFC 9457 (problem details), RFC 6901 (JSON pointer).
"""

import re
from typing import Any

import msgspec
from msgspec import DecodeError, ValidationError

from contracts.problem import (
    Fault,
    FieldError,
    Problem,
    ProblemDocument,
    document,
    from_document,
)

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20

_BY_STATUS = {
    400: Fault.MALFORMED, 401: Fault.UNAUTHENTICATED, 403: Fault.FORBIDDEN, 404: Fault.NOT_FOUND,
    405: Fault.METHOD_NOT_ALLOWED, 409: Fault.CONFLICT, 410: Fault.GONE, 412: Fault.STALE,
    413: Fault.TOO_LARGE, 415: Fault.UNSUPPORTED_MEDIA_TYPE, 422: Fault.INVALID,
    428: Fault.PRECONDITION_REQUIRED, 429: Fault.RATE_LIMITED, 503: Fault.UNAVAILABLE,
    504: Fault.DEADLINE_EXCEEDED,
}  # fmt: skip
_AT = re.compile(r"^(?P<reason>.*?)(?: - at `(?:key in )?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(?P<name>[^`]+)`")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]")


def problem(error: BaseException) -> Problem:
    """What to tell a caller about any exception. A Problem is itself."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid(field_error(str(error)), because=str(error))
    if isinstance(error, DecodeError | UnicodeDecodeError):  # text inside JSON that is no UTF-8
        return Problem(Fault.MALFORMED, "The body is not valid JSON.", because=str(error))
    if isinstance(error, TimeoutError):
        return Problem(Fault.DEADLINE_EXCEEDED, "It took too long.", because=repr(error))
    return Problem(Fault.INTERNAL, "An unexpected error; it is logged.", because=repr(error))


def of_status(status: int, say: str = "", *, because: str = "") -> Problem:
    """The problem a framework means by a bare HTTP status."""
    fault = _BY_STATUS.get(status, Fault.INTERNAL if status >= 500 else Fault.MALFORMED)
    return Problem(fault, say or f"{fault.title}.", because=because)


def invalid(*errors: FieldError, because: str = "") -> Problem:
    """INVALID, naming every wrong field."""
    first = errors[0]
    where = first.pointer or "the body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(
        Fault.INVALID, f"{where}: {first.reason}{more}", because=because, errors=tuple(errors)
    )


def reply(trouble: Problem, instance: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body. instance: the request id."""
    shown = document(trouble, instance)
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    if shown.retry_after_s is not None:
        headers["retry-after"] = str(shown.retry_after_s)
    return shown.status, headers, msgspec.json.encode(shown)


def received(status: int, content_type: str, body: bytes) -> Problem:
    """The problem another tier answered with; UPSTREAM_BROKEN when it is not a document."""
    if content_type.startswith(MEDIA_TYPE):
        try:
            return from_document(msgspec.json.decode(body, type=ProblemDocument))
        except DecodeError:
            pass
    because = f"{status} {content_type}: {body[:200]!r}"
    return Problem(Fault.UPSTREAM_BROKEN, "A service inside answered badly.", because=because)


def field_error(message: str) -> FieldError:
    """msgspec's message as a field error, e.g. `Expected int, got str - at $.lines[0].minutes`."""
    found = _AT.match(message)
    reason, path = (found["reason"], found["path"] or "") if found else (message, "")
    pointer = "".join(
        "/" + escaped(step["name"] or step["index"]) for step in _STEP.finditer(path)
    )
    if named := _NAMED.search(reason):
        pointer += "/" + escaped(named["name"])
        missing = "missing" in reason
        return FieldError(
            pointer,
            "is required" if missing else "is not known",
            "Add the field." if missing else "Remove the field or check its spelling.",
        )
    return FieldError(pointer, reason.replace("`", ""), _hint(reason))


def field_errors(raw: Any, shape: Any, pointer: str = "") -> tuple[FieldError, ...]:
    """Every wrong field of decoded JSON, up to 20; msgspec itself stops at the first."""
    found: list[FieldError] = []
    _gather(raw, shape, pointer, found)
    return tuple(found[:ERRORS_MAX])


def _gather(raw: Any, shape: Any, pointer: str, found: list[FieldError]) -> None:
    if len(found) >= ERRORS_MAX or (first := _wrong(raw, shape)) is None:
        return
    before = len(found)
    if isinstance(raw, dict) and isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        known = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        for name, field in known.items():
            at = f"{pointer}/{escaped(name)}"
            if name in raw:
                _gather(raw[name], field.type, at, found)
            elif field.required:
                found.append(FieldError(at, "is required", "Add the field."))
        if shape.__struct_config__.forbid_unknown_fields:
            tag = {shape.__struct_config__.tag_field}
            found.extend(
                FieldError(f"{pointer}/{escaped(name)}", "is not known", "Remove the field.")
                for name in raw.keys() - known.keys() - tag
            )
    elif isinstance(raw, list) and (inner := _item_type(shape)) is not None:
        for index, item in enumerate(raw):
            _gather(item, inner, f"{pointer}/{index}", found)
    if len(found) == before:
        inside = field_error(first)
        found.append(msgspec.structs.replace(inside, pointer=pointer + inside.pointer))


def _wrong(raw: Any, shape: Any) -> str | None:
    try:
        msgspec.convert(raw, shape)
    except ValidationError as error:
        return str(error)
    return None


def _item_type(shape: Any) -> Any:
    """T of list[T], tuple[T, ...], or of those inside Annotated."""
    if hasattr(shape, "__metadata__"):
        return _item_type(shape.__origin__)
    if getattr(shape, "__origin__", None) in (list, tuple, set, frozenset):
        return shape.__args__[0]
    return None


def escaped(name: str) -> str:
    """A name as one step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _hint(reason: str) -> str:
    if reason.startswith("Expected "):
        return f"Send {reason.removeprefix('Expected ').split(', got')[0].replace('`', '')}."
    return "Correct the value."
