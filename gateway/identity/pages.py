"""This file exists to draw the few pages people see here: signing in, consenting, being told no.

Owns   the templates beside it, and the headers every page goes out with: nothing is loaded from
       elsewhere, nothing is framed, nothing is kept.
Fails  never.
Source W3C Content Security Policy 3; RFC 9700 section 4.16 (clickjacking).
"""

import secrets
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

_PAGES = Environment(
    loader=PackageLoader("gateway.identity", "pages"), autoescape=True, undefined=StrictUndefined
)


def page(name: str, *, status: int = 200, goes_to: str = "", **told: Any) -> Response:
    """goes_to: where a form's answer may redirect, besides here."""
    nonce = secrets.token_urlsafe(16)
    body = _PAGES.get_template(f"{name}.html").render(nonce=nonce, goes_to=goes_to, **told)
    return HTMLResponse(body, status, headers=_headers(nonce, goes_to))


def inside(address: str) -> str:
    """Where to go next, when that is a place of ours; else the console."""
    fine = address.startswith("/") and address.isascii() and address.isprintable()
    if not fine or address[:2] in ("//", "/\\") or "\\" in address or ".." in address:
        return "/console/"
    return address


def _headers(nonce: str, goes_to: str) -> dict[str, str]:
    parts = urlsplit(goes_to)
    also = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    if parts.scheme and not parts.netloc:
        also = f" {parts.scheme}:"
    return {
        "content-security-policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'{also}; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
