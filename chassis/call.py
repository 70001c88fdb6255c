"""This file exists to call a port in another process as if it were here.

Owns   the connections to one tier. Ids, trace and deadline travel along.
Fails  the Problem the other side raised. UNAVAILABLE: nothing was sent. UPSTREAM_BROKEN,
       DEADLINE_EXCEEDED: it may have happened. Only safe operations, and those given an
       idempotency key, are sent again.
"""

from collections.abc import Awaitable, Callable
from types import NoneType
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec
from typing_extensions import TypeForm

from chassis import identity, problems, travel, versions
from chassis.identity import Signer
from chassis.limiter import Limits
from chassis.outbound import INSIDE, Outbound, Outgoing, Reply
from chassis.signature import ABSENT, Call, Place, calls
from contracts.problem import Fault, Problem

T = TypeVar("T")


class Closes(Protocol):
    """Every client has it, beside the port's methods."""

    async def aclose(self) -> None: ...


def client(
    port: TypeForm[T],
    base_url: str,
    *,
    signer: Signer | None = None,
    key: str = "",
    prefix: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
    limits: Limits | None = None,
    subject: str = "",
) -> T:
    """An object with the port's methods, each one HTTP call to `base_url` + prefix.

    subject: who calls, by default the signer's tier itself; whoever is behind it (the principal
    that travels) goes along as actor. key: an API key instead of a signer, for a caller outside
    the gateway; it says which version it speaks, whatever the key is pinned to. Close with `close`.
    """
    described = calls(cast(type, port))
    outside = {"authorization": f"Bearer {key}", "firmwire-version": versions.head()}
    peer = f"{getattr(port, '__name__', port)}{prefix.replace('/', '.')}".lower()

    async def proof(_outgoing: Outgoing) -> dict[str, str]:
        if signer is None:
            return outside
        who = subject or signer.issuer
        scopes = frozenset(call.operation.scope for call in described)
        return {identity.HEADER: signer.assertion(who, scopes, actor=_actor())}

    outbound = Outbound(
        base_url + prefix, peer=peer, auth=proof, words=INSIDE,
        limits=limits or Limits(concurrency=64), transport=transport,
    )  # fmt: skip
    methods: dict[str, Any] = {call.name: _method(call, outbound) for call in described}
    methods["aclose"] = staticmethod(outbound.aclose)
    made = type(f"{getattr(port, '__name__', 'Port')}Client", (), methods)()
    return cast(T, made)


async def close(*clients: object) -> None:
    """Close what `client` made."""
    for made in clients:
        await cast(Closes, made).aclose()


def _actor() -> str:
    now = travel.current()
    if now is None or now.principal is None:
        return ""
    return now.principal.actor or now.principal.subject


def _method(call: Call, outbound: Outbound) -> Callable[..., Awaitable[Any]]:
    names = [parameter.name for parameter in call.parameters]
    decoder = None if call.returns is NoneType else msgspec.json.Decoder(call.returns)

    async def method(_self: object, *positional: Any, **named: Any) -> Any:
        arguments = dict(zip(names, positional, strict=False)) | named
        path, query, headers, body = _written(call, arguments)
        safe = call.operation.safe or bool(arguments.get("idempotency_key"))
        reply = await outbound.send(
            call.operation.method, path, query=query, body=body, headers=headers,
            safe=safe, deadline_s=call.operation.deadline_s, template=call.operation.path,
        )  # fmt: skip
        return _read(call, decoder, reply)

    method.__name__ = call.name
    method.__doc__ = call.tells
    return method


def _written(
    call: Call, arguments: dict[str, Any]
) -> tuple[str, dict[str, Any], dict[str, str], bytes | None]:
    """Path, query, headers and body of one call. Defaults are not sent."""
    path, body = call.operation.path, None
    query: dict[str, Any] = {}
    headers = {"accept": "application/json"}
    known = {parameter.name: parameter for parameter in call.parameters}
    if unknown := arguments.keys() - known.keys():
        raise TypeError(f"{call.name} takes no {sorted(unknown)}")
    for name, parameter in known.items():
        if name not in arguments:
            if parameter.required:
                raise TypeError(f"{call.name} needs {name}")
            continue
        value = arguments[name]
        if parameter.place is Place.PATH:
            path = path.replace(f"{{{name}}}", quote(str(msgspec.to_builtins(value)), safe=""))
        elif parameter.place is Place.BODY:
            body = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
            headers["content-type"] = "application/json"
        elif parameter.place is Place.HEADER:
            if value:
                headers[parameter.wire] = value
        elif value is not None and value != parameter.default:
            query[parameter.wire] = value
    return path, query, headers, body


def _read(call: Call, decoder: msgspec.json.Decoder[Any] | None, reply: Reply) -> Any:
    if reply.ok:
        if decoder is None:
            return None
        try:
            return decoder.decode(reply.body)
        except msgspec.DecodeError as error:
            because = f"{call.name}: {error}: {reply.body[:200]!r}"
            say = "A service inside answered in a shape we do not know."
            raise Problem(Fault.UPSTREAM_BROKEN, say, because=because) from error
    if reply.status == 404 and call.absent and ABSENT in reply.headers:
        return None
    raise problems.received(reply.status, reply.headers.get("content-type", ""), reply.body)
