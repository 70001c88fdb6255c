"""This file exists to let an admin into the console and out again, and to give the style sheet.

Owns   the pages without a session. A sign-in form carries what its cookie holds, so that nobody is
       signed in by another site.
Fails  the sign-in page again, in the same words for every wrong secret.
"""

import hmac
import secrets

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, FromQuery

from contracts.problem import Fault, Problem
from gateway.console.frame import (
    FILES,
    HEADERS,
    HOME,
    SIGN_IN,
    Asked,
    fields_of,
    form,
    go,
    own_path,
    page,
    signed_in,
)
from gateway.identity import sessions

_OPEN = {"public": True}
_FORM_COOKIE = "firmwire-form"
WRONG = "That is not a secret of an admin."


@get(SIGN_IN, opt={**_OPEN, "operation": "console.sign_in"})
async def sign_in_page(request: Asked, next: FromQuery[str] = "") -> Response[str]:
    return _asking(request, own_path(next))


@post(SIGN_IN, opt={**_OPEN, "operation": "console.sign_in"}, status_code=303)
async def sign_in(request: Asked) -> Response[str]:
    fields = await fields_of(request)
    onward = own_path(fields.get("next", ""))
    sent, held = fields.get("form", ""), request.cookies.get(_FORM_COOKIE, "")
    if not held or not hmac.compare_digest(sent.encode(), held.encode()):
        return _asking(request, onward, "The page was out of date: try again.", 403)
    database, secret = request.app.state.database, fields.get("secret", "")
    admin = await database.read(lambda c: sessions.admin_of(c, bearer=secret)) if secret else None
    if admin is None:
        return _asking(request, onward, WRONG, 401)
    opened = await database.write(lambda c: sessions.begin(c, token_id=admin.id))
    reply = go(onward)
    secure = request.app.state.secure_cookies
    reply.set_cookie(
        Cookie(
            key=sessions.cookie_name(secure=secure), value=opened.cookie, path="/",
            httponly=True, secure=secure, samesite="lax", max_age=sessions.LIFE_MS // 1000,
        )
    )  # fmt: skip
    return reply


@post(
    f"{HOME}/sign-out", guards=[signed_in], opt={**_OPEN, "action": "self:write"}, status_code=303
)
async def sign_out(request: Asked) -> Response[str]:
    await form(request)
    name = sessions.cookie_name(secure=request.app.state.secure_cookies)
    cookie = request.cookies.get(name, "")
    await request.app.state.database.write(lambda c: sessions.end(c, cookie))
    reply = go(SIGN_IN)
    reply.delete_cookie(name, path="/")
    return reply


@get(f"{HOME}/static/{{name:str}}", opt={**_OPEN, "operation": "console.static"})
async def static(name: FromPath[str]) -> Response[bytes]:
    """Its name changes with it, so it may be kept for good."""
    if name not in FILES:
        raise Problem(Fault.NOT_FOUND, "There is no such file.")
    body, kind = FILES[name]
    headers = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}
    return Response(body, media_type=kind, headers=headers)


def _asking(request: Asked, onward: str, wrong: str = "", status: int = 200) -> Response[str]:
    token = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(24)
    reply = page(request, "sign_in.html", status, form=token, next=onward, wrong=wrong)
    reply.set_cookie(
        Cookie(
            key=_FORM_COOKIE, value=token, path=SIGN_IN, httponly=True, samesite="strict",
            secure=request.app.state.secure_cookies,
        )
    )  # fmt: skip
    return reply


HANDLERS = (sign_in_page, sign_in, sign_out, static)
