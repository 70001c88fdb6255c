"""Says no in Float's words [U]: an array of field errors, or one error in the framework's form."""

from collections.abc import Sequence

import msgspec

from system_apis.simulator import Reply

JSON = {"content-type": "application/json; charset=UTF-8"}
_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Refused(Exception):
    """A request Float refuses. fields: (name, message) of each; they make it the array form."""

    def __init__(self, status: int, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.fields = status, message, fields

    def reply(self) -> Reply:
        """No Retry-After: nobody has documented one."""
        body: object
        if self.fields:
            body = [{"field": field, "message": message} for field, message in self.fields]
        else:
            name = _NAMES.get(self.status, "Error")
            body = {"name": name, "message": self.message, "code": 0, "status": self.status}
        return Reply(self.status, msgspec.json.encode(body), JSON)


def refusal(fault: str, status: int) -> Reply:
    """The sandbox's faults."""
    words = {"rate_limited": "Rate limit exceeded.", "maintenance": "Down for maintenance."}
    return Refused(status, words.get(fault, "An internal server error occurred.")).reply()
