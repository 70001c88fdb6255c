"""This file exists to show admins what vendors grant us, as the system tier knows it.

Owns   a client for each instance of the system tier; nothing is kept of what they answer.
Fails  UNAVAILABLE when none of them answers in time.
"""

import asyncio
from pathlib import Path

from msgspec import Struct

from chassis import call
from chassis.identity import Signer
from chassis.log import log
from contracts.paging import Page
from contracts.problem import Fault, Problem
from contracts.quota import Quota, Vendors
from gateway.control.rows import page
from gateway.settings import ControlSettings

_log = log("gateway.vendors")


class VendorView(Struct, frozen=True, kw_only=True):
    """tier: origin of the process of the system tier that told; each keeps its own places."""

    instance: str
    vendor: str
    tier: str
    quota: Quota


class VendorPage(Struct, frozen=True, kw_only=True):
    """away: origins of the system tier that did not answer, so that their rows are missing."""

    items: tuple[VendorView, ...]
    next_cursor: str | None = None
    away: tuple[str, ...] = ()


class SystemTier:
    """Every instance of it, asked as the gateway."""

    def __init__(self, settings: ControlSettings, home: Path) -> None:
        signer = Signer.of(home, "gateway")
        origins = [part.strip().rstrip("/") for part in settings.system_url.split(",")]
        self._clients = {
            origin: call.client(Vendors, origin, signer=signer, prefix="/system/v1")
            for origin in origins
        }

    async def aclose(self) -> None:
        """Let go of the connections."""
        await call.close(*self._clients.values())

    async def quotas(self, limit: int, after: str | None) -> VendorPage:
        """By instance. after: where the page before ended."""
        told = await asyncio.gather(*(self._told(origin) for origin in self._clients))
        away = tuple(o for o, views in zip(self._clients, told, strict=True) if views is None)
        if len(away) == len(told):
            say = "The system tier does not answer, so nobody knows the vendors' quotas now."
            raise Problem(Fault.UNAVAILABLE, say)
        rows = sorted((view for views in told for view in views or ()), key=_key)
        found: Page[VendorView] = page(
            [row for row in rows if after is None or _key(row) > after][: limit + 1], limit, _key
        )
        return VendorPage(items=found.items, next_cursor=found.next_cursor, away=away)

    async def _told(self, origin: str) -> list[VendorView] | None:
        try:
            quotas = await self._clients[origin].quotas()
        except Problem as problem:
            _log.warning("system.away", origin=origin, because=problem.because or problem.say)
            return None
        return [
            VendorView(instance=one.instance, vendor=one.vendor, tier=origin, quota=one.quota)
            for one in quotas
        ]


def _key(view: VendorView) -> str:
    return f"{view.instance} {view.tier}"
