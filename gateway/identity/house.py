"""This file exists to hand every endpoint of the identity app what it needs, and no more.

Owns   the way from a thread to the database and to the data planes; what a request says of itself.
Fails  as the database does.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
from msgspec import Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chassis.database import Database
from contracts.problem import Fault, Problem
from gateway.control.publish import Publisher
from gateway.identity import sessions
from gateway.identity.limiter import came_of
from gateway.identity.oidc import Provider
from gateway.identity.prove import Given
from gateway.identity.roles import Admin
from gateway.identity.server import Answered, Context
from gateway.keys import Peppers
from gateway.settings import ControlSettings

T = TypeVar("T")


class House(Struct, frozen=True):
    """What every endpoint needs."""

    database: Database
    publisher: Publisher
    context: Context
    settings: ControlSettings
    peppers: Peppers
    provider: Provider | None

    def write(self, work: Callable[[Connection], T]) -> T:
        """In a thread: one transaction."""
        with self.database.transaction() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """In a thread: one look."""
        with self.database.reading() as connection:
            return work(connection)

    def publish(self) -> None:
        """From a thread: tell the data planes what is in the database now."""
        anyio.from_thread.run(self.publisher.change, lambda connection: None)

    def secure(self, request: Request) -> bool:
        """Whether the browser came by TLS: to the public door, or to the admins' address."""
        public = came_of(request, self.peppers).public
        where = self.settings.issuer if public else self.settings.admins_at
        return where.startswith("https:")

    def admin(self, request: Request) -> Admin | None:
        """Who is signed in."""
        cookie = self.cookie(request)
        return self.read(lambda c: sessions.admin_of(c, cookie=cookie)) if cookie else None

    def cookie(self, request: Request) -> str:
        name = sessions.cookie_name(secure=self.secure(request))
        return request.cookies.get(name, "")


def house_of(
    database: Database, publisher: Publisher, settings: ControlSettings, peppers: Peppers
) -> House:
    """Once a process."""
    own = settings.identity
    context = Context(settings.issuer, peppers, own.access_token_s, own.refresh_days)
    callback = f"{settings.admins_at}/oauth/oidc/callback"
    return House(
        database, publisher, context, settings, peppers,
        Provider(own, callback) if own.oidc_issuer else None,
    )  # fmt: skip


def given_of(request: Request, peppers: Peppers) -> Given:
    """The request, in words that are no framework's."""
    came = came_of(request, peppers)
    return Given(
        request.method, request.url.path, dict(request.headers),
        tuple(request.query_params.multi_items()), form_of(request),
        came.certificate, came.names,
    )  # fmt: skip


def form_of(request: Request) -> tuple[tuple[str, str], ...]:
    """Of a form that was posted; nothing otherwise."""
    found: tuple[tuple[str, str], ...] = getattr(request.state, "form", ())
    return found


def response_of(answered: Answered, *, issuer: str = "") -> Response:
    """issuer: named in a redirect back to a client (RFC 9207)."""
    headers = {name.lower(): value for name, value in answered.headers}
    headers |= {"cache-control": "no-store", "pragma": "no-cache"}
    if answered.status == 401:
        headers["www-authenticate"] = 'Basic realm="firmwire", charset="UTF-8"'
    if issuer and "location" in headers:
        parts = urlsplit(headers["location"])
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("iss", issuer)])
        headers["location"] = urlunsplit(parts._replace(query=query))
    if isinstance(answered.body, str):
        return Response(answered.body, answered.status, headers)
    headers.pop("content-type", None)
    if isinstance(answered.body, list):  # errors are pairs
        return JSONResponse(dict(answered.body), answered.status, headers)
    return JSONResponse(answered.body, answered.status, headers)


def demand_csrf(admin: Admin, request: Request) -> None:
    """FORBIDDEN unless the form came from a page of this session."""
    if not sessions.csrf_holds(admin, dict(form_of(request)).get("csrf", "")):
        raise Problem(Fault.FORBIDDEN, "The page is out of date: load it again.")
