"""This file exists to know what a vendor grants one instance, and to shape our calls to it.

Owns   what the vendor told last. The places and the pace are the limiter's.
Fails  `quota` as the vendor does, when it was never heard; `known` and `keep_asking` never.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from chassis import clock, travel
from chassis.limiter import Lane, Limiter
from chassis.log import log
from contracts.problem import Problem
from contracts.quota import LaneUse, Quota

ASK_AGAIN_S = 30.0
_log = log("system.allowance")


class Allowance:
    """ask: has the vendor say what it grants, which ends in `window` or `at_once`; None for one

    that does not tell. figures: what is configured, or written in the vendor's documents.
    """

    def __init__(
        self,
        limiter: Limiter,
        figures: Quota,
        *,
        ask: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._limiter = limiter
        self._configured = limiter.limits
        self._figures = figures
        self._ask = ask
        self._told_at: datetime | None = None
        self._asked = ask is None

    def window(self, used: int, limit: int, window_s: int) -> None:
        """The vendor told how many calls of a window are used; little left sheds and quiets."""
        self._told_at = clock.now()
        self._figures = replace(
            self._figures,
            used=used, per_window=limit, window_s=window_s, left=max(0, limit - used),
        )  # fmt: skip
        self._limiter.told(max(0.0, 1 - used / limit) if limit else 0.0)

    def at_once(self, granted: int) -> None:
        """The vendor told how many calls may run at once: never more of them than configured."""
        self._told_at = clock.now()
        places = max(1, min(granted, self._configured.concurrency))
        self._limiter.resize(replace(self._configured, concurrency=places))

    def known(self) -> Quota:
        """As last told, and as it is used now; no call."""
        now = clock.now()
        lanes = tuple(
            LaneUse(
                lane=lane.value,
                waiting=use.waiting,
                waited=use.waited,
                shed=use.shed,
                quiet_until=now + timedelta(seconds=use.quiet_s) if use.quiet_s else None,
            )
            for lane, use in ((lane, self._limiter.use(lane)) for lane in Lane)
        )
        return replace(
            self._figures,
            concurrency=self._limiter.limits.concurrency,
            source="VENDOR" if self._told_at else "CONFIGURED",
            told_at=self._told_at,
            in_use=self._limiter.in_use,
            lanes=lanes,
        )

    async def quota(self) -> Quota:
        """What is known, once the vendor was asked."""
        if not self._asked:
            await self.ask()
        return self.known()

    async def ask(self) -> None:
        """Hear the vendor, when it tells: before all others, for it may tell that there is more."""
        if self._ask is not None:
            with travel.in_lane(Lane.POSTING):
                await self._ask()
            self._asked = True

    async def keep_asking(self, instance: str, every_s: float) -> None:
        """Until cancelled. A vendor that is away is asked sooner; what it told last stays."""
        while self._ask is not None:
            pause_s = every_s
            try:
                await self.ask()
            except Problem as problem:
                _log.info("quota.unheard", instance=instance, because=str(problem))
                pause_s = min(every_s, ASK_AGAIN_S)
            await asyncio.sleep(pause_s)
