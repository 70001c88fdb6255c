"""This file exists to fix what the admin API takes and gives about versions.

Owns   request and reply shapes. Our own input: unknown fields are refused.
Fails  INVALID, by chassis.problems, naming each wrong field.
"""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from gateway.control.shapes import Text

VersionState = Literal["head", "current", "deprecated", "brownout", "ended"]


class BrownoutSpan(Struct, frozen=True, forbid_unknown_fields=True):
    """A rehearsal of the end: start <= now < end."""

    start: datetime
    end: datetime


class VersionDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; null takes an announcement back. brownouts: all of them."""

    deprecated_at: datetime | UnsetType | None = UNSET
    sunset_at: datetime | UnsetType | None = UNSET
    link: Text | UnsetType = UNSET
    brownouts: tuple[BrownoutSpan, ...] | UnsetType = UNSET
    reason: Text = ""


class VersionView(Struct, frozen=True, kw_only=True):
    """tells: what broke when it began. keys: active ones pinned to it.

    consumers, requests, last_at: who called it in the last 30 days, how often, and when last.
    """

    version: str
    state: VersionState
    tells: tuple[str, ...]
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None
    link: str = ""
    brownouts: tuple[BrownoutSpan, ...] = ()
    keys: int = 0
    consumers: int = 0
    requests: int = 0
    last_at: datetime | None = None


class VersionCaller(Struct, frozen=True, kw_only=True):
    """A consumer that still speaks a version, and whom to ask about it.

    keys: active ones pinned to it. requests, last_at: of the last 30 days; None when it has
    only the keys.
    """

    version: str
    consumer: str
    owner: str
    contact: str
    keys: int
    requests: int
    last_at: datetime | None


class Pin(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """version: what the key speaks from now on; empty follows its plan."""

    version: str
    reason: Text = ""
