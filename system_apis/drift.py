"""This file exists to notice when a vendor sends fields nobody here knows: schema drift.

Owns   the fields seen so far, one of these per connector.
Fails  never: drift is counted and reported in Health, not refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from chassis import metrics


class Drift:
    """known: by shape name, the fields the vendor's own metadata lists."""

    def __init__(self, peer: str, known: Mapping[str, frozenset[str]]) -> None:
        self._peer = peer
        self._known = known
        self._seen: set[tuple[str, str]] = set()

    @property
    def fields(self) -> int:
        """Different fields seen that are not in the vendor's metadata."""
        return len(self._seen)

    def look(self, shape: str, names: Iterable[str]) -> None:
        """Count what is new among a record's field names."""
        known = self._known.get(shape)
        if known is None:
            return
        for name in names:
            if name not in known and (shape, name) not in self._seen:
                self._seen.add((shape, name))
                metrics.count("unknown_fields_total", peer=self._peer, shape=shape)


def names_of(record: Any) -> Iterable[str]:
    """The field names of one decoded JSON object."""
    return record.keys() if isinstance(record, dict) else ()
