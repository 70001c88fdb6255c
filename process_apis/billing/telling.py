"""Gather what a transaction has to tell, and write it last: event log, then counters.

The order is the tier's (README.md): two transactions never wait for each other in a circle.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from process_apis import counters, events
from process_apis.events import Fact


class Telling:
    """Facts and counter deltas of one transaction. source: of its events."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._facts: list[Fact] = []
        self._deltas: dict[str, int] = {}

    def tell(self, facts: Iterable[Fact]) -> None:
        """Add facts, in order."""
        self._facts.extend(facts)

    def count(self, name: str, delta: int) -> None:
        """Change a counter."""
        self._deltas[name] = self._deltas.get(name, 0) + delta

    def done(self, connection: Connection) -> int:
        """Write it all; how many facts. Call `events.wake` after the commit."""
        events.append(connection, self._source, self._facts)
        counters.add(connection, self._deltas)
        return len(self._facts)
