"""Answers Workday's addresses: token, staffing v6, common v1, and reports as a service."""

import base64
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from system_apis.simulator import Kit, Receive, Reply, Send
from system_apis.vendors.workday.simulator import reports
from system_apis.vendors.workday.simulator.people import People, service_dates
from system_apis.vendors.workday.simulator.refusals import JSON, Refused, invalid, unauthorized

STAFFING = "/ccx/api/staffing/{version}/{tenant}"
COMMON = "/ccx/api/v1/{tenant}"
TOKEN_LIFE_S = 14_400
LIMIT_MAX = 100
Handler = Callable[[Request, bytes], Reply]


class Door:
    """The ASGI app."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._people = kit, People(kit.store)
        self._kit.store.index("worker", "Employee_ID")
        self._second, self._in_second = 0, 0
        routes = [self._route("/ccx/oauth2/{tenant}/token", self._token, method="POST", guard=None)]
        for base in (STAFFING, COMMON):
            routes += [
                self._route(f"{base}/workers", self._workers),
                self._route(f"{base}/workers/{{id}}", self._worker),
            ]
        routes += [
            self._route(f"{STAFFING}/workers/{{id}}/serviceDates", self._service_dates),
            self._route(f"{STAFFING}/jobProfiles", self._job_profiles),
            self._route(f"{COMMON}/workers/{{id}}/timeOffEntries", self._time_off),
            self._route(
                "/ccx/service/customreport2/{tenant}/{owner}/{report}",
                self._report,
                guard=self._integration_user,
            ),
        ]
        self._router = Router(routes=routes)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def _route(
        self, path: str, handler: Handler, *, method: str = "GET", guard: Any = "bearer"
    ) -> Route:
        check = self._bearer if guard == "bearer" else guard

        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                self._throttled()
                if check is not None:
                    check(request)
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

    def _token(self, request: Request, body: bytes) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        id, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        client = self._kit.store.get("client", id)
        if client is None or client["client_secret"] != secret:
            return _error("invalid_client", 401)
        if form.get("grant_type") != "refresh_token":
            return _error("unsupported_grant_type", 400)
        if form.get("refresh_token") != client["refresh_token"]:
            return _error("invalid_grant", 400)
        token = f"{self._kit.random.getrandbits(128):032x}"
        until = self._kit.clock() + timedelta(seconds=TOKEN_LIFE_S)
        self._kit.store.put("access_token", token, {"client": id, "until": until.isoformat()})
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "refresh_token": client["refresh_token"],
        }
        return _json(answer)

    def _bearer(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        kept = self._kit.store.get("access_token", token) if scheme == "Bearer" else None
        if kept is None or kept["until"] <= self._kit.clock().isoformat():
            raise unauthorized()
        self._tenant(request)

    def _integration_user(self, request: Request) -> None:
        """Basic `ISU@tenant`, as reports want it."""
        name, password = _basic(request) or ("", "")
        user, _, tenant = name.partition("@")
        kept = self._kit.store.get("isu", user)
        if kept is None or kept["password"] != password or tenant != request.path_params["tenant"]:
            raise Refused(401, "invalid username or password", "S401")
        self._tenant(request)

    def _tenant(self, request: Request) -> None:
        named = (self._kit.store.get("setting", "tenant") or {}).get("name", "firm")
        asked = request.path_params["tenant"]
        if asked != named:
            raise Refused(404, f"tenant {asked} not found", "S22")

    def _workers(self, request: Request, body: bytes) -> Reply:
        query = request.query_params
        limit, offset = _number(request, "limit", 20), _number(request, "offset", 0)
        if limit > LIMIT_MAX:
            raise invalid("limit", f"limit must not be over {LIMIT_MAX}")
        today = self._kit.clock().date().isoformat()
        terminated = query.get("includeTerminatedWorkers", "false").lower() == "true"
        found, total = self._people.page(limit, offset, query.get("search", ""), terminated, today)
        base = _base(request)
        return _json({"total": total, "data": [self._people.shown(doc, base) for doc in found]})

    def _worker(self, request: Request, body: bytes) -> Reply:
        return _json(self._people.shown(self._found(request), _base(request)))

    def _service_dates(self, request: Request, body: bytes) -> Reply:
        return _json(service_dates(self._found(request)))

    def _found(self, request: Request) -> dict[str, Any]:
        doc = self._people.one(unquote(request.path_params["id"]))
        if doc is None:
            raise Refused(404, "worker not found", "A1009")
        return doc

    def _job_profiles(self, request: Request, body: bytes) -> Reply:
        limit, offset = _number(request, "limit", 20), _number(request, "offset", 0)
        found = self._kit.store.list("job_profile", order="id")
        data = [
            {"id": doc["_id"], "descriptor": doc["Job_Profile"], "name": doc["Job_Profile"]}
            for doc in found[offset : offset + min(limit, LIMIT_MAX)]
        ]
        return _json({"total": len(found), "data": data})

    def _time_off(self, request: Request, body: bytes) -> Reply:
        person = self._found(request)["Employee_ID"]
        found = self._kit.store.list("leave", where={"Employee_ID": person}, order="id")
        data = [
            {
                "id": doc["_id"],
                "date": doc["Date"],
                "units": doc["Units"],
                "timeOffType": {"descriptor": doc.get("Time_Off_Type", "Vacation")},
            }
            for doc in found
        ]
        return _json({"total": len(data), "data": data})

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


def _base(request: Request) -> str:
    return str(request.url).partition("/workers")[0]


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise invalid(name, f"{name} must be a number")
    return int(text)


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return None
    return id, secret


def _json(body: Any) -> Reply:
    return Reply(200, msgspec.json.encode(body), JSON)


def _error(code: str, status: int) -> Reply:
    return Reply(status, msgspec.json.encode({"error": code}), JSON)
