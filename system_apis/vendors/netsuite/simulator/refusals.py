"""Says no in NetSuite's words: the error type of the record API."""

from collections.abc import Mapping

import msgspec

from system_apis.simulator import Reply

MEDIA_TYPE = "application/vnd.oracle.resource+json; type=error"
_RFC = "https://www.rfc-editor.org/rfc/rfc9110.html#section-"
_TITLES = {
    400: ("Bad Request", _RFC + "15.5.1"),
    401: ("Unauthorized", _RFC + "15.5.2"),
    403: ("Forbidden", _RFC + "15.5.4"),
    404: ("Not Found", _RFC + "15.5.5"),
    405: ("Method Not Allowed", _RFC + "15.5.6"),
    429: ("Too Many Requests", "https://www.rfc-editor.org/rfc/rfc6585.html#section-4"),
    500: ("Internal Server Error", _RFC + "15.6.1"),
    503: ("Service Unavailable", _RFC + "15.6.4"),
}


class Refused(Exception):
    """A request NetSuite refuses; becomes the error body."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        path: str = "",
        title: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.path = status, code, detail, path
        self.title, self.headers = title, dict(headers or {})

    def reply(self) -> Reply:
        """The body of schema nsError."""
        title, kind = _TITLES.get(self.status, ("Error", _RFC + "15"))
        found = {"detail": self.detail}
        if self.path:
            found["o:errorPath"] = self.path
        found["o:errorCode"] = self.code
        body = {
            "type": kind,
            "title": self.title or title,
            "status": self.status,
            "o:errorDetails": [found],
        }
        headers = {"content-type": MEDIA_TYPE} | self.headers
        return Reply(self.status, msgspec.json.encode(body), headers)


def invalid(path: str, why: str) -> Refused:
    """A value that does not fit its field."""
    detail = f"Error while accessing a resource. {why}"
    return Refused(400, "INVALID_CONTENT", detail, path=path)


def user_error(why: str, path: str = "") -> Refused:
    """A rule of the business."""
    return Refused(400, "USER_ERROR", f"Error while accessing a resource. {why}", path=path)


def missing(record: str, id: str) -> Refused:
    """No such record."""
    detail = "The record instance does not exist. Provide a valid record instance ID."
    return Refused(404, "NONEXISTENT_ID", f"{detail} ({record} {id})")


def refusal(fault: str, status: int) -> Reply:
    """The sandbox's faults, as NetSuite puts them. No Retry-After: nobody has seen one [U]."""
    if fault == "rate_limited":
        return limit_exceeded(status).reply()
    if fault == "maintenance":
        words = "The system is undergoing scheduled maintenance. Try again later."
        return Refused(status, "UNEXPECTED_ERROR", words).reply()
    words = "An unexpected error occurred. Error ID: sandbox"
    return Refused(status, "UNEXPECTED_ERROR", words).reply()


def limit_exceeded(status: int = 429) -> Refused:
    """More calls at once than the account may make."""
    words = "Concurrent request limit exceeded. Request blocked."
    return Refused(status, "CONCURRENCY_LIMIT_EXCEEDED", words)
