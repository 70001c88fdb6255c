"""This file exists to know the versions of our APIs, and what lies between an old one and head.

Owns   the list of versions: the first publication and every date under contracts/changes.
Fails  ValueError at start, when a change bears a date that is none, or one before the first.
"""

from datetime import date
from functools import cache

from msgspec import Struct

from chassis.discovery import plugs
from contracts.change import FIRST, Change, Turn


class Walk(Struct, frozen=True):
    """From a version to head for one operation, in the order to apply.

    pointers: of problem documents, newest first, each newer to older.
    """

    up: tuple[Turn, ...] = ()
    down: tuple[Turn, ...] = ()
    pointers: tuple[dict[str, str], ...] = ()

    @property
    def moves(self) -> bool:
        """False when nothing is to be done."""
        return bool(self.up or self.down or self.pointers)


@cache
def changes() -> tuple[Change, ...]:
    """Oldest first; those of one date by the name of their file."""
    found = plugs("contracts.changes", "CHANGE", Change)
    for name, change in found.items():
        if date.fromisoformat(change.date).isoformat() != change.date or change.date <= FIRST:
            raise ValueError(f"contracts.changes.{name}: {change.date} is not a date after {FIRST}")
        if not name.startswith(f"v{change.date.replace('-', '_')}_"):
            raise ValueError(f"contracts.changes.{name} must begin with its date, {change.date}")
    return tuple(sorted(found.values(), key=lambda change: change.date))


def versions() -> tuple[str, ...]:
    """Every version, oldest first."""
    return tuple(sorted({FIRST, *(change.date for change in changes())}))


def head() -> str:
    """The version the code speaks."""
    return versions()[-1]


def walks(version: str, known: tuple[Change, ...] | None = None) -> dict[str, Walk]:
    """By operation, what lies between this version and head. Untouched operations are absent."""
    ahead = [c for c in (changes() if known is None else known) if c.date > version]
    found: dict[str, Walk] = {}
    for change in ahead:
        for touch in change.touches:
            walk = found.get(touch.operation, Walk())
            found[touch.operation] = Walk(
                up=walk.up + ((touch.request.up,) if touch.request else ()),
                down=((touch.reply.down,) if touch.reply else ()) + walk.down,
                pointers=((touch.pointers,) if touch.pointers else ()) + walk.pointers,
            )
    return {operation: walk for operation, walk in found.items() if walk.moves}
