"""This file exists to hold one access token a connector: fetched once, by one caller at a time.

Owns   the token and when it ends.
Fails  what fetching fails with; everyone waiting fails alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from chassis import clock
from chassis.outbound import Outgoing


class Token(Struct, frozen=True):
    """life_s: seconds it may be used, None when only a refusal tells that it ended."""

    text: str
    life_s: float | None = None


class Tokens:
    """Use `auth` and `refused` as an Outbound's hooks. A 401 did nothing, so one retry is safe."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._until_s = 0.0
        self._alone = asyncio.Lock()

    async def auth(self, _call: Outgoing) -> Mapping[str, str]:
        """The Authorization header, fetching a token when there is none that lives."""
        token = self._token
        if token is None or clock.monotonic() >= self._until_s:
            token = await self._renew(token)
        return {"authorization": f"Bearer {token.text}"}

    async def refused(self) -> bool:
        """Forget the token the vendor refused; True: try once more with a new one."""
        await self._renew(self._token)
        return True

    async def _renew(self, had: Token | None) -> Token:
        async with self._alone:
            if self._token is not None and self._token is not had:
                return self._token  # somebody else fetched it while we waited
            token = await self._fetch()
            # a minute early: the clocks differ and the call takes time
            life_s = 86_400.0 if token.life_s is None else max(5.0, token.life_s - 60.0)
            self._token, self._until_s = token, clock.monotonic() + life_s
            return token
