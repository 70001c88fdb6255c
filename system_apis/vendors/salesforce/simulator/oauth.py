"""Gives sessions for client credentials or signed assertions; they end by the org's setting.

Kinds: client (see the package), session (id = the token: {client_id, user_id, ends_at}), and
setting "org" (session_s). A reply names no life, so only the 401 tells.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import Request

from system_apis.simulator import Document, Kit, Reply
from system_apis.vendors.salesforce.simulator import assertion
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
        form, place = _form(request, body), self._place(request)
        match form.get("grant_type"):
            case "client_credentials":
                client = self._kit.store.get("client", form.get("client_id", ""))
                if client is None:
                    return _error("invalid_client_id", "client identifier invalid")
                if client.get("client_secret", "") != form.get("client_secret"):
                    return _error("invalid_client", "invalid client credentials")
                token, answer = self._session(client, place)
                answer |= _signed(answer["id"], client["client_secret"], self._kit.clock())
                answer["api_instance_url"] = place
            case grant if grant == assertion.GRANT:
                try:
                    client = assertion.client(self._kit, form.get("assertion", ""), place)
                except assertion.Bad as bad:
                    return _error("invalid_grant", str(bad))
                token, answer = self._session(client, place)
            case _:
                return _error("unsupported_grant_type", "grant type not supported")
        body = msgspec.json.encode({"access_token": token} | answer)
        return Reply(200, body, {"content-type": "application/json"})

    def _place(self, request: Request) -> str:
        return str(self.setting().get("instance_url") or str(request.base_url).rstrip("/"))

    def _session(self, client: Document, place: str) -> tuple[str, dict[str, Any]]:
        """A new session: its token, and what every grant answers with. No lifetime is told."""
        setting, now = self.setting(), self._kit.clock()
        org, user = setting.get("org_id", ORG), client.get("user_id") or USER
        number = self._kit.store.next_id("session")
        # The number keeps a token new after a restart, when the seeded random starts over.
        token = f"{org[:15]}!AQ{self._kit.random.getrandbits(256):064x}{number:x}"
        ends = now + timedelta(seconds=setting.get("session_s", 7200))
        kept = {"client_id": client["_id"], "user_id": user, "ends_at": ends.isoformat()}
        self._kit.store.put("session", token, kept)
        return token, {
            "scope": "api",
            "instance_url": place,
            "id": f"https://login.salesforce.com/id/{org}/{user}",
            "token_type": "Bearer",
        }

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


def _signed(id: str, secret: str, now: datetime) -> dict[str, str]:
    """issued_at is text: milliseconds since 1970."""
    issued = str(round(now.timestamp() * 1000))
    digest = hmac.new(secret.encode(), (id + issued).encode(), hashlib.sha256).digest()
    return {"signature": base64.b64encode(digest).decode(), "issued_at": issued}


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
