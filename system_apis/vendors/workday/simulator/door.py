"""Answers Workday's addresses: token, staffing v6, common v1, and reports as a service."""

from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Document, Kit, Receive, Reply, Send
from system_apis.vendors.workday.simulator import reports
from system_apis.vendors.workday.simulator.oauth import Desk
from system_apis.vendors.workday.simulator.people import People, service_dates
from system_apis.vendors.workday.simulator.refusals import JSON, Refused, invalid

STAFFING = "/ccx/api/staffing/v6/{tenant}"
COMMON = "/ccx/api/v1/{tenant}"
REPORT = "/ccx/service/customreport2/{tenant}/{owner}/{report}"
LIMIT, LIMIT_MAX = 20, 100
Handler = Callable[[Request, bytes], Reply]
Guard = Callable[[Request], None]
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._people, self._desk = kit, People(kit.store), Desk(kit)
        self._kit.store.index("worker", "Employee_ID")
        self._kit.store.index("leave", "Employee_ID")
        self._second, self._in_second = 0, 0
        bearer, reader = self._desk.bearer, self._desk.reader
        self._router = Router(
            routes=[
                self._route("/ccx/oauth2/{tenant}/token", self._desk.issue, None, method="POST"),
                self._route(f"{STAFFING}/workers", self._workers(self._people.shown), bearer),
                self._route(f"{STAFFING}/workers/{{id}}", self._one(self._people.shown), bearer),
                self._route(f"{STAFFING}/workers/{{id}}/serviceDates", self._service_dates, bearer),
                self._route(f"{STAFFING}/jobProfiles", self._job_profiles, bearer),
                self._route(f"{COMMON}/workers", self._workers(self._people.summary), bearer),
                self._route(f"{COMMON}/workers/{{id}}", self._one(self._people.profile), bearer),
                self._route(f"{COMMON}/workers/{{id}}/timeOffEntries", self._time_off, bearer),
                self._route(REPORT, self._report, reader),
            ],
            default=_nowhere,
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def _route(
        self, path: str, handler: Handler, guard: Guard | None, *, method: str = "GET"
    ) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                self._throttled()
                if guard is not None:
                    guard(request)
                reply = handler(request, body)
            except Refused as refused:
                reply = refused.reply()
            return Response(reply.body, reply.status, reply.headers)

        return Route(path, answer, methods=[method])

    def _throttled(self) -> None:
        """[U]: about ten requests a second a tenant; the sandbox's default is 50."""
        most = (self._kit.store.get("setting", "tenant") or {}).get("rate_per_s", 50)
        second = int(self._kit.clock().timestamp())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > most:
            raise Refused(429, "Too many requests", "S429")

    def _workers(self, shown: Callable[[Document, str], dict[str, Any]]) -> Handler:
        """No modified-since filter: the specification has none."""

        def answer(request: Request, body: bytes) -> Reply:
            query, (limit, offset) = request.query_params, _window(request)
            today = self._kit.clock().date().isoformat()
            terminated = query.get("includeTerminatedWorkers", "false").lower() == "true"
            search = query.get("search", "")
            found, total = self._people.page(limit, offset, search, terminated, today)
            base = _base(request)
            return _json({"total": total, "data": [shown(doc, base) for doc in found]})

        return answer

    def _one(self, shown: Callable[[Document, str], dict[str, Any]]) -> Handler:
        return lambda request, body: _json(shown(self._found(request), _base(request)))

    def _found(self, request: Request) -> Document:
        doc = self._people.one(unquote(request.path_params["id"]))
        if doc is None:
            raise Refused(404, "worker not found", "A1009")
        return doc

    def _service_dates(self, request: Request, body: bytes) -> Reply:
        return _page(request, [service_dates(self._found(request))])

    def _job_profiles(self, request: Request, body: bytes) -> Reply:
        inactive = request.query_params.get("includeInactive", "false").lower() == "true"
        found = self._kit.store.list("job_profile", order="id")
        return _page(
            request,
            [
                {"id": doc["_id"], "name": doc["Job_Profile"], "inactive": _inactive(doc)}
                for doc in found
                if inactive or not _inactive(doc)
            ],
        )

    def _time_off(self, request: Request, body: bytes) -> Reply:
        return _page(request, self._people.time_off(self._found(request), _base(request)))

    def _report(self, request: Request, body: bytes) -> Reply:
        report = request.path_params["report"]
        if request.path_params["owner"] != reports.OWNER or report not in reports.REPORTS:
            raise Refused(404, "report not found", "S404")
        if request.query_params.get("format") != "json":
            raise Refused(400, "only format=json is served here", "A400")
        try:
            found = reports.entries(self._kit.store, report, dict(request.query_params))
        except ValueError as error:
            raise invalid("Updated_From", str(error)) from error
        return _json({"Report_Entry": found})


async def _nowhere(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Workday's words also where there is nothing; which status is [U], the text is not."""
    reply = Refused(404, "Invalid resource or operation", "S21").reply()
    await Response(reply.body, reply.status, reply.headers)(scope, receive, send)


def _base(request: Request) -> str:
    return str(request.url).partition("/workers")[0]


def _inactive(doc: Document) -> bool:
    return str(doc.get("Inactive", "0")) in ("1", "True")


def _window(request: Request) -> tuple[int, int]:
    """limit and offset; more than the specification's maximum is refused [U: or clamped]."""
    limit, offset = _number(request, "limit", LIMIT), _number(request, "offset", 0)
    if limit > LIMIT_MAX:
        raise invalid("limit", f"limit must not be over {LIMIT_MAX}")
    return limit, offset


def _page(request: Request, data: list[dict[str, Any]]) -> Reply:
    limit, offset = _window(request)
    return _json({"total": len(data), "data": data[offset : offset + limit]})


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise invalid(name, f"{name} must be a number")
    return int(text)


def _json(body: Any) -> Reply:
    return Reply(200, _ENCODE(body), JSON)
