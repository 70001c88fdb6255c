"""Answers NetSuite's REST addresses: who may come in, how many at once, and which room.

Fails: every Refused becomes an error body; anything else is a fault of the simulator itself.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Kit, Receive, Reply, Send
from system_apis.vendors.netsuite.simulator import jobs, suiteql
from system_apis.vendors.netsuite.simulator.fields import RECORDS
from system_apis.vendors.netsuite.simulator.records import How, Records
from system_apis.vendors.netsuite.simulator.refusals import Refused, limit_exceeded
from system_apis.vendors.netsuite.simulator.search import conditions
from system_apis.vendors.netsuite.simulator.tokens import Desk
from system_apis.vendors.netsuite.simulator.values import DECODER, ENCODER

Handler = Callable[[Request, bytes], Reply]
RESOURCE = "application/vnd.oracle.resource+json"
_ROOT = "/services/rest"
MOST_ITEMS = 1000


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._in_flight = kit, 0
        self._desk, self._records = Desk(kit), Records(kit)
        self._jobs = jobs.Jobs(kit)
        record = f"{_ROOT}/record/v1/{{record}}"
        self._router = Router(
            routes=[
                self._route(f"{_ROOT}/auth/oauth2/v1/token", POST=self._token),
                self._route(f"{_ROOT}/query/v1/suiteql", POST=self._suiteql),
                self._route(f"{_ROOT}/system/v1/governanceLimits", GET=self._limits),
                self._route(f"{_ROOT}/async/v1/job/{{job}}", GET=self._job),
                self._route(f"{_ROOT}/async/v1/job/{{job}}/task", GET=self._tasks),
                self._route(
                    f"{_ROOT}/async/v1/job/{{job}}/task/{{task}}/result", GET=self._job_result
                ),
                self._route(f"{_ROOT}/record/v1/metadata-catalog", GET=self._catalog),
                self._route(record, GET=self._collection, POST=self._create),
                self._route(
                    f"{record}/{{id}}",
                    GET=self._read,
                    PATCH=self._change,
                    PUT=self._upsert,
                    DELETE=self._remove,
                ),
                self._route(f"{record}/{{id}}/item", GET=self._lines),
                self._route(f"{record}/{{id}}/!transform/{{into}}", POST=self._transform),
            ]
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One place a call, up to what the account gives the integration."""
        limits = self._governance()
        unallocated = limits["accountUnallocatedConcurrencyLimit"]
        if self._in_flight >= limits.get("integrationConcurrencyLimit", unallocated):
            reply = limit_exceeded().reply()
            await _response(reply)(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._router(scope, receive, send)
        finally:
            self._in_flight -= 1

    def _account(self) -> Mapping[str, Any]:
        return self._kit.store.get("setting", "account") or {}

    def _route(self, path: str, **handlers: Handler) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                if " " in request.url.path or "%20" in request.url.path:
                    words = "Invalid url. Spaces are not allowed in the URL."
                    raise Refused(400, "INVALID_PARAMETER", words)
                if not path.endswith("/token"):
                    self._admit(request)
                reply = handlers[request.method](request, body)
            except Refused as refused:
                reply = refused.reply()
            return _response(reply)

        endpoint: Callable[[Request], Awaitable[Response]] = answer
        return Route(path, endpoint, methods=list(handlers))

    def _admit(self, request: Request) -> None:
        certificate = self._desk.holder(request.headers.get("authorization", ""))
        record = request.path_params.get("record") or request.url.path.rpartition("/")[2]
        if record in certificate.get("denied", ()):
            words = f"You do not have permissions to access the record type '{record}'."
            raise Refused(403, "INSUFFICIENT_PERMISSION", words)

    def _token(self, request: Request, body: bytes) -> Reply:
        return self._desk.issue(body, str(request.url).partition("?")[0])

    def _limits(self, request: Request, body: bytes) -> Reply:
        return _json(self._governance())

    def _governance(self) -> dict[str, Any]:
        account = self._account()
        limit = account.get("concurrency_limit", 15)
        limits: dict[str, Any] = {
            "accountConcurrencyLimit": limit,
            "accountUnallocatedConcurrencyLimit": account.get("unallocated_limit", limit),
            "integrationLimitType": "accountLimit",
        }
        if own := account.get("integration_limit"):
            specific = {"integrationLimitType": "integrationSpecific"}
            limits |= {"integrationConcurrencyLimit": own} | specific
        return limits

    def _create(self, request: Request, body: bytes) -> Reply:
        record = request.path_params["record"]
        return self._work(
            request, body, lambda: self._records.create(record, _object(body), _how(request))
        )

    def _change(self, request: Request, body: bytes) -> Reply:
        record, id = _named(request)
        return self._work(
            request, body, lambda: self._records.change(record, id, _object(body), _how(request))
        )

    def _upsert(self, request: Request, body: bytes) -> Reply:
        record, id = _named(request)
        return self._work(
            request, body, lambda: self._records.upsert(record, id, _object(body), _how(request))
        )

    def _transform(self, request: Request, body: bytes) -> Reply:
        (record, id), into = _named(request), request.path_params["into"]
        return self._work(
            request,
            body,
            lambda: self._records.transform(
                record, id, into, _object(body or b"{}"), _how(request)
            ),
            into,
        )

    def _remove(self, request: Request, body: bytes) -> Reply:
        self._records.remove(*_named(request))
        return Reply(204)

    def _work(
        self, request: Request, body: bytes, write: Callable[[], str], record: str = ""
    ) -> Reply:
        """A write, now or as a job. The job is done at once and told later."""
        record = record or request.path_params["record"]

        def done() -> Reply:
            try:
                where = f"{_base(request)}/record/v1/{record}/{write()}"
            except Refused as refused:
                return refused.reply()
            return Reply(204, b"", {"location": where})

        if "respond-async" not in request.headers.get("prefer", ""):
            return done()
        key = request.headers.get("x-netsuite-idempotency-key")
        return self._jobs.accept(key, done, f"{_ROOT}/async/v1/job")

    def _read(self, request: Request, body: bytes) -> Reply:
        record, id = _named(request)
        if record == "metadata-catalog":
            return _json(_schema(id), "application/schema+json")
        doc = self._records.find(record, id)
        base = f"{_base(request)}/record/v1"
        return _json(self._records.show(record, doc, base, request.query_params), RESOURCE)

    def _lines(self, request: Request, body: bytes) -> Reply:
        record, id = _named(request)
        doc = self._records.find(record, id)
        return _json(self._records.lines(doc, f"{_base(request)}/record/v1", False), RESOURCE)

    def _collection(self, request: Request, body: bytes) -> Reply:
        record, query = request.path_params["record"], request.query_params
        if record not in RECORDS:
            raise Refused(404, "NONEXISTENT_ID", f"Record type '{record}' does not exist.")
        spec = RECORDS[record]
        where = conditions(query.get("q", ""), spec.fields)
        if spec.kind in ("transaction", "entity"):
            where["recordType"] = record
        limit, offset = _page(query)
        store, here = self._kit.store, f"{_base(request)}/record/v1/{record}"
        total = store.count(spec.kind, where)
        found = store.list(spec.kind, where=where, limit=limit, offset=offset, order="id")
        items = [
            {"links": [{"rel": "self", "href": f"{here}/{doc['_id']}"}], "id": doc["_id"]}
            for doc in found
        ]
        return _json(_envelope(items, here, limit, offset, total), RESOURCE)

    def _suiteql(self, request: Request, body: bytes) -> Reply:
        if "transient" not in request.headers.get("prefer", ""):
            words = "Invalid value for header 'Prefer'. Use the header with value 'transient'."
            raise Refused(400, "INVALID_HEADER", words)
        limit, offset = _page(request.query_params)
        text = _object(body).get("q")
        if not isinstance(text, str):
            raise Refused(400, "INVALID_CONTENT", "Invalid content in the request body: q.")
        rows = suiteql.answer(self._kit.store, text)
        here = f"{_base(request)}/query/v1/suiteql"
        page = rows[offset : offset + limit]
        return _json(_envelope(page, here, limit, offset, len(rows)), RESOURCE)

    def _job(self, request: Request, body: bytes) -> Reply:
        return self._jobs.show(request.path_params["job"], f"{_base(request)}/async/v1/job")

    def _tasks(self, request: Request, body: bytes) -> Reply:
        return self._jobs.tasks(request.path_params["job"], f"{_base(request)}/async/v1/job")

    def _job_result(self, request: Request, body: bytes) -> Reply:
        return self._jobs.result(request.path_params["job"])

    def _catalog(self, request: Request, body: bytes) -> Reply:
        here = f"{_base(request)}/record/v1/metadata-catalog"
        items = [
            {"name": name, "links": [{"rel": "canonical", "href": f"{here}/{name}"}]}
            for name in RECORDS
        ]
        return _json({"items": items})


def _schema(record: str) -> dict[str, Any]:
    """The shape of a record as JSON schema, as far as this simulator knows it."""
    if record not in RECORDS:
        raise Refused(404, "NONEXISTENT_ID", f"Record type '{record}' does not exist.")
    properties = {}
    for name, declared in RECORDS[record].fields.items():
        kind = declared.lstrip("=").partition(":")[0]
        if kind in ("date", "date-time"):
            properties[name] = {"type": "string", "format": kind}
        else:
            known = kind in ("string", "number", "integer", "boolean")
            properties[name] = {"type": kind if known else "object"}
    return {"type": "object", "properties": properties}


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["record"], request.path_params["id"]


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{_ROOT}"


def _how(request: Request) -> How:
    names = request.headers.get("x-netsuite-propertynamevalidation", "Warning")
    replace = frozenset(filter(None, request.query_params.get("replace", "").split(",")))
    return How(names, replace)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = DECODER.decode(body)
    except msgspec.DecodeError as error:
        words = f"Error while accessing a resource. Invalid content in the request body. {error}"
        raise Refused(400, "INVALID_CONTENT", words) from error
    if not isinstance(found, dict):
        raise Refused(400, "INVALID_CONTENT", "Invalid content in the request body: an object.")
    return found


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    try:
        limit, offset = int(query.get("limit", MOST_ITEMS)), int(query.get("offset", 0))
    except ValueError as error:
        raise Refused(400, "INVALID_PARAMETER", "limit and offset are numbers.") from error
    if not 1 <= limit <= MOST_ITEMS or offset < 0 or offset % limit:
        words = "Invalid value for query parameter: limit is 1..1000, offset a multiple of it."
        raise Refused(400, "INVALID_PARAMETER", words)
    return limit, offset


def _envelope(items: list[Any], here: str, limit: int, offset: int, total: int) -> dict[str, Any]:
    more = offset + len(items) < total
    links = [{"rel": "self", "href": f"{here}?limit={limit}&offset={offset}"}]
    if more:
        links.append({"rel": "next", "href": f"{here}?limit={limit}&offset={offset + limit}"})
    counts = {"count": len(items), "hasMore": more, "offset": offset, "totalResults": total}
    return {"links": links, "items": items} | counts


def _json(body: Any, media_type: str = "application/json") -> Reply:
    return Reply(200, ENCODER.encode(body), {"content-type": media_type})


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, reply.headers)
