"""This file exists to put a port's implementation on the wire: one Litestar route an operation.

Owns   reading of path, query, headers and body; status codes; the deadline of the operation.
Fails  INVALID naming every wrong field, MALFORMED, UNSUPPORTED_MEDIA_TYPE, DEADLINE_EXCEEDED,
       and whatever the implementation raises.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from msgspec import DecodeError, Raw, ValidationError

from chassis import problems, travel
from chassis.idempotency import Memory, answered_once
from chassis.signature import ABSENT, Call, Parameter, Place, calls
from contracts.paging import FEED_LIMIT_MAX, LIMIT_MAX
from contracts.problem import Fault, FieldError, Problem

JSON = "application/json"
AnyRequest = Request[Any, Any, Any]


class Absent(Problem):
    """None as an answer: NOT_FOUND with a header that tells it from a wrong address."""

    def __init__(self) -> None:
        super().__init__(Fault.NOT_FOUND, "There is no such thing.")
        self.headers = {ABSENT: "1"}


def routes(
    port: Any,
    implementation: Any,
    *,
    prefix: str = "",
    name: str = "",
    memory: Memory | None = None,
) -> list[HTTPRouteHandler]:
    """One route an operation, under prefix, for `service(handlers=...)`.

    name: in metrics, logs and operation ids, by default the port's in lower case. memory: where
    answers to an Idempotency-Key are kept; without it the implementation sees to the key itself.
    """
    label = name or port.__name__.lower()
    return [_route(call, implementation, prefix, label, memory) for call in calls(port)]


def _route(
    call: Call, implementation: Any, prefix: str, label: str, memory: Memory | None
) -> HTTPRouteHandler:
    method = getattr(implementation, call.name)
    operation = f"{label}.{call.name}"
    remembers = memory if call.has("idempotency_key") else None
    path = prefix + call.operation.path
    for parameter in call.parameters:
        if parameter.place is Place.PATH:
            path = path.replace(f"{{{parameter.name}}}", f"{{{parameter.name}:str}}")

    async def answer(request: AnyRequest) -> Response[bytes]:
        left_s = travel.narrow(call.operation.deadline_s)
        async with asyncio.timeout(left_s):
            arguments = await _arguments(call, request)
            key = arguments.get("idempotency_key")
            if remembers is not None and key:
                body = await request.body()
                about = f"{request.method} {request.url.path}"
                return _response(
                    *await answered_once(
                        remembers, key, about, body, lambda: _answer(call, method, arguments)
                    )
                )
            return _response(*await _answer(call, method, arguments))

    if call.status == 204:  # Litestar holds an annotation with a body against it
        answer.__annotations__["return"] = Response[None]
    return route(
        path,
        http_method=call.operation.method,
        status_code=call.status,
        request_max_body_size=call.operation.body_limit_bytes,
        opt={
            "scope": call.operation.scope,
            "operation": operation,
            "call": call,
            "route": prefix + call.operation.path,
        },
        include_in_schema=False,
        name=f"{operation} {prefix}",
    )(answer)


async def _answer(call: Call, method: Any, arguments: dict[str, Any]) -> tuple[int, bytes]:
    result = await method(**arguments)
    if result is None and call.absent:
        raise Absent
    return call.status, b"" if call.status == 204 else msgspec.json.encode(result)


def _response(status: int, body: bytes) -> Response[bytes]:
    return Response(body, status_code=status, media_type=JSON if body else "")


async def _arguments(call: Call, request: AnyRequest) -> dict[str, Any]:
    """Everything the method takes, or INVALID with everything that is wrong."""
    wrong: list[FieldError] = []
    found: dict[str, Any] = {}
    sent = _query(call, request, wrong)
    for parameter in call.parameters:
        if parameter.place is Place.BODY:
            found[parameter.name] = await _body(parameter, request, wrong)
        elif parameter.place is Place.PATH:
            _take(found, parameter, request.path_params.get(parameter.name), wrong)
        elif parameter.place is Place.HEADER:
            _take(found, parameter, request.headers.get(parameter.wire), wrong)
        else:
            _take(found, parameter, sent.get(parameter.wire), wrong)
    _limited(call, found, wrong)
    if wrong:
        raise problems.invalid(*wrong)
    return found


def _limited(call: Call, found: Mapping[str, Any], wrong: list[FieldError]) -> None:
    """The size of a page is held to its bounds here, for every list; nothing is clamped."""
    size = found.get("limit")
    most = LIMIT_MAX if call.has("cursor") else FEED_LIMIT_MAX
    if call.one(Place.QUERY) and isinstance(size, int) and not 1 <= size <= most:
        wrong.append(FieldError("?limit", "is out of bounds", f"Between 1 and {most}."))


def _query(call: Call, request: AnyRequest, wrong: list[FieldError]) -> Mapping[str, Any]:
    known = {p.wire: p for p in call.parameters if p.place is Place.QUERY}
    sent: dict[str, Any] = {}
    raw = request.scope["query_string"].decode("latin-1")
    for name, value in parse_qsl(raw, keep_blank_values=True):
        if name not in known:
            choice = ", ".join(sorted(known)) or "none"
            wrong.append(FieldError(f"?{name}", "is not known", f"Known here: {choice}."))
        elif known[name].many:
            sent.setdefault(name, []).append(value)
        else:
            sent[name] = value
    return sent


def _take(found: dict[str, Any], parameter: Parameter, sent: Any, wrong: list[FieldError]) -> None:
    mark = {Place.QUERY: "?", Place.HEADER: "", Place.PATH: ""}[parameter.place]
    if sent is None:
        if parameter.required:
            wrong.append(FieldError(f"{mark}{parameter.wire}", "is required", "Add it."))
        else:
            found[parameter.name] = parameter.default
        return
    try:
        found[parameter.name] = msgspec.convert(sent, parameter.kind, strict=False)
    except ValidationError as error:
        inside = problems.field_error(str(error))
        pointer = f"{mark}{parameter.wire}{inside.pointer}"
        wrong.append(FieldError(pointer, inside.reason, inside.hint))


async def _body(parameter: Parameter, request: AnyRequest, wrong: list[FieldError]) -> Any:
    media_type = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        say = f"Send {JSON}, not {media_type or 'nothing'}."
        raise Problem(Fault.UNSUPPORTED_MEDIA_TYPE, say)
    body = await request.body()
    if parameter.kind is Raw:
        return Raw(body)
    if not body:
        if parameter.required:
            raise Problem(Fault.MALFORMED, "The request needs a JSON body.")
        return parameter.default
    try:
        return msgspec.json.decode(body, type=parameter.kind)
    except ValidationError as error:
        all_wrong = problems.field_errors(msgspec.json.decode(body), parameter.kind)
        wrong.extend(all_wrong or (problems.field_error(str(error)),))
    except (DecodeError, RecursionError) as error:  # nested deeper than anything we know
        say = "The body is not valid JSON."
        raise Problem(Fault.MALFORMED, say, because=str(error)) from error
    return None
