"""This file exists to serve the OpenAPI document of every version, to anybody, without a tier.

Reads   request
Writes  documents
Fails   NOT_FOUND for everything else below its route: nothing goes on from here.
Source  gateway.md part I, Developer experience: the documents are served offline.

`/openapi` tells which there are, and how versions end; `/openapi/<tier>/<version>.json` is one.
A version that changed nothing of a tier has the document of the newest older one that did.
"""

import hashlib
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from chassis.versions import changes, head, versions
from contracts.problem import Fault, Problem
from gateway.lifecycle import Life
from gateway.policy import Answer, Exchange, Policy, Stage, Tools

FOLDER = Path(__file__).parents[2] / "openapi"
TIERS = ("process", "experience", "system")
_JSON = (b"content-type", b"application/json")
_DAY = (b"cache-control", b"public, max-age=86400")
_SOON = (b"cache-control", b"public, max-age=300")


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose: what is published is public."""


class _Documents:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._prefix = tools.route.prefix.encode() if tools.route else b"/"
        self._index = _index(tools.versions)

    def on_request(self, x: Exchange) -> Problem | None:
        asked = x.path[len(self._prefix) :].strip(b"/")
        if asked:
            body, kept = _document(asked.decode("latin-1")), _SOON
            if not asked.endswith(head().encode() + b".json"):
                kept = _DAY
        else:
            body, kept = self._index, _SOON
        if body is None:
            return Problem(Fault.NOT_FOUND, f"There is no such document; {_TOLD}.")
        etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
        headers = [_JSON, kept, (b"etag", etag), (b"access-control-allow-origin", b"*")]
        if etag in (x.header(b"if-none-match") or b""):
            x.answer = Answer(304, headers[1:])
        else:
            x.answer = Answer(200, headers, body)
        return None


_TOLD = "/openapi tells which there are"


@cache
def _document(name: str) -> bytes | None:
    tier, _, file = name.partition("/")
    version = file.removesuffix(".json")
    if tier not in TIERS or version not in versions() or file == version:
        return None
    there = sorted(found.stem for found in (FOLDER / tier).glob("[0-9]*.json"))
    own = max((each for each in there if each <= version), default="")
    # The newest one has grown since it was frozen: the code's own words are better.
    file = "head" if own == max(there, default="") else own
    return (FOLDER / tier / f"{file}.json").read_bytes() if own else None


def _index(lives: tuple[Life, ...]) -> bytes:
    by_version = {life.version: life for life in lives}
    told = [
        {
            "version": version,
            "changed": [change.tells for change in changes() if change.date == version],
            "documents": [f"/openapi/{tier}/{version}.json" for tier in TIERS],
            "deprecated_s": by_version[version].deprecated_s if version in by_version else 0,
            "sunset_s": by_version[version].sunset_s if version in by_version else 0,
            "link": by_version[version].link if version in by_version else "",
        }
        for version in reversed(versions())
    ]
    return msgspec.json.format(msgspec.json.encode({"head": head(), "versions": told})) + b"\n"


POLICY = Policy(
    stage=Stage.REUSE,
    config=Config,
    bind=_Documents,
    reads=frozenset({"request"}),
    writes=frozenset({"documents"}),
)
