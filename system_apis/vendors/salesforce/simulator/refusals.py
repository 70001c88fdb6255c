"""Says no in Salesforce's words: a JSON array of message, errorCode and perhaps fields."""

from typing import Any

import msgspec

from system_apis.simulator import Reply

JSON = {"content-type": "application/json;charset=UTF-8"}


class Refused(Exception):
    """A request Salesforce refuses."""

    def __init__(self, status: int, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, list(fields)

    def errors(self) -> list[dict[str, Any]]:
        """The body; `fields` only for errors of fields."""
        more = {"fields": self.fields} if self.fields else {}
        return [{"message": self.message, "errorCode": self.code} | more]

    def in_collection(self) -> dict[str, Any]:
        """As one result of a collection or an upsert: the code is named statusCode here."""
        error = {"statusCode": self.code, "message": self.message, "fields": self.fields}
        return {"success": False, "errors": [error]}

    def reply(self) -> Reply:
        """The array, never an object."""
        return Reply(self.status, msgspec.json.encode(self.errors()), dict(JSON))


def missing() -> Refused:
    """No such address or object."""
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")


def expired() -> Refused:
    """No session, or one that has ended."""
    return Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")


def spent() -> Refused:
    """The daily limit is used up: a 403, not a 429."""
    return Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


def refusal(fault: str, status: int) -> Reply:
    """The sandbox's faults. The last two texts are [U]."""
    if fault == "rate_limited":
        reply = spent().reply()
        return Reply(reply.status, reply.body, reply.headers | usage(100000, 100000))
    if fault == "maintenance" or status == 503:
        return Refused(503, "SERVER_UNAVAILABLE", "Server Too Busy").reply()
    words = "An unexpected error occurred. Please include this ErrorId if you contact support"
    return Refused(status, "UNKNOWN_EXCEPTION", words).reply()


def usage(used: int, limit: int) -> dict[str, str]:
    """The header every data reply carries."""
    return {"sforce-limit-info": f"api-usage={used}/{limit}"}
