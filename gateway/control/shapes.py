"""This file exists to fix what the admin API takes and gives.

Owns   request and reply shapes. Our own input: unknown fields are refused.
Fails  INVALID, by chassis.problems, naming each wrong field.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.keys import Environment
from gateway.metering.limit import Limit, repeated
from gateway.routes import Name

Scope = Annotated[str, Meta(pattern=r"^(system|process|experience):(\*|[a-z_]+(:[a-z_]+)*)$")]
Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=260)]
Text = Annotated[str, Meta(max_length=500)]
KeyState = Literal["active", "expired", "revoked"]
OVERLAP_MOST_S = 90 * 86_400
PLANS_MOST = 20


class PlanDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a consumer on this plan may, and how much. 0 leaves a limit to the route.

    version_default: spoken by keys without a pin of their own, and by tokens; empty is head.
    origins: of the pages that may call with it from a browser; none means any the route allows.
    routes: it is for, by name; none means all that its scopes open.
    """

    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    limits: tuple[Limit, ...] = ()
    version_default: str = ""
    origins: tuple[Origin, ...] = ()
    routes: tuple[str, ...] = ()
    reason: Text = ""

    def __post_init__(self) -> None:
        if twice := repeated(self.limits):
            raise ValueError(f"limits: two are named {twice}")


class PlanView(Struct, frozen=True):
    name: str
    scopes: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    version_default: str = ""
    origins: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


class ConsumerDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """plans: it subscribes to; the first is for whatever names none. owner: who answers for it.
    contact: how to reach them. tenant: the client or office it is. These left out: as they were.
    """

    plans: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=PLANS_MOST)]
    owner: Text | None = None
    contact: Text | None = None
    tenant: Text | None = None
    reason: Text = ""

    def __post_init__(self) -> None:
        if len(set(self.plans)) != len(self.plans):
            raise ValueError("plans: one is named twice")


class ConsumerView(Struct, frozen=True):
    """plans: the first is the default."""

    name: str
    plans: tuple[str, ...]
    owner: str
    contact: str = ""
    tenant: str = ""


class KeyDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """plan: one of its consumer's; the default when left out. scopes: none means all of the plan.
    networks: CIDR, none means everywhere. version: what it speaks unless a request
    says otherwise; left out, the plan's, or else today's head, so that no later change surprises
    its holder.
    """

    consumer: Name
    plan: str = ""
    environment: Environment = "live"
    scopes: tuple[Scope, ...] = ()
    networks: tuple[str, ...] = ()
    expires_at: datetime | None = None
    label: Text = ""
    version: str | None = None
    reason: Text = ""


class KeyView(Struct, frozen=True):
    """display: the first 12 characters. state: active, expired or revoked.

    version: pinned; empty follows the plan. plan: it is for; empty follows its consumer's default.
    """

    id: str
    consumer: str
    display: str
    state: KeyState
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    replaces: str | None
    last_used_at: datetime | None = None
    environment: Environment = "live"
    version: str = ""
    plan: str = ""


class KeyMade(Struct, frozen=True):
    """secret: the key itself, shown this once and never again."""

    secret: str
    key: KeyView


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Text = ""


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """overlap_s: seconds both keys work; never past the old key's own expiry."""

    overlap_s: Annotated[int, Meta(ge=0, le=OVERLAP_MOST_S)] = 86_400
    reason: Text = ""


class Expiry(Struct, frozen=True, forbid_unknown_fields=True):
    """at: when the key ends; now when it is left out."""

    at: datetime | None = None
    reason: Text = ""


class Leak(Struct, frozen=True, forbid_unknown_fields=True):
    """key: what was found. found_at: where, e.g. the address of a commit."""

    key: Annotated[str, Meta(max_length=200)]
    found_at: Text = ""


class Removal(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Text = ""


class AuditView(Struct, frozen=True):
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]
    hash: str


class UsageHour(Struct, frozen=True):
    """at: the hour's beginning. refused: 4xx but for 429. throttled: 429. failed: 5xx."""

    at: datetime
    requests: int
    refused: int
    throttled: int
    failed: int


class ConsumerUse(Struct, frozen=True):
    """What a consumer asked; consumer "" is everybody who could not be told."""

    consumer: str
    requests: int
    refused: int
    throttled: int
    failed: int


class VersionUse(Struct, frozen=True):
    """last_at: the last hour in which the consumer called this version."""

    version: str
    consumer: str
    requests: int
    last_at: datetime


class Verdict(Struct, frozen=True):
    """One question of the gateway to a request. unknown: only the request itself can tell.

    left: of a quota, as data planes last told.
    """

    name: str
    answer: Literal["yes", "no", "unknown"]
    say: str
    below: tuple["Verdict", ...] = ()
    left: int | None = None


class WhyDenied(Struct, frozen=True):
    """What the gateway would say to a request, question by question."""

    let_in: bool
    say: str
    verdicts: tuple[Verdict, ...]


class Change(Struct, frozen=True):
    """What files would change. kind: plan, consumer, upstream, route or hosts."""

    kind: str
    name: str
    verb: Literal["added", "changed", "removed"]
    before: dict[str, Any]
    after: dict[str, Any]


class Applied(Struct, frozen=True):
    """version: of the snapshot that holds the changes; of the one in force for a dry run."""

    changes: tuple[Change, ...]
    version: int


class QuotaReset(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """limit: its name; all of the plan when it is left out. plan: the default when left out."""

    limit: str = ""
    plan: str = ""
    reason: Text = ""


class QuotaRaise(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """amount: instead of the limit's own until then; 0 ends it. plan: as for a reset."""

    limit: str
    plan: str = ""
    amount: Annotated[int, Meta(ge=0, le=10**15)]
    until: datetime | None = None
    reason: Text = ""


class LimitView(Struct, frozen=True):
    """says: in words. used: of a quota in its running period, a few seconds behind; else unknown.

    resets: how often an admin reset it.
    """

    name: str
    kind: str
    says: str
    amount: int
    raised_to: int | None = None
    raised_until: datetime | None = None
    used: int | None = None
    resets: int = 0


class QuotaView(Struct, frozen=True):
    """A consumer's limits under one of its plans."""

    consumer: str
    plan: str
    limits: tuple[LimitView, ...]
