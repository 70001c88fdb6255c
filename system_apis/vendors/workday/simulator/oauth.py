"""Gives tokens at Workday's token address and knows who may call: bearer tokens, integration users.

Kinds: client (id = client id: {client_secret, refresh_token, public_key}), isu, access_token. The
bodies are [U]: an answer names no life, and a refresh token does not end.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.requests import Request

from system_apis.simulator import Document, Kit, Reply
from system_apis.vendors.workday.simulator.refusals import JSON, Refused, unauthorized

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_S = 14_400


class _Bad(Exception):
    """error of RFC 6749, status."""


class Desk:
    """Tokens and users of the tenant."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def issue(self, request: Request, body: bytes) -> Reply:
        """POST /ccx/oauth2/{tenant}/token."""
        form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        try:
            self.tenant(request)
            match form.get("grant_type"):
                case "refresh_token":
                    client = self._by_secret(request, form)
                    if form.get("refresh_token") != client["refresh_token"]:
                        raise _Bad("invalid_grant", 400)
                    more = {"refresh_token": client["refresh_token"]}
                case grant if grant == JWT_BEARER:
                    client, more = self._by_assertion(form.get("assertion", "")), {}
                case _:
                    raise _Bad("unsupported_grant_type", 400)
        except _Bad as bad:
            error, status = bad.args
            return Reply(status, msgspec.json.encode({"error": error}), JSON)
        # The number keeps a token new after a restart, when the seeded random starts over.
        number = self._kit.store.next_id("access_token")
        token = f"{self._kit.random.getrandbits(128):032x}{number:x}"
        until = self._kit.clock() + timedelta(seconds=LIFE_S)
        kept = {"client": client["_id"], "until": until.isoformat()}
        self._kit.store.put("access_token", token, kept)
        answer = {"access_token": token, "token_type": "Bearer"} | more
        return Reply(200, msgspec.json.encode(answer), JSON)

    def bearer(self, request: Request) -> None:
        """401 without a living token. Fault `x_token_ended`: this one has just died."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        kept = self._kit.store.get("access_token", token) if scheme == "Bearer" else None
        fault = self._kit.faults.current()
        if kept and fault and fault.name == "x_token_ended":
            self._kit.store.delete("access_token", token)
            raise unauthorized()
        if kept is None or kept["until"] <= self._kit.clock().isoformat():
            raise unauthorized()
        self.tenant(request)

    def reader(self, request: Request) -> None:
        """Reports take Basic `ISU@tenant`; a bearer token of the API client does too."""
        if request.headers.get("authorization", "").startswith("Bearer "):
            self.bearer(request)
            return
        name, password = _basic(request) or ("", "")
        user, _, tenant = name.partition("@")
        kept = self._kit.store.get("isu", user)
        if kept is None or kept["password"] != password or tenant != request.path_params["tenant"]:
            raise Refused(401, "invalid username or password", "S401")
        self.tenant(request)

    def tenant(self, request: Request) -> None:
        """404 S22 for a tenant that is not here: seen in the wild."""
        named = (self._kit.store.get("setting", "tenant") or {}).get("name", "firm")
        asked = request.path_params["tenant"]
        if asked != named:
            raise Refused(404, f"tenant {asked} not found", "S22")

    def _by_secret(self, request: Request, form: Mapping[str, str]) -> Document:
        id, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        client = self._kit.store.get("client", id)
        if client is None or client["client_secret"] != secret:
            raise _Bad("invalid_client", 401)
        return client

    def _by_assertion(self, assertion: str) -> Document:
        """RS256; iss the client, sub an integration user, aud `wd`, not over."""
        client = self._kit.store.get("client", str(_unverified(assertion).get("iss", "")))
        if client is None or "public_key" not in client:
            raise _Bad("invalid_client", 401)
        try:
            key = RSAKey.import_key(client["public_key"])
            claims = jwt.decode(assertion, key, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as error:
            raise _Bad("invalid_grant", 400) from error
        until_s = claims.get("exp")
        living = isinstance(until_s, int | float) and until_s > self._kit.clock().timestamp()
        known = self._kit.store.get("isu", str(claims.get("sub", "")))
        if not living or claims.get("aud") != "wd" or known is None:
            raise _Bad("invalid_grant", 400)
        return client


def _unverified(assertion: str) -> Mapping[str, Any]:
    parts = assertion.split(".")
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        found = msgspec.json.decode(text)
    except (IndexError, ValueError, msgspec.DecodeError) as error:
        raise _Bad("invalid_grant", 400) from error
    return found if isinstance(found, dict) else {}


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return None
    return id, secret
