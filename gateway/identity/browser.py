"""This file exists to be what a browser sees: signing in and out, and consenting.

Owns   its pages and redirects. A session is new at every sign-in; forms carry a token of the page.
Fails  UNAUTHENTICATED, FORBIDDEN as problem documents; a wrong name looks like a wrong password.
Source RFC 6749 section 3.1; RFC 9207; OWASP session management (fixation, CSRF).
"""

import hmac
import secrets
from urllib.parse import quote

from authlib.oauth2 import OAuth2Error
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chassis.log import log
from contracts.problem import Fault, Problem
from gateway.control import audit
from gateway.identity import people, sessions
from gateway.identity.house import House, demand_csrf, form_of, given_of, response_of
from gateway.identity.limiter import came_of
from gateway.identity.pages import inside, page
from gateway.identity.prove import Given
from gateway.identity.roles import Admin
from gateway.identity.server import Answered, Person, Server, person_of

_FORM_COOKIE = "firmwire-form"
_LOG = log("gateway.identity")


class Browser:
    """Pages and redirects of a browser."""

    def __init__(self, house: House) -> None:
        self._house = house

    def login(self, request: Request) -> Response:
        return _login_page(self._house, request, inside(request.query_params.get("next", "")))

    def logout(self, request: Request) -> Response:
        house, admin = self._house, self._house.admin(request)
        if admin is not None:
            demand_csrf(admin, request)
            cookie = house.cookie(request)
            house.write(lambda c: sessions.end(c, cookie))
        reply = RedirectResponse("/oauth/login", 303)
        reply.delete_cookie(
            sessions.cookie_name(secure=house.secure(request)),
            path="/",
            secure=house.secure(request),
            httponly=True,
        )
        return reply

    def authorize(self, request: Request) -> Response:
        house = self._house
        who = self._person(request)
        if who is None:
            return RedirectResponse(f"/oauth/login?next={_back_to(request)}", 303)
        person, csrf = who
        given = given_of(request, house.peppers)

        def work(connection: Connection) -> Response:
            server = Server(connection, house.context)
            asked = server.create_oauth2_request(given)
            try:
                grant = server.get_consent_grant(asked, person)
            except OAuth2Error as error:
                return response_of(server.handle_error_response(asked, error))
            client = grant.request.client
            return page(
                "consent", title="Allow access?", client=client.row.name or client.id,
                person=person.name, scopes=grant.request.scope.split(), csrf=csrf,
                goes_to=asked.payload.redirect_uri, query=request.url.query,
            )  # fmt: skip

        return house.read(work)

    def decide(self, request: Request) -> Response:
        """The answer of a person: a code for the client, or `access_denied`."""
        house = self._house
        who = self._person(request)
        if who is None:
            raise Problem(Fault.UNAUTHENTICATED, "Sign in again.")
        person, csrf = who
        said = dict(form_of(request))
        demand_csrf(Admin("", "", "user", csrf), request)
        given = Given("GET", request.url.path, {}, tuple(request.query_params.multi_items()))
        granted = person if said.get("decision") == "allow" else None

        def work(connection: Connection) -> Answered:
            server = Server(connection, house.context)
            asked = server.create_oauth2_request(given)
            try:
                grant = server.get_consent_grant(asked, person)
            except OAuth2Error as error:
                refused: Answered = server.handle_error_response(asked, error)
                return refused
            made: Answered = server.create_authorization_response(asked, granted, grant)
            return made

        return response_of(house.write(work), issuer=house.context.issuer)

    async def oidc_begin(self, request: Request) -> Response:
        provider = self._house.provider
        if provider is None:
            raise Problem(Fault.NOT_FOUND, "No identity provider is set up.")
        reply = await provider.begin(request)
        request.session["next"] = inside(request.query_params.get("next", ""))
        return reply

    async def oidc_callback(self, request: Request) -> Response:
        house, provider = self._house, self._house.provider
        if provider is None:
            raise Problem(Fault.NOT_FOUND, "No identity provider is set up.")
        names = await provider.finish(request)
        next = inside(request.session.pop("next", ""))

        def work(connection: Connection) -> sessions.Opened | None:
            found = people.by_provider(connection, provider.issuer, names)
            return _begun(connection, house, request, found) if found else None

        opened = await house.database.write(work)
        if opened is None:
            say = "You are known there, but nobody here has given you a role."
            return page("told", status=403, title="Not allowed", say=say, csrf="")
        return _signed_in(house, request, opened, next)

    def _person(self, request: Request) -> tuple[Person, str] | None:
        """A person with a session; a token is nobody who could consent."""
        admin = self._house.admin(request)
        person = self._house.read(lambda c: person_of(c, admin.id)) if admin else None
        return None if admin is None or person is None else (person, admin.csrf)


def sign_in(house: House, request: Request) -> Response:
    said = dict(form_of(request))
    next = inside(said.get("next", ""))
    kept = request.cookies.get(_FORM_COOKIE, "")
    if not kept or not hmac.compare_digest(kept.encode(), said.get("form", "").encode()):
        return _login_page(house, request, next, wrong="The page was out of date. Try again.")
    name, password = said.get("name", ""), said.get("password", "")
    if password.startswith("fwadm_"):
        admin = house.read(lambda c: sessions.admin_of(c, bearer=password))
        if admin is not None:
            opened = house.write(lambda c: _begun(c, house, request, token_id=admin.id))
            return _signed_in(house, request, opened, next)
    else:
        id, hashed = house.read(lambda c: people.kept_password(c, name))
        if people.password_holds(hashed, password) and id:
            opened = house.write(lambda c: _begun(c, house, request, id))
            return _signed_in(house, request, opened, next)
    _LOG.warning("sign_in.refused", client=came_of(request, house.peppers).client)
    return _login_page(house, request, next, wrong="The name or the password is wrong.")


def _begun(
    connection: Connection,
    house: House,
    request: Request,
    person_id: str | None = None,
    *,
    token_id: str | None = None,
) -> sessions.Opened:
    """A new session; the one this browser had ends, so that none can be planted."""
    if before := house.cookie(request):
        sessions.end(connection, before)
    opened = sessions.begin(connection, person_id=person_id, token_id=token_id)
    admin = sessions.admin_of(connection, cookie=opened.cookie)
    where = came_of(request, house.peppers).client
    audit.append(
        connection, actor=admin.name if admin else "", action="admin.signed_in",
        subject=admin.name if admin else "", reason=f"from {where}",
    )  # fmt: skip
    return opened


def _signed_in(house: House, request: Request, opened: sessions.Opened, next: str) -> Response:
    reply = RedirectResponse(next, 303, headers={"cache-control": "no-store"})
    reply.set_cookie(
        sessions.cookie_name(secure=house.secure(request)), opened.cookie, path="/", httponly=True,
        secure=house.secure(request), samesite="lax",
    )  # fmt: skip
    reply.delete_cookie(_FORM_COOKIE, path="/oauth")
    return reply


def _login_page(house: House, request: Request, next: str, *, wrong: str = "") -> Response:
    form = secrets.token_urlsafe(24)
    reply = page(
        "sign_in", status=401 if wrong else 200, title="Sign in", wrong=wrong, form=form,
        next=next, provider=house.provider.issuer.partition("://")[2] if house.provider else "",
    )  # fmt: skip
    reply.set_cookie(
        _FORM_COOKIE,
        form,
        path="/oauth",
        httponly=True,
        secure=house.secure(request),
        samesite="strict",
    )
    return reply


def _back_to(request: Request) -> str:
    """This very request, to come back to after signing in."""
    return quote(f"{request.url.path}?{request.url.query}", safe="")
