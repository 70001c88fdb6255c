"""This file exists to call the admin API from a command line or a test, with types.

Owns   one connection to the control plane. The admin token comes from FIRMWIRE's settings or the
       bootstrap file in the home folder.
Fails  the Problem the control plane answered with; UNAVAILABLE when it cannot be reached.
"""

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from chassis import problems
from chassis.outbound import INSIDE, Outbound
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control.explain import Asked
from gateway.control.shapes import (
    Applied,
    AuditView,
    ConsumerDraft,
    ConsumerUse,
    ConsumerView,
    Expiry,
    KeyDraft,
    KeyMade,
    KeyState,
    KeyView,
    PlanDraft,
    PlanView,
    QuotaRaise,
    QuotaReset,
    QuotaView,
    Revocation,
    Rotation,
    UsageHour,
    VersionUse,
    WhyDenied,
)
from gateway.control.state import State, Wanted
from gateway.control.version_shapes import Pin, VersionCaller, VersionDraft, VersionView
from gateway.keys import Environment

T = TypeVar("T")


class ControlClient:
    """`async with ControlClient(url, token) as control: ...`"""

    def __init__(self, url: str, token: str) -> None:
        bearer = {"authorization": f"Bearer {token}"}
        self._control = Outbound(url, peer="control", words=INSIDE, headers=bearer)

    async def __aenter__(self) -> "ControlClient":
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._control.aclose()

    async def plans(self, *, limit: int = 50, cursor: str | None = None) -> Page[PlanView]:
        return await self._get("/plans", Page[PlanView], limit=limit, cursor=cursor)

    async def set_consumer(
        self,
        name: str,
        *plans: str,
        owner: str | None = None,
        contact: str | None = None,
        tenant: str | None = None,
        reason: str = "",
    ) -> ConsumerView:
        """Make it, or change its plans, the first of which is the default; what is left out of
        the rest stays as it was."""
        draft = ConsumerDraft(
            plans=plans, owner=owner, contact=contact, tenant=tenant, reason=reason
        )
        return await self._send("PUT", f"/consumers/{name}", ConsumerView, draft)

    async def plan(self, name: str) -> PlanView:
        return await self._get(f"/plans/{name}", PlanView)

    async def set_plan(self, name: str, draft: PlanDraft) -> PlanView:
        """Make or replace."""
        return await self._send("PUT", f"/plans/{name}", PlanView, draft)

    async def remove_plan(self, name: str, *, reason: str = "") -> None:
        await self._remove(f"/plans/{name}", reason)

    async def consumers(
        self,
        *,
        plan: str | None = None,
        search: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ConsumerView]:
        return await self._get(
            "/consumers", Page[ConsumerView], plan=plan, search=search, limit=limit, cursor=cursor
        )

    async def consumer(self, name: str) -> ConsumerView:
        return await self._get(f"/consumers/{name}", ConsumerView)

    async def subscribe(self, name: str, plan: str, *, reason: str = "") -> ConsumerView:
        """One plan more."""
        path = f"/consumers/{name}/plans/{plan}"
        return await self._ask("PUT", path, ConsumerView, query={"reason": reason})

    async def unsubscribe(self, name: str, plan: str, *, reason: str = "") -> ConsumerView:
        """CONFLICT while something is for it."""
        path = f"/consumers/{name}/plans/{plan}"
        return await self._ask("DELETE", path, ConsumerView, query={"reason": reason})

    async def remove_consumer(self, name: str, *, reason: str = "") -> None:
        await self._remove(f"/consumers/{name}", reason)

    async def create_key(
        self,
        consumer: str,
        *,
        plan: str = "",
        scopes: tuple[str, ...] = (),
        environment: Environment = "live",
        networks: tuple[str, ...] = (),
        expires_at: datetime | None = None,
        label: str = "",
        version: str | None = None,
        reason: str = "",
    ) -> KeyMade:
        """The only reply that holds the key itself."""
        draft = KeyDraft(
            consumer=consumer, plan=plan, environment=environment, scopes=scopes,
            networks=networks, expires_at=expires_at, label=label, version=version, reason=reason,
        )  # fmt: skip
        return await self._send("POST", "/keys", KeyMade, draft)

    async def keys(
        self,
        *,
        consumer: str | None = None,
        state: KeyState | None = None,
        search: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[KeyView]:
        return await self._get(
            "/keys", Page[KeyView],
            consumer=consumer, state=state, search=search, limit=limit, cursor=cursor,
        )  # fmt: skip

    async def key(self, id: str) -> KeyView:
        return await self._get(f"/keys/{id}", KeyView)

    async def expire_key(self, id: str, *, at: datetime | None = None, reason: str = "") -> KeyView:
        """Let a key end at an instant, or now; never later than it would have."""
        return await self._send("POST", f"/keys/{id}/expire", KeyView, Expiry(at, reason))

    async def revoke_key(self, id: str, *, reason: str = "") -> KeyView:
        return await self._send("POST", f"/keys/{id}/revoke", KeyView, Revocation(reason))

    async def rotate_key(self, id: str, *, overlap_s: int = 86_400, reason: str = "") -> KeyMade:
        return await self._send("POST", f"/keys/{id}/rotate", KeyMade, Rotation(overlap_s, reason))

    async def why_denied(self, asked: Asked) -> WhyDenied:
        """What the gateway would say to a request; nothing is sent or counted."""
        return await self._send("POST", "/why-denied", WhyDenied, asked)

    async def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditView]:
        """Newest first."""
        return await self._get(
            "/audit", Page[AuditView], actor=actor, action=action, subject=subject, search=search,
            since=since and since.isoformat(), until=until and until.isoformat(),
            limit=limit, cursor=cursor,
        )  # fmt: skip

    async def audit_broken_at(self) -> int | None:
        """The first entry that does not follow from the one before."""
        found = await self._get("/audit/verdict", dict[str, int | None])
        return found["broken_at"]

    async def plan_state(self, wanted: Wanted) -> Applied:
        """What applying would change; nothing is."""
        return await self._send("POST", "/gateway/plan", Applied, wanted)

    async def apply_state(self, wanted: Wanted) -> Applied:
        """All of it or nothing."""
        return await self._send("POST", "/gateway/apply", Applied, wanted)

    async def state(self) -> State:
        """What is in force, in the form of the files."""
        return await self._get("/gateway/state", State)

    async def quotas(self, consumer: str) -> tuple[QuotaView, ...]:
        """By plan, the default first: limits, what was changed of them, what is used."""
        return (await self._get(f"/quotas/{consumer}", Page[QuotaView])).items

    async def reset_quota(
        self, consumer: str, *, plan: str = "", limit: str = "", reason: str = ""
    ) -> QuotaView:
        """Forget what was counted, of one limit or of all of a plan."""
        told = QuotaReset(plan=plan, limit=limit, reason=reason)
        return await self._send("POST", f"/quotas/{consumer}/reset", QuotaView, told)

    async def raise_limit(self, consumer: str, told: QuotaRaise) -> QuotaView:
        """Another amount for a while; 0 ends it."""
        return await self._send("POST", f"/quotas/{consumer}/raise", QuotaView, told)

    async def usage(
        self,
        *,
        consumer: str | None = None,
        key: str | None = None,
        route: str | None = None,
        version: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[UsageHour, ...]:
        """By hour; the last day unless told otherwise."""
        page = await self._get(
            "/usage", Page[UsageHour], consumer=consumer, key=key, route=route, version=version,
            since=since and since.isoformat(), until=until and until.isoformat(),
        )  # fmt: skip
        return page.items

    async def usage_by_consumer(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[ConsumerUse, ...]:
        """Who asked most."""
        spans = {"since": since and since.isoformat(), "until": until and until.isoformat()}
        return (await self._get("/usage/consumers", Page[ConsumerUse], **spans)).items

    async def usage_by_version(
        self, *, consumer: str | None = None, since: datetime | None = None
    ) -> tuple[VersionUse, ...]:
        """Who still calls which version; the last 30 days unless told otherwise."""
        page = await self._get(
            "/usage/versions", Page[VersionUse],
            consumer=consumer, since=since and since.isoformat(),
        )  # fmt: skip
        return page.items

    async def versions(self) -> tuple[VersionView, ...]:
        """Newest first."""
        return (await self._get("/versions", Page[VersionView])).items

    async def version(self, version: str) -> VersionView:
        return await self._get(f"/versions/{version}", VersionView)

    async def version_callers(self, version: str | None = None) -> tuple[VersionCaller, ...]:
        """Who still calls what."""
        path = "/versions/callers" if version is None else f"/versions/{version}/callers"
        return (await self._get(path, Page[VersionCaller])).items

    async def set_version(self, version: str, **told: Any) -> VersionView:
        """told: of VersionDraft; what is left out stays as it is, None takes it back."""
        return await self._send("PUT", f"/versions/{version}", VersionView, VersionDraft(**told))

    async def pin_key(self, id: str, version: str, *, reason: str = "") -> KeyView:
        """What a key speaks from now on; empty follows its plan."""
        pin = Pin(version=version, reason=reason)
        return await self._send("POST", f"/keys/{id}/pin", KeyView, pin)

    async def ask(
        self, method: str, path: str, shape: type[T], body: Any = None, **query: Any
    ) -> T:
        """For the parts of the admin API that are called elsewhere."""
        if body is not None:
            return await self._send(method, path, shape, body)
        return await self._get(path, shape, **query)

    async def _remove(self, path: str, reason: str) -> None:
        query = {"reason": reason} if reason else {}
        reply = await self._control.send("DELETE", f"/admin/v1{path}", query=query)
        if not reply.ok:
            kind = reply.headers.get("content-type", "")
            raise problems.received(reply.status, kind, reply.body)

    async def _get(self, path: str, shape: type[T], **query: Any) -> T:
        asked = {name: value for name, value in query.items() if value is not None}
        return await self._ask("GET", path, shape, query=asked)

    async def _send(self, method: str, path: str, shape: type[T], body: Any) -> T:
        return await self._ask(method, path, shape, json=body)

    async def _ask(self, method: str, path: str, shape: type[T], **told: Any) -> T:
        reply = await self._control.send(method, f"/admin/v1{path}", **told)
        if not reply.ok:
            kind = reply.headers.get("content-type", "")
            raise problems.received(reply.status, kind, reply.body)
        return reply.json(shape)


def admin_token(home: Path, given: str = "") -> str:
    """The one given, or the bootstrap secret of this installation."""
    if given:
        return given
    try:
        return (home / "gateway" / "admin.token").read_text().strip()
    except FileNotFoundError as missing:
        say = "No admin token: set FIRMWIRE_ADMIN_TOKEN, or start the control plane once."
        raise Problem(Fault.UNAUTHENTICATED, say) from missing
