"""This file exists to be the authorization server and the sign-in of people, as one Starlette app.

Owns   the paths /oauth/... and /.well-known/...; served by the control plane, and through a public
       route of the data plane where `issuer_url` is set. Endpoints that touch the database or
       hash are synchronous: they run in threads, where slowapi may wait for its store.
Fails  OAuth errors for clients, problem documents and pages for everybody else.
Source RFC 6749, 7009, 7662, 8414; OpenID Connect Discovery 1.0 as far as it is true here.
"""

import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl

from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import problems
from chassis.log import log
from contracts.problem import Fault, Problem
from gateway.identity import metadata, signing
from gateway.identity.browser import Browser, sign_in
from gateway.identity.house import House, given_of, response_of
from gateway.identity.limiter import limiter_of, too_many
from gateway.identity.prove import Given
from gateway.identity.server import Answered, Server
from gateway.keys import Peppers

FORM_BYTES = 65_536
FIELDS_MOST = 60
_FORM = "application/x-www-form-urlencoded"
_LOG = log("gateway.identity")


def identity_app(house: House) -> ASGIApp:
    """The app; mount it at /oauth and /.well-known."""
    limiter = limiter_of(house.settings.identity, house.peppers)
    by_tls = house.settings.admins_at.startswith("https:")
    app = Starlette(
        routes=_routes(house, limiter),
        middleware=[
            Middleware(
                SessionMiddleware,
                secret_key=_cookie_secret(house.peppers), session_cookie="firmwire-oidc",
                max_age=600, same_site="lax", https_only=by_tls,
            )
        ],
        exception_handlers={
            RateLimitExceeded: too_many, HTTPException: _problem, Problem: _problem,
            Exception: _problem,
        },
    )  # fmt: skip
    app.state.limiter = limiter
    return WithForm(app)


def _routes(house: House, limiter: Limiter) -> list[Route]:
    tokens = limiter.shared_limit(house.settings.identity.token_requests, scope="tokens")
    logins = limiter.shared_limit(house.settings.identity.logins, scope="logins")

    def answer(request: Request, ask: Callable[[Server, Given], Answered]) -> Response:
        given = given_of(request, house.peppers)

        def work(connection: Connection) -> tuple[Answered, bool]:
            server = Server(connection, house.context)
            return ask(server, given), server.ended

        answered, ended = house.write(work)
        if ended:
            house.publish()
        return response_of(answered)

    @tokens
    def token(request: Request) -> Response:
        return answer(request, lambda server, given: server.create_token_response(given))

    @tokens
    def revoke(request: Request) -> Response:
        return answer(request, lambda s, given: s.create_endpoint_response("revocation", given))

    @tokens
    def introspect(request: Request) -> Response:
        return answer(request, lambda s, given: s.create_endpoint_response("introspection", given))

    @logins
    def signing_in(request: Request) -> Response:
        return sign_in(house, request)

    def jwks(request: Request) -> Response:
        keys = house.read(signing.published)
        return JSONResponse({"keys": keys}, headers={"cache-control": "public, max-age=300"})

    def described(request: Request) -> Response:
        return JSONResponse(metadata.of(house.context.issuer))

    browser = Browser(house)
    post, get = ["POST"], ["GET"]
    return [
        Route("/oauth/token", token, methods=post),
        Route("/oauth/revoke", revoke, methods=post),
        Route("/oauth/introspect", introspect, methods=post),
        Route("/oauth/jwks", jwks, methods=get),
        Route("/oauth/authorize", browser.authorize, methods=get),
        Route("/oauth/authorize", browser.decide, methods=post),
        Route("/oauth/login", browser.login, methods=get),
        Route("/oauth/login", signing_in, methods=post),
        Route("/oauth/logout", browser.logout, methods=post),
        Route("/oauth/oidc/begin", browser.oidc_begin, methods=get),
        Route("/oauth/oidc/callback", browser.oidc_callback, methods=get),
        Route("/.well-known/oauth-authorization-server", described, methods=get),
        Route("/.well-known/openid-configuration", described, methods=get),
    ]


class WithForm:
    """Reads a posted form, bounded, before an endpoint that may not wait for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            try:
                form = await _form(scope, receive)
            except Problem as problem:
                await _reply(problem)(scope, receive, send)
                return
            scope = {**scope, "state": {**scope.get("state", {}), "form": form}}
        await self._app(scope, receive, send)


async def _form(scope: Scope, receive: Receive) -> tuple[tuple[str, str], ...]:
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != _FORM.encode():
        raise Problem(Fault.UNSUPPORTED_MEDIA_TYPE, f"A form is expected: {_FORM}.")
    body, more = b"", True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(Fault.MALFORMED, "The rest of the form did not come.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > FORM_BYTES:
            raise Problem(Fault.TOO_LARGE, f"A form has at most {FORM_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body),
            max_num_fields=FIELDS_MOST,
        )  # fmt: skip
    except ValueError as error:
        raise Problem(Fault.MALFORMED, "The form cannot be read.") from error
    return tuple(pairs)


def _problem(_request: Request, error: Exception) -> Response:
    """Any exception as a problem document."""
    if isinstance(error, HTTPException):
        return _reply(problems.of_status(error.status_code))
    return _reply(problems.problem(error))


def _reply(problem: Problem) -> Response:
    if problem.fault is Fault.INTERNAL:
        _LOG.error("request.failed", because=problem.because)
    elif problem.because:
        _LOG.warning("request.refused", code=problem.fault.code, because=problem.because)
    status, headers, body = problems.reply(problem)
    return Response(body, status, headers)


def _cookie_secret(peppers: Peppers) -> str:
    return hmac.digest(peppers.secrets[peppers.current], b"oidc cookie", "sha256").hex()
