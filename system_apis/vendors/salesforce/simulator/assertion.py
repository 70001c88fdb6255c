"""Verifies the assertion of the JWT bearer grant: RS256 by the connected app's own key.

iss is the consumer key, sub the app's username, aud the login host or My Domain. How long an
assertion may live is [U]: any that has not ended is taken.
"""

import base64
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from system_apis.simulator import Document, Kit

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LOGIN = ("https://login.salesforce.com", "https://test.salesforce.com")


class Bad(Exception):
    """error_description of an invalid_grant."""


def client(kit: Kit, assertion: str, place: str) -> Document:
    """The connected app that signed. place: the org's own address."""
    found = kit.store.get("client", str(_unverified(assertion).get("iss", "")))
    if found is None or "public_key" not in found:
        raise Bad("client identifier invalid")
    try:
        key = RSAKey.import_key(found["public_key"])
        claims = jwt.decode(assertion, key, algorithms=["RS256"]).claims
    except (JoseError, ValueError) as error:
        raise Bad("invalid assertion") from error
    if claims.get("aud") not in (*_LOGIN, place):
        raise Bad("audience is invalid")
    until_s = claims.get("exp")
    if not isinstance(until_s, int | float) or until_s <= kit.clock().timestamp():
        raise Bad("expired authorization code")
    if claims.get("sub") != found.get("username"):
        raise Bad("user hasn't approved this consumer")
    return found


def _unverified(assertion: str) -> dict[str, Any]:
    parts = assertion.split(".")
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        found = msgspec.json.decode(text)
    except (IndexError, ValueError, msgspec.DecodeError) as error:
        raise Bad("invalid assertion") from error
    return found if isinstance(found, dict) else {}
