"""The closed list of what can go wrong, in two voices: `say` to callers, `because` to our log.

Source  RFC 9457 (problem documents). The retry meaning is ours: NEVER (the same request fails
        again), LATER (nothing happened, send it again after a while), ASK_FIRST (it may have
        happened: look before sending again).
"""

from enum import Enum, unique

from msgspec import Struct, field, structs


class Retry(Enum):
    """What a caller may do next."""

    NEVER = "never"
    LATER = "later"
    ASK_FIRST = "ask_first"


@unique
class Fault(Enum):
    """code (stable, in the problem type), HTTP status, retry meaning, title."""

    def __init__(self, code: str, status: int, retry: Retry, title: str) -> None:
        self.code = code
        self.status = status
        self.retry = retry
        self.title = title

    MALFORMED = ("malformed", 400, Retry.NEVER, "The request cannot be read")
    UNAUTHENTICATED = ("unauthenticated", 401, Retry.NEVER, "Who is calling is not proven")
    FORBIDDEN = ("forbidden", 403, Retry.NEVER, "The caller may not do this")
    NO_SANDBOX = ("no_sandbox", 403, Retry.NEVER, "There is no sandbox behind this address")
    NOT_FOUND = ("not_found", 404, Retry.NEVER, "There is no such thing")
    METHOD_NOT_ALLOWED = (
        "method_not_allowed",
        405,
        Retry.NEVER,
        "The method does not fit the address",
    )
    CONFLICT = ("conflict", 409, Retry.NEVER, "The state does not allow this")
    IN_PROGRESS = ("in_progress", 409, Retry.LATER, "The same request is still being worked on")
    GONE = ("gone", 410, Retry.NEVER, "This version or thing has been withdrawn")
    STALE = ("stale", 412, Retry.NEVER, "The record changed since it was read")
    TOO_LARGE = ("too_large", 413, Retry.NEVER, "The request is too large")
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported_media_type",
        415,
        Retry.NEVER,
        "The content type is not understood",
    )
    INVALID = ("invalid", 422, Retry.NEVER, "A field is missing or wrong")
    KEY_REUSED = (
        "key_reused",
        422,
        Retry.NEVER,
        "The idempotency key was used for another request",
    )
    PRECONDITION_REQUIRED = ("precondition_required", 428, Retry.NEVER, "If-Match is required")
    RATE_LIMITED = ("rate_limited", 429, Retry.LATER, "Too many requests")
    INTERNAL = ("internal", 500, Retry.ASK_FIRST, "Something went wrong on our side")
    UPSTREAM_BROKEN = (
        "upstream_broken",
        502,
        Retry.ASK_FIRST,
        "The answer from inside could not be used",
    )
    REDUCED_CAPACITY = (
        "temporary_reduced_capacity",
        503,
        Retry.LATER,
        "Less can be served than usual",
    )
    VERSION_BROWNOUT = (
        "version_brownout",
        503,
        Retry.LATER,
        "This version is switched off for a while, because it ends soon",
    )
    UNAVAILABLE = ("unavailable", 503, Retry.LATER, "The service cannot answer now")
    DEADLINE_EXCEEDED = (
        "deadline_exceeded",
        504,
        Retry.ASK_FIRST,
        "The time for this request ran out",
    )
    VENDOR_REJECTED = ("vendor_rejected", 422, Retry.NEVER, "The vendor system refused the content")
    VENDOR_AUTH = ("vendor_auth", 502, Retry.LATER, "The vendor system refused our credentials")
    VENDOR_THROTTLED = (
        "vendor_throttled",
        503,
        Retry.LATER,
        "The vendor system's quota is used up",
    )
    VENDOR_MAINTENANCE = (
        "vendor_maintenance",
        503,
        Retry.LATER,
        "The vendor system is in maintenance",
    )
    VENDOR_DOWN = (
        "vendor_down",
        503,
        Retry.LATER,
        "The vendor system cannot be reached; nothing was done",
    )
    VENDOR_SILENT = (
        "vendor_silent",
        504,
        Retry.ASK_FIRST,
        "The vendor system did not answer; it may have acted",
    )
    VENDOR_CONFUSED = (
        "vendor_confused",
        502,
        Retry.ASK_FIRST,
        "The vendor system answered nonsense",
    )


_REGISTERED = "https://iana.org/assignments/http-problem-types"
FAULT_BY_CODE: dict[str, Fault] = {fault.code: fault for fault in Fault}


class FieldError(Struct, frozen=True, omit_defaults=True):
    """pointer: JSON pointer into the request body. reason: what is wrong. hint: what to do."""

    pointer: str
    reason: str
    hint: str = ""


class Vendor(Struct, frozen=True, omit_defaults=True):
    """What the vendor itself said. exception_code: the work-item code it maps to, if any."""

    system: str
    status: int = 0
    code: str = ""
    message: str = ""
    exception_code: str = ""


class Problem(Exception):
    """A fault with its circumstances. Survives pickling and the trip between tiers.

    say: for the caller, no internal detail. because: only for our log. retry_after_s: seconds.
    errors: one per wrong field. vendor: the vendor's own words, when a vendor refused.
    policies: names of the limits that refused; of this hop only, it does not travel on.
    """

    def __init__(
        self,
        fault: Fault,
        say: str,
        *,
        because: str = "",
        retry_after_s: float | None = None,
        errors: tuple[FieldError, ...] = (),
        vendor: Vendor | None = None,
        policies: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{fault.code}: {say}")
        self.fault = fault
        self.say = say
        self.because = because
        self.retry_after_s = retry_after_s
        self.errors = errors
        self.vendor = vendor
        self.policies = policies

    @property
    def ambiguous(self) -> bool:
        """True when the request may have taken effect."""
        return self.fault.retry is Retry.ASK_FIRST

    def __reduce__(self) -> tuple[object, ...]:
        return (
            _rebuild,
            (self.fault.code, self.say, self.because, self.retry_after_s, self.errors, self.vendor),
        )


def _rebuild(
    code: str,
    say: str,
    because: str,
    retry_after_s: float | None,
    errors: tuple[FieldError, ...],
    vendor: Vendor | None,
) -> Problem:
    return Problem(
        FAULT_BY_CODE[code],
        say,
        because=because,
        retry_after_s=retry_after_s,
        errors=errors,
        vendor=vendor,
    )


class ProblemDocument(Struct, frozen=True, omit_defaults=True):
    """The JSON form (application/problem+json). type: `urn:firmwire:problem:<code>`, stable.

    instance: the request id. retry: never, later or ask_first. retry_after_s: whole seconds.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    instance: str = ""
    retry: str = "never"
    retry_after_s: int | None = None
    errors: tuple[FieldError, ...] = ()
    vendor: Vendor | None = None


class LimitDocument(ProblemDocument, frozen=True, omit_defaults=True):
    """When a limit refused. type: as draft-ietf-httpapi-ratelimit-headers-11 registers it.

    violated_policies: names as in RateLimit-Policy.
    """

    violated_policies: tuple[str, ...] = field(default=(), name="violated-policies")


def document(problem: Problem, instance: str = "") -> ProblemDocument:
    """The public face of a problem: nothing of `because` is in it."""
    fault = problem.fault
    after = problem.retry_after_s
    shown = ProblemDocument(
        type=f"urn:firmwire:problem:{fault.code}",
        title=fault.title,
        status=fault.status,
        code=fault.code,
        detail=problem.say,
        instance=instance,
        retry=fault.retry.value,
        retry_after_s=None if after is None else max(1, -int(-after // 1)),
        errors=problem.errors,
        vendor=problem.vendor,
    )
    return _limited(shown, problem) if problem.policies else shown


def _limited(shown: ProblemDocument, problem: Problem) -> LimitDocument:
    less = problem.fault is Fault.REDUCED_CAPACITY
    kind = "temporary-reduced-capacity" if less else "quota-exceeded"
    values = structs.asdict(shown) | {"type": f"{_REGISTERED}#{kind}"}
    return LimitDocument(**values, violated_policies=problem.policies)


def from_document(seen: ProblemDocument) -> Problem:
    """The same problem on the caller's side of a hop. Unknown codes become UPSTREAM_BROKEN."""
    return Problem(
        FAULT_BY_CODE.get(seen.code, Fault.UPSTREAM_BROKEN),
        seen.detail or seen.title,
        retry_after_s=seen.retry_after_s,
        errors=seen.errors,
        vendor=seen.vendor,
    )
