"""Gives sessions for client credentials and ends them after the org's session life.

Kinds: client (see the package), session (id = the token: {client_id, user_id, ends_at}), and
setting "org" (session_s). A reply names no life, so only the 401 tells.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import Request

from system_apis.simulator import Kit, Reply
from system_apis.vendors.salesforce.simulator.refusals import expired
from system_apis.vendors.salesforce.simulator.values import checked

ORG = checked("00D5e000000Firm")
USER = checked("0055e00000Robot")


class Desk:
    """Sessions of the org."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def setting(self) -> dict[str, Any]:
        """The org's settings; what is not set has its default."""
        return self._kit.store.get("setting", "org") or {}

    def issue(self, request: Request, body: bytes) -> Reply:
        """POST /services/oauth2/token, with the secret in the form or by Basic."""
        form = _form(request, body)
        if form.get("grant_type") != "client_credentials":
            return _error("unsupported_grant_type", "grant type not supported")
        client = self._kit.store.get("client", form.get("client_id", ""))
        if client is None:
            return _error("invalid_client_id", "client identifier invalid")
        if client["client_secret"] != form.get("client_secret"):
            return _error("invalid_client", "invalid client credentials")
        setting, now = self.setting(), self._kit.clock()
        org, user = setting.get("org_id", ORG), client.get("user_id") or USER
        number = self._kit.store.next_id("session")
        # The number keeps a token new after a restart, when the seeded random starts over.
        token = f"{org[:15]}!AQ{self._kit.random.getrandbits(256):064x}{number:x}"
        ends = now + timedelta(seconds=setting.get("session_s", 7200))
        kept = {"client_id": client["_id"], "user_id": user, "ends_at": ends.isoformat()}
        self._kit.store.put("session", token, kept)
        place = setting.get("instance_url") or str(request.base_url).rstrip("/")
        id, issued = f"https://login.salesforce.com/id/{org}/{user}", str(_millis(now.timestamp()))
        secret = str(client["client_secret"]).encode()
        signed = hmac.new(secret, (id + issued).encode(), hashlib.sha256).digest()
        answer = {
            "access_token": token,
            "signature": base64.b64encode(signed).decode(),
            "scope": "api",
            "instance_url": place,
            "id": id,
            "token_type": "Bearer",
            "issued_at": issued,
            "api_instance_url": place,
        }
        return Reply(200, msgspec.json.encode(answer), {"content-type": "application/json"})

    def user(self, authorization: str) -> str:
        """Whom a session speaks for; 401 without one."""
        scheme, _, token = authorization.partition(" ")
        kept = self._kit.store.get("session", token) if scheme in ("Bearer", "OAuth") else None
        fault = self._kit.faults.current()
        if fault and fault.name == "x_session_expired" and kept:
            self._kit.store.delete("session", token)
            raise expired()
        if kept is None or kept["ends_at"] <= self._kit.clock().isoformat():
            raise expired()
        return str(kept["user_id"])


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


def _form(request: Request, body: bytes) -> dict[str, str]:
    try:
        fields = dict(parse_qsl(body.decode()))
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            id, _, secret = base64.b64decode(basic).decode().partition(":")
            fields |= {"client_id": unquote(id), "client_secret": unquote(secret)}
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return fields


def _error(error: str, words: str) -> Reply:
    """OAuth errors are the only ones that are objects."""
    body = msgspec.json.encode({"error": error, "error_description": words})
    return Reply(400, body, {"content-type": "application/json"})
