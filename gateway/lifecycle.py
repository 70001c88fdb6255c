"""This file exists to say how a version of our APIs ends: announced, rehearsed, over.

Owns   the record of a version's life, and the header lines it puts on every reply.
Fails  ValueError by `check`, naming what does not fit together.
Source RFC 9745 (Deprecation, a structured date), RFC 8594 (Sunset, an IMF-fixdate; never before
       the deprecation), RFC 8288 (Link), RFC 5829 (successor-version).
"""

from collections.abc import Iterable
from email.utils import formatdate

from msgspec import Struct

Pair = tuple[bytes, bytes]


class Brownout(Struct, frozen=True, forbid_unknown_fields=True):
    """A rehearsal of the end: start_s <= now < end_s, Unix seconds."""

    start_s: int
    end_s: int


class Life(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one version. deprecated_s, sunset_s: Unix seconds, 0 for not yet told.

    link: where callers read what to do. brownouts: in order, none overlaps another.
    """

    version: str
    deprecated_s: int = 0
    sunset_s: int = 0
    link: str = ""
    brownouts: tuple[Brownout, ...] = ()

    def ended(self, now_s: float) -> bool:
        """True from the sunset on."""
        return 0 < self.sunset_s <= now_s

    def brownout(self, now_s: float) -> Brownout | None:
        """The one that is on."""
        return next((b for b in self.brownouts if b.start_s <= now_s < b.end_s), None)


def check(life: Life) -> None:
    """What a record must hold, wherever it comes from."""
    if life.sunset_s and not life.deprecated_s:
        raise ValueError(f"version {life.version} has a sunset and no deprecation")
    if 0 < life.sunset_s < life.deprecated_s:
        raise ValueError(f"version {life.version} ends before it is deprecated")
    if life.deprecated_s and not life.link:
        raise ValueError(f"version {life.version} is deprecated and says nowhere what to do")
    before_s = life.deprecated_s
    for each in life.brownouts:
        if not life.deprecated_s or each.start_s < before_s or each.end_s <= each.start_s:
            raise ValueError(f"version {life.version}: brownouts follow the deprecation, in order")
        before_s = each.end_s
    if life.sunset_s and before_s > life.sunset_s:
        raise ValueError(f"version {life.version} has a brownout after its sunset")


def lines(life: Life, successor: str) -> tuple[Pair, ...]:
    """Header lines of every reply in this version. successor: address of the one to move to."""
    if not life.deprecated_s:
        return ()
    found = [(b"deprecation", b"@%d" % life.deprecated_s)]
    links = [f'<{life.link}>; rel="deprecation"; type="text/html"']
    if life.sunset_s:
        found.append((b"sunset", formatdate(life.sunset_s, usegmt=True).encode()))
        links.append(f'<{life.link}>; rel="sunset"; type="text/html"')
    links.append(f'<{successor}>; rel="successor-version"')
    return (*found, (b"link", ", ".join(links).encode()))


def successor_of(version: str, known: Iterable[str], lives: Iterable[Life]) -> str:
    """The newest version; an older one that lives on is no place to move to for long."""
    ending = {life.version for life in lives if life.deprecated_s}
    newer = [each for each in known if each > version and each not in ending]
    return max(newer, default=version)
