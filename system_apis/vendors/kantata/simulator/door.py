"""Answers Kantata's addresses: tokens, and every resource in the Brainstem envelope."""

from collections.abc import Callable, Mapping, MutableMapping
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Document, Kit, Receive, Reply, Send
from system_apis.vendors.kantata.simulator import oauth
from system_apis.vendors.kantata.simulator.firm import Firm, bulk_ids
from system_apis.vendors.kantata.simulator.refusals import Refused, missing
from system_apis.vendors.kantata.simulator.resources import RESOURCES
from system_apis.vendors.kantata.simulator.search import Search
from system_apis.vendors.kantata.simulator.values import meta, page, shown

API = "/api/v1"
_BULK = {
    "timesheet_approvals": "approve",
    "timesheet_rejections": "reject",
    "timesheet_cancellations": "cancel",
}
Handler = Callable[[Request, bytes, str | None], Reply]


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._firm, self._search = kit, Firm(kit), Search(kit)
        self._desk = oauth.Desk(kit)
        routes = [
            self._route("/oauth/token", open_to_all=True, POST=self._desk.issue),
            self._route("/oauth/revoke", open_to_all=True, POST=self._desk.revoke),
        ]
        for name, action in _BULK.items():
            routes.append(self._route(f"{API}/{name}", POST=self._bulk(name, action)))
        submission = f"{API}/timesheet_submissions/{{id}}"
        for action in ("approve", "reject", "cancel"):
            routes.append(self._route(f"{submission}/{action}", PUT=self._resolve(action)))
        routes += [
            self._route(f"{API}/invoices/{{id}}/cancel", PUT=self._cancel_invoice),
            self._route(f"{API}/{{collection}}", GET=self._index, POST=self._create),
            self._route(
                f"{API}/{{collection}}/{{id}}",
                GET=self._show,
                PUT=self._update,
                DELETE=self._remove,
            ),
        ]
        self._router = Router(routes=routes)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """`/workspaces.json` is `/workspaces`."""
        scope["path"] = scope["path"].removesuffix(".json")
        await self._router(scope, receive, send)

    def _route(self, path: str, open_to_all: bool = False, **handlers: Handler) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                user = None if open_to_all else self._desk.user(request)
                reply = handlers[request.method](request, body, user)
            except Refused as refused:
                reply = refused.reply()
            number = self._kit.random.getrandbits(64)
            headers = reply.headers | {"x-request-id": f"{number:016x}"}
            return Response(reply.body, reply.status, headers)

        return Route(path, answer, methods=list(handlers))

    def _index(self, request: Request, body: bytes, user: str | None) -> Reply:
        collection, query = _collection(request), request.query_params
        limit, offset = page(query, RESOURCES[collection].most_per_page)
        docs, count = self._search.find(collection, query, limit, offset)
        return self._enveloped(collection, docs, query, meta(count, limit, offset))

    def _show(self, request: Request, body: bytes, user: str | None) -> Reply:
        collection = _collection(request)
        doc = self._kit.store.get(collection, request.path_params["id"])
        if doc is None or self._search.hides(collection, doc, request.query_params):
            raise missing()
        return self._enveloped(collection, [doc], request.query_params, meta(1, 20, 0))

    def _create(self, request: Request, body: bytes, user: str | None) -> Reply:
        collection = _collection(request)
        doc = self._firm.create(collection, _wrapped(request, body, collection), user)
        return self._enveloped(collection, [doc], request.query_params, meta(1, 20, 0), 201)

    def _update(self, request: Request, body: bytes, user: str | None) -> Reply:
        collection, id = _collection(request), request.path_params["id"]
        doc = self._firm.change(collection, id, _wrapped(request, body, collection), user)
        return self._enveloped(collection, [doc], request.query_params, meta(1, 20, 0))

    def _remove(self, request: Request, body: bytes, user: str | None) -> Reply:
        self._firm.remove(_collection(request), request.path_params["id"], user)
        return Reply(204)

    def _resolve(self, action: str) -> Handler:
        def resolve(request: Request, body: bytes, user: str | None) -> Reply:
            given = _decoded(request, body).get("timesheet_submission")
            words = given.get("resolution_description", "") if isinstance(given, dict) else ""
            doc = self._firm.resolve(request.path_params["id"], action, str(words), user)
            return self._enveloped("timesheet_submissions", [doc], {}, meta(1, 20, 0))

        return resolve

    def _bulk(self, name: str, action: str) -> Handler:
        """All or nothing [U]."""

        def resolve(request: Request, body: bytes, user: str | None) -> Reply:
            ids = bulk_ids(_decoded(request, body), name.removesuffix("s"))
            with self._kit.store.transaction():
                docs = [self._firm.resolve(id, action, "", user) for id in ids]
            about = meta(len(docs), max(len(docs), 1), 0)
            return self._enveloped("timesheet_submissions", docs, {}, about, 201)

        return resolve

    def _cancel_invoice(self, request: Request, body: bytes, user: str | None) -> Reply:
        doc = self._firm.cancel_invoice(request.path_params["id"], user)
        return self._enveloped("invoices", [doc], {}, meta(1, 20, 0))

    def _enveloped(
        self,
        collection: str,
        docs: list[Document],
        query: Mapping[str, str],
        about: dict[str, int],
        status: int = 200,
    ) -> Reply:
        included = _names(query.get("include", ""))
        optional = _names(query.get("optional_fields", ""))
        self._search.linked(collection, docs, included)
        tables: dict[str, dict[str, Any]] = {collection: {}}
        for doc in docs:
            tables[collection][doc["_id"]] = shown(RESOURCES[collection], doc, included, optional)
        for other, found in self._search.beside(collection, docs, included):
            table = tables.setdefault(other, {})
            for doc in found:
                table.setdefault(doc["_id"], shown(RESOURCES[other], doc, (), ()))
        results = [{"key": collection, "id": doc["_id"]} for doc in docs]
        body = {"count": about["count"], "results": results} | tables | {"meta": about}
        headers = {"content-type": "application/json; charset=utf-8"}
        return Reply(status, msgspec.json.encode(body), headers)


def _collection(request: Request) -> str:
    name: str = request.path_params["collection"]
    if name not in RESOURCES:
        raise missing()
    return name


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _wrapped(request: Request, body: bytes, collection: str) -> dict[str, Any]:
    """The singular name around the attributes, as Rails wants it."""
    singular = RESOURCES[collection].singular
    inner = _decoded(request, body).get(singular)
    if not isinstance(inner, dict) or not inner:
        raise Refused(400, "system", f"param is missing or the value is empty: {singular}")
    return inner


def _decoded(request: Request, body: bytes) -> dict[str, Any]:
    """JSON or Rails form encoding: `time_entry[notes]=x`, `ids[]=1`."""
    if not body:
        return {}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _form(body.decode())
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(400, "system", "There was a problem in the JSON you submitted") from error
    return found if isinstance(found, dict) else {}


def _form(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        first, *rest = name.replace("]", "").split("[")
        at, path = tree, [first, *rest]
        for step, following in pairwise(path):
            at = at.setdefault(step, [] if following == "" else {})
        if isinstance(at, list):
            at.append(value)
        else:
            at[path[-1]] = value
    return tree
