"""Answers Salesforce's addresses: tokens, records, queries, collections and composites."""

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router, compile_path

from system_apis.simulator import Kit, Receive, Reply, Send
from system_apis.vendors.salesforce.simulator import numbers, oauth
from system_apis.vendors.salesforce.simulator.composite import Composite
from system_apis.vendors.salesforce.simulator.describe import described, globally
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Object
from system_apis.vendors.salesforce.simulator.org import Many, Org
from system_apis.vendors.salesforce.simulator.refusals import JSON, Refused, missing, spent, usage
from system_apis.vendors.salesforce.simulator.replication import Replication
from system_apis.vendors.salesforce.simulator.search import Search
from system_apis.vendors.salesforce.simulator.values import shown

DATA = "/services/data"
VERSIONS = range(55, 63)
_BATCH = re.compile(r"batchSize\s*=\s*(\d+)")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Call(Struct, frozen=True):
    """One request, from the wire or from inside a composite."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: str

    @property
    def version(self) -> str:
        """As asked for: v62.0."""
        return self.params["version"]

    def object(self) -> Object:
        """The object the address names."""
        found = OBJECTS.get(self.params["object"].lower())
        if found is None:
            raise missing()
        return found

    def fields(self) -> dict[str, Any]:
        """The body, which must be an object."""
        try:
            found = numbers.decode(self.body)
        except msgspec.DecodeError as error:
            raise Refused(400, "JSON_PARSER_ERROR", str(error)) from error
        if not isinstance(found, dict):
            raise Refused(400, "JSON_PARSER_ERROR", "The HTTP entity body is not an object")
        return found

    def batch(self) -> int:
        """Rows a page: a hint from 200 to 2000."""
        hint = _BATCH.search(self.headers.get("sforce-query-options", ""))
        return min(2000, max(200, int(hint[1]))) if hint else 2000


Handler = Callable[[Call], Reply]


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._org, self._search = kit, Org(kit), Search(kit)
        self._desk = oauth.Desk(kit)
        self._table = self._handlers()
        prefix = f"{DATA}/{{version}}"
        self._paths = [(compile_path(prefix + path)[0], path) for path in self._table]
        routes = [
            Route("/services/oauth2/token", self._token, methods=["POST"]),
            Route(DATA, self._versions, methods=["GET"]),
            *(Route(prefix + path, self._wire(path), methods=_METHODS) for path in self._table),
            Route(f"{DATA}/{{rest:path}}", self._wire(None), methods=_METHODS),
        ]
        self._router = Router(routes=routes, redirect_slashes=False)

    def _handlers(self) -> dict[str, dict[str, Handler]]:
        """By address below the version, and method."""
        many, copies = Composite(self._org, self._kit.store, self.inside), Replication(self._kit)
        row = "/sobjects/{object}/{id}"
        return {
            "": {"GET": self._resources},
            "/limits": {"GET": self._limits},
            "/limits/recordCount": {"GET": self._record_count},
            "/query": {"GET": self._query(False)},
            "/query/{locator}": {"GET": self._more},
            "/queryAll": {"GET": self._query(True)},
            "/queryAll/{locator}": {"GET": self._more},
            "/composite": {"POST": lambda call: many.composite(call.fields(), call.user)},
            "/composite/sobjects": {
                "POST": lambda call: many.create(call.fields(), call.user),
                "PATCH": lambda call: many.update(call.fields(), call.user),
            },
            "/composite/sobjects/{object}/{field}": {
                "PATCH": lambda call: many.upsert(
                    call.object(), call.params["field"], call.fields(), call.user
                ),
            },
            "/sobjects": {"GET": lambda call: _json(200, globally(call.version))},
            "/sobjects/{object}": {"GET": self._basic, "POST": self._create},
            "/sobjects/{object}/describe": {
                "GET": lambda call: _json(200, described(call.object(), call.version))
            },
            "/sobjects/{object}/deleted": {
                "GET": lambda call: _json(200, copies.deleted(call.object(), call.query))
            },
            "/sobjects/{object}/updated": {
                "GET": lambda call: _json(200, copies.updated(call.object(), call.query))
            },
            row: {"GET": self._read, "PATCH": self._update, "DELETE": self._remove},
            "/sobjects/{object}/{field}/{value:path}": {
                "GET": self._read_by, "PATCH": self._upsert, "DELETE": self._remove_by,
            },
        }  # fmt: skip

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A slash at the end changes nothing."""
        scope["path"] = scope["path"].rstrip("/")
        await self._router(scope, receive, send)

    def inside(self, method: str, url: str, body: Any, user: str) -> Reply:
        """A part of a composite."""
        path, _, query = url.partition("?")
        for pattern, name in self._paths:
            if match := pattern.match(path.rstrip("/")):
                content = numbers.encode(body) if body is not None else b""
                asked = dict(parse_qsl(query, keep_blank_values=True))
                return self._answer(name, method, Call(match.groupdict(), asked, {}, content, user))
        return missing().reply()

    def _wire(self, path: str | None) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            body = await request.body()
            headers = {}
            try:
                user = self._desk.user(request.headers.get("authorization", ""))
                headers = self._used()
                call = Call(request.path_params, request.query_params, request.headers, body, user)
                reply = self._answer(path, request.method, call)
            except Refused as refused:
                reply = refused.reply()
            headers = headers or self._used(still_allowed=False)
            return Response(reply.body, reply.status, headers | reply.headers)

        return answer

    def _answer(self, path: str | None, method: str, call: Call) -> Reply:
        try:
            if path is None or not re.fullmatch(r"v\d\d\.0", call.version):
                raise missing()
            handlers = self._table[path]
            if method not in handlers:
                words = f"HTTP Method '{method}' not allowed. Allowed are {','.join(handlers)}"
                raise Refused(405, "METHOD_NOT_ALLOWED", words)
            return handlers[method](call)
        except Refused as refused:
            return refused.reply()
        except Many as many:
            url = f"{DATA}/{call.version}/sobjects/{many.one.name}"
            return _json(300, [f"{url}/{id}" for id in many.ids])

    def _used(self, still_allowed: bool = True) -> dict[str, str]:
        """Counts a call; the count of a day survives a restart. Refused calls count nothing."""
        limit, day = self._limit(), f"usage.{self._kit.clock():%Y-%m-%d}"
        kept = self._kit.store.get("usage", day) or {"calls": 0}
        if still_allowed:
            if kept["calls"] >= limit:
                raise spent()
            kept["calls"] += 1
            self._kit.store.put("usage", day, kept)
        return usage(kept["calls"], limit)

    def _limit(self) -> int:
        return int(self._desk.setting().get("daily_limit", 100000))

    async def _token(self, request: Request) -> Response:
        reply = self._desk.issue(request, await request.body())
        return Response(reply.body, reply.status, reply.headers)

    async def _versions(self, request: Request) -> Response:
        """Open to all."""
        found = [
            {"label": f"v{number}", "url": f"{DATA}/v{number}.0", "version": f"{number}.0"}
            for number in VERSIONS
        ]
        reply = _json(200, found)
        headers = reply.headers | self._used(still_allowed=False)
        return Response(reply.body, reply.status, headers)

    def _resources(self, call: Call) -> Reply:
        names = ("sobjects", "query", "queryAll", "limits", "composite")
        return _json(200, {name: f"{DATA}/{call.version}/{name}" for name in names})

    def _limits(self, call: Call) -> Reply:
        used = self._kit.store.get("usage", f"usage.{self._kit.clock():%Y-%m-%d}")
        left = self._limit() - (used or {"calls": 0})["calls"]
        return _json(200, {"DailyApiRequests": {"Max": self._limit(), "Remaining": left}})

    def _record_count(self, call: Call) -> Reply:
        """Objects that are not there, or empty, are left out."""
        names = call.query.get("sObjects", "").split(",")
        known = [OBJECTS[name.lower()] for name in names if name.lower() in OBJECTS]
        counts = [{"count": self._search.count(one), "name": one.name} for one in known]
        return _json(200, {"sObjects": [count for count in counts if count["count"]]})

    def _query(self, deleted: bool) -> Handler:
        def answer(call: Call) -> Reply:
            text = call.query.get("q", "")
            return _json(200, self._search.query(text, call.version, call.batch(), deleted))

        return answer

    def _more(self, call: Call) -> Reply:
        return _json(200, self._search.more(call.params["locator"], call.version, call.batch()))

    def _basic(self, call: Call) -> Reply:
        about = globally(call.version)["sobjects"]
        one = call.object()
        found = next(item for item in about if item["name"] == one.name)
        return _json(200, {"objectDescribe": found, "recentItems": []})

    def _create(self, call: Call) -> Reply:
        id = self._org.create(call.object(), call.fields(), call.user)
        location = f"{DATA}/{call.version}/sobjects/{call.object().name}/{id}"
        return _json(201, {"id": id, "success": True, "errors": []}, location=location)

    def _read(self, call: Call) -> Reply:
        return self._shown(call, self._org.read(call.object(), call.params["id"]))

    def _read_by(self, call: Call) -> Reply:
        found = self._org.matching(call.object(), call.params["field"], call.params["value"])
        if not found:
            raise missing()
        if len(found) > 1:
            raise Many(call.object(), [doc["_id"] for doc in found])
        return self._shown(call, found[0])

    def _shown(self, call: Call, doc: dict[str, Any]) -> Reply:
        one = call.object()
        names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
        fields = [one.field(name) for name in names] if names else list(one.fields.values())
        for name, field in zip(names, fields, strict=False):
            if field is None:
                words = f"No such column '{name}' on sobject of type {one.name}"
                raise Refused(400, "INVALID_FIELD", words)
        return _json(200, shown(one, doc, [field for field in fields if field], call.version))

    def _update(self, call: Call) -> Reply:
        self._org.update(call.object(), call.params["id"], call.fields(), call.user)
        return Reply(204)

    def _upsert(self, call: Call) -> Reply:
        one, name = call.object(), call.params["field"]
        given = call.fields()
        if name.lower() in (field.lower() for field in given):
            words = f"The {name} field should not be specified in the sobject data."
            raise Refused(400, "INVALID_FIELD", words)
        id, created = self._org.upsert(one, name, call.params["value"], given, call.user)
        if not created and int(call.version[1:3]) < 46:
            return Reply(204)  # [U]
        body = {"id": id, "success": True, "errors": [], "created": created}
        return _json(201 if created else 200, body)

    def _remove(self, call: Call) -> Reply:
        self._org.remove(call.object(), call.params["id"])
        return Reply(204)

    def _remove_by(self, call: Call) -> Reply:
        found = self._org.matching(call.object(), call.params["field"], call.params["value"])
        if not found:
            raise missing()
        self._org.remove(call.object(), found[0]["_id"])
        return Reply(204)


def _json(status: int, body: Any, **headers: str) -> Reply:
    return Reply(status, numbers.encode(body), JSON | headers)
