"""This file exists to let a caller of an older version talk to tiers that only speak head.

Reads   request, version
Writes  translation
Fails   INVALID when a body does not have the form of the caller's version.
Source  gateway.md part I, Versioning: requests are walked up, replies down (contracts/changes).

At head, and for every operation no change touches, nothing is set: bodies stream untouched.
"""

from msgspec import Struct

from chassis.versions import versions
from gateway.policy import Exchange, Policy, Stage, Tools
from gateway.translation import Finder, finder


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose: the changes say it all."""


class _Translate:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._finders: dict[bytes, Finder] = {
            version.encode(): found for version in versions() if (found := finder(version))
        }

    def on_request(self, x: Exchange) -> None:
        found = self._finders.get(x.version)
        if found is None:
            return
        translation = found.find(x.method, x.path)
        if translation is None:
            return
        if translation.changes_requests and x.length_bytes:
            x.rewrite_request = translation.request
        if translation.changes_replies:
            x.rewrite_reply = translation.reply
            x.rewrite_if = translation.wants


POLICY = Policy(
    stage=Stage.TRANSLATE,
    config=Config,
    bind=_Translate,
    reads=frozenset({"request", "version"}),
    writes=frozenset({"translation"}),
    always=True,
)
