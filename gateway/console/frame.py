"""This file exists to be what every page of the console shares: its frame, its guard, its forms.

Owns   the templates, the headers of a page, who is signed in, and the check of a form.
Fails  a page, never JSON: to the sign-in page when nobody is signed in, otherwise what went wrong.
"""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from chassis import problems
from chassis.log import log
from contracts.problem import Fault, Problem
from gateway.console import words
from gateway.identity import sessions
from gateway.identity.roles import Admin, demand, may

Asked = Request[Any, Any, Any]
HOME = "/console"
SIGN_IN = "/oauth/login"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "interest-cohort=()",
    "cache-control": "no-store",
}
FIELDS_MOST = 1000
_HERE = Path(__file__).parent
_LOG = log("gateway.console")


def _named(file: str) -> tuple[str, bytes]:
    """A static file under a name that changes with it."""
    body = (_HERE / "static" / file).read_bytes()
    stem, _, kind = file.rpartition(".")
    return f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{kind}", body


STYLE, ICON = _named("console.css"), _named("icon.svg")
FILES = {STYLE[0]: (STYLE[1], "text/css"), ICON[0]: (ICON[1], "image/svg+xml")}

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_templates.filters |= words.FILTERS
_templates.globals |= {
    "style": f"{HOME}/static/{STYLE[0]}", "icon": f"{HOME}/static/{ICON[0]}", "home": HOME,
}  # fmt: skip


class SignInFirst(Exception):
    """Nobody is signed in. path: where to go on afterwards."""

    def __init__(self, path: str) -> None:
        self.path = path


async def signed_in(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard of every page: a live session, of somebody whose role may do the page's `action`."""
    name = sessions.cookie_name(secure=connection.app.state.secure_cookies)
    cookie = connection.cookies.get(name, "")
    database = connection.app.state.database
    admin = await database.read(lambda c: sessions.admin_of(c, cookie=cookie)) if cookie else None
    if admin is None:
        raise SignInFirst(connection.url.path if connection.scope["method"] == "GET" else HOME)  # type: ignore[typeddict-item]
    connection.state.admin, connection.state.actor = admin, admin.name
    demand(admin, str(handler.opt.get("action") or "unnamed:action"))
    if await database.read(lambda c: sessions.due(c, cookie)):
        await database.write(lambda c: sessions.touch(c, cookie))


def may_do(action: str) -> dict[str, Any]:
    """For the decorator of a page: whoever is signed in must be able to do this."""
    return {"guards": [signed_in], "opt": {"public": True, "action": action}}


def admin_of(request: Asked) -> Admin:
    """Who is signed in."""
    found: Admin = request.state.admin
    return found


def page(request: Asked, template: str, status: int = 200, **shown: Any) -> Response[str]:
    """A whole page. shown: what its template names."""
    admin: Admin | None = getattr(request.state, "admin", None)
    body = _templates.get_template(template).render(
        admin=admin,
        may=lambda action: admin is not None and may(admin.role, action),
        csrf=admin.csrf if admin else "",
        path=request.url.path,
        done=words.DONE.get(request.query_params.get("done", ""), ""),
        **shown,
    )
    return Response(body, status_code=status, media_type="text/html", headers=HEADERS)


def go(path: str, done: str = "") -> Response[str]:
    """To another page, after something was done; a reload there does nothing twice."""
    where = f"{path}?done={quote(done)}" if done else path
    return Response("", status_code=303, headers={**HEADERS, "location": where})


async def form(request: Asked) -> dict[str, str]:
    """What a form sent, trimmed; FORBIDDEN unless it came from a page of this session."""
    fields = await fields_of(request)
    if not sessions.csrf_holds(admin_of(request), fields.pop("csrf", "")):
        raise Problem(Fault.FORBIDDEN, "The page is out of date: load it again.")
    return fields


async def fields_of(request: Asked) -> dict[str, str]:
    """The fields of a form that comes from one of our own pages."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(Fault.FORBIDDEN, "Forms are taken from the console's own pages only.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(Fault.UNSUPPORTED_MEDIA_TYPE, "A form is sent as x-www-form-urlencoded.")
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body),
            max_num_fields=FIELDS_MOST,
        )  # fmt: skip
    except ValueError as error:
        raise Problem(Fault.MALFORMED, "The form cannot be read.", because=str(error)) from error
    return {name: value.strip() for name, value in pairs}


def failed(request: Asked, error: Exception) -> Response[str]:
    """Any exception as a page."""
    if isinstance(error, SignInFirst):
        onward = f"?next={quote(error.path)}"
        return Response("", status_code=303, headers={**HEADERS, "location": f"{SIGN_IN}{onward}"})
    if isinstance(error, HTTPException):
        problem = problems.of_status(error.status_code, because=repr(error))
    else:
        problem = problems.problem(error)
    if problem.fault is Fault.INTERNAL:
        _LOG.error("page.failed", because=problem.because, exc_info=error)
    # Without a guard before it (an unknown address) nobody is signed in on this page.
    return page(request, "problem.html", problem.fault.status, problem=problem)
