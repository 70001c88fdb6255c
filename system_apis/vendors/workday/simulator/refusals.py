"""Says no in Workday's words: an error with a code, or a page for people when it is closed."""

from typing import Any

import msgspec

from system_apis.simulator import Reply

JSON = {"content-type": "application/json"}
_CLOSED = (
    "<!DOCTYPE html><html><head><title>Workday is currently unavailable.</title></head>"
    "<body><h1>Workday is currently unavailable.</h1><p>Scheduled maintenance.</p></body></html>"
)


class Refused(Exception):
    """A request Workday refuses."""

    def __init__(self, status: int, error: str, code: str = "", **more: str) -> None:
        super().__init__(error)
        self.status = status
        self.body: dict[str, Any] = {"error": error} | ({"code": code} if code else {}) | more

    def reply(self) -> Reply:
        """The vendor's JSON error."""
        return Reply(self.status, msgspec.json.encode(self.body), JSON)


def invalid(field: str, error: str) -> Refused:
    """A wrong parameter: the list form the specification shows for 400."""
    refused = Refused(400, "invalid request")
    refused.body["errors"] = [{"error": error, "code": "A371", "field": field, "path": field}]
    return refused


def unauthorized() -> Refused:
    """[U]: seen in the wild, not in the specification."""
    return Refused(401, "invalid_token")


def refusal(fault: str, status: int) -> Reply:
    """The sandbox's faults. Maintenance answers with a page, never with JSON [U]."""
    if fault == "maintenance":
        return Reply(503, _CLOSED.encode(), {"content-type": "text/html;charset=UTF-8"})
    if fault == "rate_limited":
        return Refused(429, "Too many requests", "S429").reply()
    return Refused(status, "internal error", "S500").reply()
