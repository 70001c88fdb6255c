"""This file exists to write the OpenAPI 3.1 document of ports, from the ports themselves.

Owns   nothing that lasts: handlers are made for the document alone and never served.
Fails  TypeError when a port cannot be put on the wire.
Source OpenAPI 3.1.0; Litestar makes the document, msgspec the schemas.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from litestar import Litestar, route
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import BodyKwarg, HeaderParameter, PathParameter, QueryParameter
from msgspec import Raw, Struct

from chassis import problems
from chassis.signature import Call, Place, calls
from contracts.problem import ProblemDocument


class Mounted(Struct, frozen=True):
    """A port where it is served. name: first part of its operation ids, and its tag."""

    port: Any
    prefix: str
    name: str


def document(title: str, version: str, mounts: Iterable[Mounted], *, tells: str = "") -> bytes:
    """The document as indented JSON with a line end, keys in a stable order."""
    handlers = [_described(call, mounted) for mounted in mounts for call in calls(mounted.port)]
    app = Litestar(
        route_handlers=handlers,
        openapi_config=OpenAPIConfig(
            title=title, version=version, description=tells or None,
            components=Components(security_schemes={"identity": _SCHEME}),
            create_examples=False,
        ),
    )  # fmt: skip
    schema = app.openapi_schema.to_schema()
    body = msgspec.json.encode(schema, order="sorted", enc_hook=str).decode()
    for long, short in _short_names(schema["components"]["schemas"]).items():
        body = body.replace(f'"{long}"', f'"{short}"').replace(f'/{long}"', f'/{short}"')
    return msgspec.json.format(body.encode(), indent=2) + b"\n"


_LAST = re.compile(r"\.([A-Z]\w*?)_(?=contracts\.|$)")
_SCHEME = SecurityScheme(
    type="http", scheme="bearer", description="An API key or access token, checked by the gateway."
)


def _short_names(schemas: Iterable[str]) -> dict[str, str]:
    """`Page_contracts.entities.finance.ErpInvoice_` as `PageOfErpInvoice`."""
    short: dict[str, str] = {}
    for long in schemas:
        generic, _, inner = long.partition("_")
        named = _LAST.findall(inner)
        if named:
            several = f"{named[0]}AndOthers" if len(named) > 1 else named[0]
            short[long] = f"{generic}Of{several}"
    if len(set(short.values())) < len(short):
        raise TypeError(f"two schemas would have one name: {sorted(short.values())}")
    return short


def _described(call: Call, mounted: Mounted) -> HTTPRouteHandler:
    path = mounted.prefix + call.operation.path
    for parameter in call.parameters:
        if parameter.place is Place.PATH:
            path = path.replace(f"{{{parameter.name}}}", f"{{{parameter.name}:str}}")
    summary, _, more = call.tells.partition("\n")
    scope = f"Needs the scope `{call.operation.scope}`."
    return route(
        path,
        http_method=call.operation.method,
        status_code=call.status,
        operation_id=f"{mounted.name}.{call.name}",
        tags=[mounted.name],
        summary=summary.rstrip("."),
        description=f"{more.strip()}\n\n{scope}".strip(),
        security=[{"identity": [call.operation.scope]}],
        responses=_responses(call),
        raises=[],
    )(_stand_in(call))


def _responses(call: Call) -> dict[int, ResponseSpec]:
    """What may go wrong: always who and how much, and what fits the operation."""
    told = {400: "The request cannot be read.", 401: "Who is calling is not proven.",
            403: "The scope is missing.",
            429: "Too many requests.", 503: "Not now; nothing was done.",
            504: "The time ran out; it may have happened."}  # fmt: skip
    if call.parameters:
        told[422] = "A field is missing or wrong."
    if call.absent or any(p.place is Place.PATH for p in call.parameters):
        told[404] = "There is no such thing."
    if not call.operation.safe:
        told[409] = "The state does not allow this, or the same request is still at work."
    return {
        status: ResponseSpec(
            ProblemDocument, description=what, media_type=problems.MEDIA_TYPE,
            generate_examples=False,
        )
        for status, what in sorted(told.items())
    }  # fmt: skip


def _stand_in(call: Call) -> Any:
    """A function with the signature Litestar documents: `data` for the body, headers by name."""

    async def stand_in(**_arguments: Any) -> Any:
        raise NotImplementedError("made for the document alone")

    parameters, hints = [], {}
    for parameter in call.parameters:
        name, kind = parameter.name, parameter.kind
        if parameter.place is Place.BODY:
            name, kind = "data", Any if kind is Raw else kind
            kind = Annotated[kind, BodyKwarg(media_type=RequestEncodingType.JSON)]
        elif parameter.place is Place.HEADER:
            kind = Annotated[kind, HeaderParameter(name=parameter.wire, required=False)]
        elif parameter.place is Place.PATH:
            kind = Annotated[kind, PathParameter()]
        elif parameter.place is Place.QUERY:  # `state` and others mean something to Litestar
            name = f"query_{name}"
            kind = Annotated[kind, QueryParameter(name=parameter.wire)]
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=parameter.default, annotation=kind
            )
        )
        hints[name] = kind
    returns = None if call.status == 204 else call.returns
    function: Any = stand_in
    function.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    function.__annotations__ = {**hints, "return": returns}
    function.__name__ = call.name
    return function
