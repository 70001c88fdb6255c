"""This file exists to let an admin out of the console, and to give the style sheet and the icon.

Owns   the pages without anything to see. The way in is gateway.identity's, the same for everybody.
Fails  NOT_FOUND for a file of another name.
"""

from litestar import Response, get, post
from litestar.params import FromPath

from contracts.problem import Fault, Problem
from gateway.console.frame import FILES, HEADERS, HOME, SIGN_IN, Asked, form, go, signed_in
from gateway.identity import sessions

_OPEN = {"public": True}


@post(
    f"{HOME}/sign-out",
    guards=[signed_in],
    opt={**_OPEN, "action": "self:write"},
    status_code=303,
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


HANDLERS = (sign_out, static)
