"""Answer the Hcm port from five custom reports at Workday.

Touches  the vendor, only through chassis.outbound, reading only. Keeps the last reading of each
         report, so that paging through it costs the vendor one call.
Fails    VENDOR_THROTTLED, VENDOR_DOWN, VENDOR_MAINTENANCE, VENDOR_AUTH, VENDOR_CONFUSED.
Source   report service as in the shared vendor facts, 2026-11; our own reports in README.md.
"""

from datetime import timedelta

from msgspec import Struct

from chassis import clock
from chassis.limiter import Limits
from chassis.outbound import Outbound
from chassis.settings import Secret
from contracts.entities.master import MasterRecord
from contracts.entities.party import Resource
from contracts.paging import Page
from contracts.ports.system.hcm import Hcm
from contracts.ports.system.system import Health
from contracts.problem import Fault, Problem
from contracts.quota import Quota
from system_apis.allowance import Allowance
from system_apis.connector import Connector
from system_apis.drift import Drift
from system_apis.fields import field_names
from system_apis.sweep import Sweeps
from system_apis.vendors.workday import auth, feeds, wire

STREAMS = tuple(sorted(wire.REPORTS))
# Effective-dated changes may carry a stamp of the day they were entered.
OVERLAP = timedelta(days=2)


class Settings(Struct, frozen=True, kw_only=True):
    """base_url: the tenant's host. user: the integration system user who owns the reports.

    rate_per_s: below the ten calls a second that Workday is said to allow a tenant.
    """

    base_url: str
    tenant: str
    password: Secret
    user: str = "ISU_Firmwire"
    deadline_s: float = 120.0
    concurrency: int = 4
    rate_per_s: float = 5.0


class Workday:
    """One tenant."""

    def __init__(self, settings: Settings, instance: str) -> None:
        self._instance = instance
        basic = auth.basic(settings.user, settings.tenant, settings.password.reveal())
        self._door = Outbound(
            settings.base_url,
            peer=instance,
            deadline_s=settings.deadline_s,
            limits=Limits(
                concurrency=settings.concurrency, rate_per_s=settings.rate_per_s, burst=10
            ),
            headers={"authorization": basic},
        )
        own = Quota(per_window=int(settings.rate_per_s * 60), window_s=60, settle_s=0.0)
        self.allowance = Allowance(self._door.limiter, own)
        known = {stream: field_names(shape) for stream, shape in wire.SHAPES.items()}
        self._drift = Drift(instance, known)
        root = f"/ccx/service/customreport2/{settings.tenant}/{settings.user}"
        self._reports = feeds.Reports(self._door, instance, root, self._drift)
        self._sweeps = Sweeps(OVERLAP)

    async def aclose(self) -> None:
        await self._door.aclose()

    async def health(self) -> Health:
        """By the smallest report: Workday gives nothing cheaper to an integration user."""
        began = clock.monotonic()
        try:
            await self._reports.rows("role", bulk=False)
        except Problem as problem:
            if problem.fault is Fault.VENDOR_MAINTENANCE:
                return Health(state="MAINTENANCE", latency_ms=0, say=problem.say)
            if problem.fault is Fault.VENDOR_THROTTLED:
                return Health(state="DEGRADED", latency_ms=0, say=problem.say)
            return Health(state="DOWN", latency_ms=0, say=problem.say)
        took_ms = int((clock.monotonic() - began) * 1000)
        return Health(state="UP", latency_ms=took_ms, drifted_fields=self._drift.fields)

    async def quota(self) -> Quota:
        """Ours: Workday documents no figures."""
        return self.allowance.known()

    async def streams(self) -> tuple[str, ...]:
        return STREAMS

    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        if stream not in wire.REPORTS:
            raise Problem(Fault.NOT_FOUND, f"There is no stream {stream}.")
        given = await self._sweeps.page(stream, lambda: self._reports.whole(stream), cursor, limit)
        items = [self._reports.record(stream, row.record, given.at) for row in given.rows]
        for row in given.gone:
            # It left the report; its own stamp is older than that, so the sweep's counts.
            ended = {**row.record, "Deleted": "1", "Last_Updated": given.at.isoformat()}
            items.append(self._reports.record(stream, ended, given.at))
        return Page(tuple(items), given.cursor, given.more)

    async def worker_by_reference(self, reference: str) -> Resource | None:
        return await self._worker("Employee_ID", reference)

    async def worker(self, id: str) -> Resource | None:
        """By WID, or by the person number where the report shows no WID."""
        return await self._worker("WID", id) or await self._worker("Employee_ID", id)

    async def _worker(self, column: str, value: str) -> Resource | None:
        """The prompt makes the report short; a report without it still answers rightly."""
        prompt = {column: value}
        for row in await self._reports.rows("resource", prompt, bulk=False):
            if str(row.get(column, "")) == value:
                found = self._reports.record("resource", row, clock.now())
                return found if isinstance(found, Resource) else None
        return None


CONNECTOR = Connector(vendor="workday", provides={"hcm": Hcm}, settings=Settings, open=Workday)
