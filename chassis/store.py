"""This file exists to run scripts in a Redis (or Valkey) many processes share, and never to wait.

Owns   one connection, its time limits, and the scripts by their digest. Nothing is sent twice.
Fails  StoreAway when there is no answer in time: it may have happened, or not.
"""

import hashlib
from collections.abc import Sequence

CONNECT_S = 0.25


class StoreAway(Exception):
    """refused: nobody listens there; otherwise it was only slow."""

    def __init__(self, because: str, *, refused: bool) -> None:
        super().__init__(because)
        self.refused = refused


class Store:
    """One server. answer_s: longest wait for an answer."""

    def __init__(self, url: str, *, answer_s: float = 0.05) -> None:
        # Here, not above: who has no store does not pay for its client.
        from redis import exceptions
        from redis.asyncio import Redis

        self._trouble = (exceptions.RedisError, OSError)
        self._no_script = exceptions.NoScriptError
        self._redis = Redis.from_url(
            url,
            socket_timeout=answer_s,
            socket_connect_timeout=CONNECT_S,
            single_connection_client=True,
            protocol=2,
            retry=None,
        )

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[bytes]) -> bytes:
        """The script's answer. One call at a time."""
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        given = (len(keys), *keys, *arguments)
        try:
            try:
                answer = await self._redis.evalsha(digest, *given)  # type: ignore[arg-type]
            except self._no_script:
                answer = await self._redis.eval(script, *given)  # type: ignore[arg-type]
        except TimeoutError as error:
            raise StoreAway(repr(error), refused=False) from error
        except self._trouble as error:
            slow = "Timeout" in type(error).__name__
            raise StoreAway(repr(error), refused=not slow) from error
        return bytes(answer)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
