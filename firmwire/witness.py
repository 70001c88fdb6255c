"""This file exists to ask the simulated ERP's own store what it holds: the truth, not our word.

Owns   one connection to the sandbox's truth door.
Fails  as the sandbox fails.
"""

from collections import Counter
from typing import Any

from msgspec import Struct

from chassis.outbound import Outbound


class Books(Struct, frozen=True):
    """references: of every invoice there. duplicates: held more than once."""

    references: tuple[str, ...]
    duplicates: int


class Witness:
    """sandbox_url: of the running sandbox."""

    def __init__(self, sandbox_url: str) -> None:
        self._door = Outbound(sandbox_url, peer="witness")

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._door.aclose()

    async def books(self) -> Books:
        """Every invoice in the simulated ERP's store."""
        references: list[str] = []
        offset = 0
        while True:
            path = f"/_sandbox/netsuite/documents/transaction?limit=1000&offset={offset}"
            page = (await self._door.send("GET", path)).json(dict[str, Any])
            references.extend(str(doc.get("externalId", "")) for doc in page["documents"])
            offset += len(page["documents"])
            if offset >= page["total"] or not page["documents"]:
                break
        repeated = sum(count - 1 for count in Counter(references).values() if count > 1)
        return Books(tuple(references), repeated)

    async def misfortune(self, vendor: str, rules: list[dict[str, Any]]) -> None:
        """Set the schedule of faults; an empty list ends them."""
        reply = await self._door.send("PUT", f"/_sandbox/{vendor}/faults", json=rules)
        if not reply.ok:
            raise RuntimeError(f"the sandbox refused the faults: {reply.body[:300]!r}")
