"""Gives tokens for client credentials. They never expire; they can be revoked.

Kinds: client (id = client id: {client_secret, user_id}) and access_token (id = the token:
{client_id, user_id}). The body of the token answer is [U].
"""

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import Request

from system_apis.simulator import Kit, Reply
from system_apis.vendors.kantata.simulator.refusals import unauthorized


class Desk:
    """Tokens of the account."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._users: dict[str, str | None] = {}

    def issue(self, request: Request, body: bytes, user: str | None) -> Reply:
        """POST /oauth/token, with the secret in the body or by Basic."""
        form = _fields(request, body)
        client = self._kit.store.get("client", str(form.get("client_id", "")))
        if client is None or client["client_secret"] != form.get("client_secret"):
            return _error(401, "invalid_client", "Client authentication failed.")
        if form.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type", "The grant type is not supported.")
        number = self._kit.store.next_id("access_token")
        token = f"{self._kit.random.getrandbits(128):032x}{number:x}"
        kept = {"client_id": client["_id"], "user_id": client.get("user_id")}
        self._kit.store.put("access_token", token, kept)
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "scope": "api_only",
            "created_at": int(self._kit.clock().timestamp()),
        }
        return Reply(200, msgspec.json.encode(answer), {"content-type": "application/json"})

    def revoke(self, request: Request, body: bytes, user: str | None) -> Reply:
        """POST /oauth/revoke: 200 also for an unknown token (RFC 7009)."""
        token = str(_fields(request, body).get("token", ""))
        self._kit.store.delete("access_token", token)
        self._users.pop(token, None)
        return Reply(200, b"{}", {"content-type": "application/json"})

    def user(self, request: Request) -> str | None:
        """Whom a bearer token speaks for; 401 without one."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        if token not in self._users:
            kept = self._kit.store.get("access_token", token)
            if kept is None:
                raise unauthorized()
            self._users[token] = kept.get("user_id")
        return self._users[token]


def _fields(request: Request, body: bytes) -> dict[str, Any]:
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            fields: dict[str, Any] = msgspec.json.decode(body, type=dict)
        else:
            fields = dict(parse_qsl(body.decode()))
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            id, _, secret = base64.b64decode(basic).decode().partition(":")
            fields |= {"client_id": unquote(id), "client_secret": unquote(secret)}
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        return {}
    return fields


def _error(status: int, error: str, words: str) -> Reply:
    body = msgspec.json.encode({"error": error, "error_description": words})
    return Reply(status, body, {"content-type": "application/json"})
