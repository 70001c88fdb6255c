"""Says no in Kantata's words: a list of errors with a type, a message and perhaps a field."""

import msgspec

from system_apis.simulator import Reply


class Refused(Exception):
    """A request Kantata refuses."""

    def __init__(
        self, status: int, kind: str, message: str, field: str = "", challenge: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.challenge = status, challenge
        self.errors = [{"type": kind, "message": message} | ({"field": field} if field else {})]

    def reply(self) -> Reply:
        """No machine codes, no Retry-After."""
        headers = {"content-type": "application/json; charset=utf-8"}
        if self.challenge:
            headers["www-authenticate"] = self.challenge
        return Reply(self.status, msgspec.json.encode({"errors": self.errors}), headers)


def missing() -> Refused:
    """No such record, or hidden by a default filter."""
    return Refused(404, "system", "Not found")


def invalid(field: str, message: str) -> Refused:
    """A validation of the model."""
    label = field.replace("_", " ").capitalize()
    return Refused(422, "validation", f"{label} {message}", field)


def unauthorized() -> Refused:
    """As the live service answers a call without a token."""
    challenge = 'Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token is invalid"'  # noqa: E501
    return Refused(401, "oauth", "Invalid OAuth 2 Request", challenge=challenge)


def refusal(fault: str, status: int) -> Reply:
    """The sandbox's faults. The texts are [U]; that there is no Retry-After is documented."""
    words = {
        "rate_limited": "Too many requests. Please retry after a small delay.",
        "maintenance": "The service is temporarily unavailable for maintenance.",
    }.get(fault, "Internal server error")
    return Refused(status, "system", words).reply()
