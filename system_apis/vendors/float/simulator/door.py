"""Answers Float's addresses: one shape for every collection."""

from collections.abc import MutableMapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Document, Kit, Receive, Reply, Send
from system_apis.vendors.float.simulator.refusals import JSON, Refused

API = "/v3"
PER_PAGE, PER_PAGE_MAX = 50, 200


class Shape(Struct, frozen=True):
    """key: the id's name. required: of a create. filters: query names a list understands."""

    key: str
    required: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    writable: bool = True


SHAPES = {
    "people": Shape("people_id", ("name",), ("active", "email")),
    "roles": Shape("id", ("name",)),
    "clients": Shape("client_id", ("name",)),
    "projects": Shape("project_id", ("name",), ("client_id", "active")),
    "phases": Shape("phase_id", ("name", "project_id"), ("project_id",)),
    "project-tasks": Shape("task_meta_id", ("task_name", "project_id"), ("project_id",)),
    "tasks": Shape(
        "task_id",
        ("people_id", "project_id", "start_date", "end_date", "hours"),
        ("people_id", "project_id", "status"),
    ),
    "logged-time": Shape(
        "logged_time_id", ("people_id", "project_id", "date", "hours"), ("people_id", "project_id")
    ),
    "timeoffs": Shape("timeoff_id", ("people_ids", "start_date", "end_date"), ()),
}


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._minute = -1
        self._used = {"GET": 0, "WRITE": 0}
        self._router = Router(
            routes=[
                Route(f"{API}/{{collection}}", self._collection, methods=["GET", "POST"]),
                Route(
                    f"{API}/{{collection}}/{{id}}", self._one, methods=["GET", "PATCH", "DELETE"]
                ),
            ]
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    async def _collection(self, request: Request) -> Response:
        body = await request.body()
        return self._answer(request, lambda: self._many(request, body))

    async def _one(self, request: Request) -> Response:
        body = await request.body()
        return self._answer(request, lambda: self._single(request, body))

    def _answer(self, request: Request, work: Any) -> Response:
        try:
            self._admit(request)
            reply = work()
        except Refused as refused:
            reply = refused.reply()
        return Response(reply.body, reply.status, reply.headers)

    def _admit(self, request: Request) -> None:
        account = self._kit.store.get("setting", "account") or {}
        if request.headers.get("authorization") != f"Bearer {account.get('token')}":
            raise Refused(401, "Your request was made with invalid credentials.")
        agent = request.headers.get("user-agent", "")
        if "(" not in agent or "@" not in agent:
            raise Refused(403, "A User-Agent with the application's name and contact is required.")
        lane = "GET" if request.method == "GET" else "WRITE"
        minute = int(self._kit.clock().timestamp()) // 60
        if minute != self._minute:
            self._minute, self._used = minute, {"GET": 0, "WRITE": 0}
        self._used[lane] += 1
        default = 2000 if lane == "GET" else 1000
        most = account.get("gets_per_min" if lane == "GET" else "writes_per_min", default)
        if self._used[lane] > most:
            raise Refused(429, "Rate limit exceeded.")

    def _many(self, request: Request, body: bytes) -> Reply:
        name, shape = _shape(request)
        if request.method == "POST":
            return self._create(name, shape, body)
        query = request.query_params
        where: dict[str, object] = {
            field: _number(query[field]) for field in shape.filters if field in query
        }
        since = query.get("modified_since")
        page, size = _natural(query.get("page"), 1), _natural(query.get("per-page"), PER_PAGE)
        size = min(size, PER_PAGE_MAX)
        docs = self._kit.store.list(name, updated_since=_utc(since), where=where, order="id")
        pages = max(1, -(-len(docs) // size))
        headers = JSON | {
            "x-pagination-total-count": str(len(docs)),
            "x-pagination-page-count": str(pages),
            "x-pagination-current-page": str(page),
            "x-pagination-per-page": str(size),
        }
        shown = [_shown(doc) for doc in docs[(page - 1) * size : page * size]]
        return Reply(200, msgspec.json.encode(shown), headers)

    def _create(self, name: str, shape: Shape, body: bytes) -> Reply:
        given = _object(body)
        for field in shape.required:
            if given.get(field) in (None, ""):
                label = field.replace("_", " ").capitalize()
                raise Refused(422, f"{label} cannot be blank.", field)
        self._check(name, given)
        number = self._kit.store.next_id(name)
        id = f"{number:024x}" if name == "logged-time" else str(number)
        given[shape.key] = id if name == "logged-time" else number
        if name == "tasks":
            given.setdefault("status", 2)
            given.setdefault("notes", "")
        made = self._kit.store.put(name, id, given)
        return Reply(201, msgspec.json.encode(_shown(made)), JSON)

    def _check(self, name: str, given: dict[str, Any]) -> None:
        if name != "tasks":
            return
        for field, kind in (("people_id", "people"), ("project_id", "projects")):
            if field in given and self._kit.store.get(kind, str(given[field])) is None:
                raise Refused(422, f"{field.replace('_', ' ').capitalize()} is invalid.", field)
        start, end = given.get("start_date"), given.get("end_date")
        if start and end and date.fromisoformat(start) > date.fromisoformat(end):
            raise Refused(422, "End date must not be before start date.", "end_date")

    def _single(self, request: Request, body: bytes) -> Reply:
        name, _ = _shape(request)
        id = request.path_params["id"]
        doc = self._kit.store.get(name, id)
        if doc is None:
            raise Refused(404, f"Object not found: {id}")
        if request.method == "DELETE":
            self._kit.store.delete(name, id)
            return Reply(204)
        if request.method == "PATCH":
            changed = doc | _object(body)
            self._check(name, changed)
            doc = self._kit.store.put(name, id, changed)
        return Reply(200, msgspec.json.encode(_shown(doc)), JSON)


def _shape(request: Request) -> tuple[str, Shape]:
    name = request.path_params["collection"]
    if name not in SHAPES:
        raise Refused(404, "Page not found.")
    return name, SHAPES[name]


def _shown(doc: Document) -> dict[str, Any]:
    """created and modified are `YYYY-MM-DD HH:MM:SS` in UTC [U]."""
    out = {name: value for name, value in doc.items() if not name.startswith("_")}
    for name, field in (("created", "_created_at"), ("modified", "_updated_at")):
        at = datetime.fromisoformat(doc[field]).astimezone(UTC)
        out[name] = at.strftime("%Y-%m-%d %H:%M:%S")
    return out


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise Refused(400, "The request body is not valid JSON.") from error
    if not isinstance(given, dict):
        raise Refused(400, "The request body is not an object.")
    return given


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
        raise Refused(422, "Modified since is not a date.", "modified_since") from error
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).isoformat(timespec="microseconds")
