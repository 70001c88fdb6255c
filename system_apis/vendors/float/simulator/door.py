"""Answers Float's addresses: one shape for every collection."""

from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Document, Kit, Receive, Reply, Send
from system_apis.vendors.float.simulator.refusals import JSON, Refused
from system_apis.vendors.float.simulator.shapes import SHAPES, Shape
from system_apis.vendors.float.simulator.team import Team

API = "/v3"
PER_PAGE, PER_PAGE_MAX = 50, 200
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._team = kit, Team(kit.store)
        self._minute = -1
        self._used = {"GET": 0, "WRITE": 0}
        collection, one = f"{API}/{{collection}}", f"{API}/{{collection}}/{{id}}"
        self._router = Router(
            routes=[
                Route(collection, self._wire(GET=self._list, POST=self._create), methods=_METHODS),
                Route(
                    one,
                    self._wire(GET=self._show, PATCH=self._change, DELETE=self._remove),
                    methods=_METHODS,
                ),
                Route("/{rest:path}", self._wire(), methods=_METHODS),
            ]
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def _wire(self, **handlers: Callable[[Request, bytes], Reply]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                self._admit(request)
                if not handlers:
                    raise Refused(404, "Page not found.")
                if request.method not in handlers:
                    words = f"Method Not Allowed. This URL can only handle: {', '.join(handlers)}."
                    raise Refused(405, words)
                reply = handlers[request.method](request, body)
            except Refused as refused:
                reply = refused.reply()
            return Response(reply.body, reply.status, reply.headers)

        return answer

    def _admit(self, request: Request) -> None:
        account = self._kit.store.get("setting", "account") or {}
        given = request.headers.get("authorization", "")
        if not account.get("token") or given != f"Bearer {account['token']}":
            raise Refused(401, "Your request was made with invalid credentials.")
        agent = request.headers.get("user-agent", "")
        if "(" not in agent or "@" not in agent:
            raise Refused(403, "A User-Agent with the application's name and contact is required.")
        lane, name, default = "WRITE", "writes_per_min", 1000
        if request.method == "GET":
            lane, name, default = "GET", "gets_per_min", 2000
        minute = int(self._kit.clock().timestamp()) // 60
        if minute != self._minute:
            self._minute, self._used = minute, {"GET": 0, "WRITE": 0}
        self._used[lane] += 1
        if self._used[lane] > account.get(name, default):
            raise Refused(429, "Rate limit exceeded.")

    def _list(self, request: Request, body: bytes) -> Reply:
        name, shape = _shape(request)
        query = request.query_params
        page, size = _natural(query.get("page"), 1), _natural(query.get("per-page"), PER_PAGE)
        size = min(size, PER_PAGE_MAX)
        shown = [_shown(shape, doc, query) for doc in self._found(name, shape, query)]
        shown = _sorted(shown, query.get("sort", ""))
        headers = JSON | {
            "x-pagination-total-count": str(len(shown)),
            "x-pagination-page-count": str(max(1, -(-len(shown) // size))),
            "x-pagination-current-page": str(page),
            "x-pagination-per-page": str(size),
        }
        part = [_chosen(doc, query) for doc in shown[(page - 1) * size : page * size]]
        return Reply(200, msgspec.json.encode(part), headers)

    def _found(self, name: str, shape: Shape, query: Mapping[str, str]) -> list[Document]:
        where: dict[str, object] = {
            field.name: _number(query[field.name])
            for field in shape.fields.values()
            if field.filters and query.get(field.name)
        }
        if shape.days:
            first, last = shape.days
            if query.get("start_date"):
                where[f"{last} >="] = query["start_date"]
            if query.get("end_date"):
                where[f"{first} <="] = query["end_date"]
        since = _utc(query.get("modified_since")) if shape.since else None
        return self._kit.store.list(name, updated_since=since, where=where, order="id")

    def _create(self, request: Request, body: bytes) -> Reply:
        name, shape = _shape(request)
        return _json(201, _shown(shape, self._team.create(name, _object(body)), {}))

    def _show(self, request: Request, body: bytes) -> Reply:
        name, shape = _shape(request)
        doc = _shown(shape, self._team.one(name, request.path_params["id"]), {})
        return _json(200, _chosen(doc, request.query_params))

    def _change(self, request: Request, body: bytes) -> Reply:
        name, shape = _shape(request)
        changed = self._team.change(name, request.path_params["id"], _object(body))
        return _json(200, _shown(shape, changed, {}))

    def _remove(self, request: Request, body: bytes) -> Reply:
        name, _ = _shape(request)
        self._team.one(name, request.path_params["id"])
        self._kit.store.delete(name, request.path_params["id"])
        return Reply(204)


def _shape(request: Request) -> tuple[str, Shape]:
    name = request.path_params["collection"]
    if name not in SHAPES:
        raise Refused(404, "Page not found.")
    return name, SHAPES[name]


def _shown(shape: Shape, doc: Document, query: Mapping[str, str]) -> dict[str, Any]:
    """Every field, null or defaulted. created and modified are whole seconds in UTC [U]."""
    out: dict[str, Any] = {field.name: field.default for field in shape.fields.values()}
    out |= {name: value for name, value in doc.items() if not name.startswith("_")}
    if "people_ids" in out and out["people_ids"] is None:
        out["people_ids"] = [out["people_id"]]
    for name, field in (("created", "_created_at"), ("modified", "_updated_at")):
        at = datetime.fromisoformat(doc[field]).astimezone(UTC)
        out[name] = at.strftime("%Y-%m-%d %H:%M:%S")
    return out


def _chosen(shown: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """`fields=name,email`."""
    names = [name.strip() for name in query.get("fields", "").split(",") if name.strip()]
    return {name: shown[name] for name in names if name in shown} if names else shown


def _sorted(shown: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """`sort=-modified`; an unknown field sorts nothing, null comes first."""
    name = by.removeprefix("-")
    if not by or not shown or name not in shown[0]:
        return shown
    return sorted(
        shown,
        key=lambda doc: (doc[name] is not None, doc[name] if doc[name] is not None else 0),
        reverse=by.startswith("-"),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise Refused(400, "Invalid JSON data in request body: Syntax error.") from error
    if not isinstance(given, dict):
        raise Refused(400, "The request body is not an object.")
    return given


def _json(status: int, body: Any) -> Reply:
    return Reply(status, msgspec.json.encode(body), JSON)


def _natural(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else default


def _number(text: str) -> object:
    return int(text) if text.isdecimal() else text


def _utc(text: str | None) -> str | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        words = "The format of Modified since is invalid."
        raise Refused(422, words, [("modified_since", words)]) from error
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).isoformat(timespec="microseconds")
