"""This file exists to talk to a Tryton server as its own clients do, apart from our connector.

Owns   one connection and one session. Seeds databases, and is a second witness in tests.
Fails  Refused, with what Tryton said; OSError when nobody answers.
Source trytond 8.2: JSON-RPC by POST /<database>/rpc/; typed values carry `__class__`.
"""

import gzip
import json
from base64 import b64encode
from datetime import date, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from chassis import clock

ANSWER_WITHIN_S = 120.0
IDLE_MAX_S = 10.0
"""The server hangs up on a client that was silent for longer than it likes (30 s at Granian)."""


class Refused(Exception):
    """status: of HTTP; Tryton says most of its noes with 200."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status} {words[:500]}")
        self.status = status


class Tryton:
    """One user's session. Not for several threads. context: goes along with every call."""

    def __init__(self, url: str, database: str) -> None:
        place = urlsplit(url)
        self._connection = HTTPConnection(
            place.hostname or "127.0.0.1", place.port, timeout=ANSWER_WITHIN_S
        )
        self._path, self._used_s = f"/{database}/rpc/", 0.0
        self._headers = {"content-type": "application/json", "accept-encoding": "gzip"}
        self.context: dict[str, Any] = {}

    def version(self) -> str:
        """The server's series: a call that needs no session."""
        return str(self._send("/rpc/", "common.server.version", []))

    def login(self, user: str, password: str) -> None:
        """Begin a session and take the user's company into the context."""
        words = [user, {"password": password}, "en"]
        id, token, _ = self._send(self._path, "common.db.login", words)
        mark = b64encode(f"{user}:{id}:{token}".encode()).decode()
        self._headers["authorization"] = f"Session {mark}"
        self.refresh()

    def refresh(self) -> None:
        """Read the user's company anew."""
        known = self("model.res.user.get_preferences", True)
        self.context = {k: known[k] for k in ("company", "companies", "language") if k in known}

    def __call__(self, method: str, *params: Any) -> Any:
        """`model.party.party.read` and the like; the context goes last."""
        return self._send(self._path, method, [*params, self.context])

    def create(self, model: str, **values: Any) -> int:
        """The id of one new record."""
        return int(self(f"model.{model}.create", [values])[0])

    def find(self, model: str, *domain: Any) -> int:
        """The first record that fits. Refused when there is none."""
        found = self(f"model.{model}.search", list(domain), 0, 1, None)
        if not found:
            raise Refused(200, f"there is no {model} where {domain}")
        return int(found[0])

    def by_xml(self, module: str, name: str) -> int:
        """The record a module brought along under this name."""
        return int(self("model.ir.model.data.get_id", f"{module}.{name}"))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _send(self, path: str, method: str, params: list[Any]) -> Any:
        body = json.dumps({"id": 1, "method": method, "params": dressed(params)})
        if clock.monotonic() - self._used_s > IDLE_MAX_S:
            self._connection.close()  # the next request opens it anew
        self._connection.request("POST", path, body.encode(), self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        self._used_s = clock.monotonic()
        if answer.getheader("content-encoding") == "gzip":
            content = gzip.decompress(content)
        if answer.status != 200:
            raise Refused(answer.status, f"{method}: {content.decode(errors='replace')}")
        said = json.loads(content, object_hook=_undressed)
        if "error" in said:
            raise Refused(200, f"{method}: {said['error']}")
        return said["result"]


def dressed(value: Any) -> Any:
    """A value as Tryton's JSON spells it."""
    match value:
        case dict():
            return {key: dressed(inner) for key, inner in value.items()}
        case list() | tuple():
            return [dressed(inner) for inner in value]
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case date():
            day = {"year": value.year, "month": value.month, "day": value.day}
            return {"__class__": "date", **day}
        case timedelta():
            return {"__class__": "timedelta", "seconds": value.total_seconds()}
    return value


def _undressed(seen: dict[str, Any]) -> Any:
    match seen.get("__class__"):
        case "Decimal":
            return Decimal(seen["decimal"])
        case "date":
            return date(seen["year"], seen["month"], seen["day"])
        case "timedelta":
            return timedelta(seconds=seen["seconds"])
    return seen
