"""This file exists to freeze what is published, and to refuse what would break an older caller.

Owns   openapi/<tier>/<version>.json, written once; openapi/published.lock, a checksum of each.
       openapi/<tier>/head.json is what the code says now: it may grow, and nothing else.
Fails  by words, one line a finding; there is no way to wave one through. A breaking difference is
       a file under contracts/changes, or it is undone.
"""

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from chassis.versions import changes
from contracts.change import FIRST
from firmwire.contract_diff import Difference, breaking
from firmwire.documents import TIERS, described, version_of

FOLDER = Path("openapi")
LOCK = FOLDER / "published.lock"


def published(root: Path, tier: str) -> tuple[str, ...]:
    """Versions with a document of their own, oldest first."""
    found = (root / FOLDER / tier).glob("[0-9]*.json")
    return tuple(sorted(file.stem for file in found))


def read(root: Path, tier: str, name: str) -> dict[str, Any]:
    """A document of a tier: a version, or `head`."""
    found = json.loads((root / FOLDER / tier / f"{name}.json").read_bytes())
    assert isinstance(found, dict)
    return found


def publish(root: Path) -> list[str]:
    """Freeze head where a change began a version that has no document yet; what was written."""
    written = []
    for tier in TIERS:
        version = version_of(tier)
        file = root / FOLDER / tier / f"{version}.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(described(tier))
            written.append(f"{tier}/{version}.json")
    known = locked(root)
    known |= {name: _hash(root / FOLDER / name) for name in written}
    lines = [f"{known[name]}  {name}\n" for name in sorted(known)]
    (root / LOCK).write_text("".join(lines))
    return written


def locked(root: Path) -> dict[str, str]:
    """Checksum by name; the file is also what `sha256sum -c` reads in its folder."""
    file = root / LOCK
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}


def findings(root: Path) -> list[str]:
    """Everything that must not be; empty when the contracts hold."""
    found = _altered(root)
    for tier in TIERS:
        versions = published(root, tier)
        if FIRST not in versions:
            found.append(f"openapi/{tier}/{FIRST}.json, the first publication, is missing")
            continue
        if (newest := version_of(tier)) not in versions:
            found.append(
                f"openapi/{tier}/{newest}.json is not published, and its change is there:"
                " run `firmwire contracts --publish`"
            )
        found += _walked(root, tier, versions)
        last = read(root, tier, versions[-1])
        now = json.loads(described(tier))
        if newest == versions[-1]:
            found += [f"{tier} head: {each}" for each in breaking(last, now)]
    return found + _unknown(root)


def uncovered(old: dict[str, Any], new: dict[str, Any], after: str, until: str) -> list[Difference]:
    """Breaking differences that no change dated after < date <= until accounts for."""
    touched = {
        touch.operation
        for change in changes()
        if after < change.date <= until
        for touch in change.touches
    }
    return [each for each in breaking(old, new) if each.operation not in touched]


def _altered(root: Path) -> list[str]:
    known = locked(root)
    there = {f"{tier}/{v}.json" for tier in TIERS for v in published(root, tier)}
    found = [f"openapi/{name} was published and is gone" for name in sorted(known.keys() - there)]
    found += [f"openapi/{name} is in no lock: publish it" for name in sorted(there - known.keys())]
    found += [
        f"openapi/{name} was published and has been altered: take the change back"
        for name in sorted(there & known.keys())
        if known[name] != _hash(root / FOLDER / name)
    ]
    return found


def _walked(root: Path, tier: str, versions: tuple[str, ...]) -> list[str]:
    """Between two publications, every break is on an operation that a change touches."""
    found = []
    for old, new in pairwise(versions):
        missed = uncovered(read(root, tier, old), read(root, tier, new), old, new)
        found += [f"{tier} {old} -> {new}: {each}" for each in missed]
    return found


def _unknown(root: Path) -> list[str]:
    """A change that touches what there is not would never be walked; a template that takes in a
    plain path which no change names would be walked there too.
    """
    there = {
        f"{method.upper()} {path}"
        for tier in TIERS
        for version in published(root, tier)
        for path, item in read(root, tier, version)["paths"].items()
        for method in item
    }
    touched = {(change.date, touch.operation) for change in changes() for touch in change.touches}
    named = {operation for _, operation in touched}
    found = [
        f"the change of {date} touches {operation}, which no document has"
        for date, operation in sorted(touched)
        if operation not in there
    ]
    return found + [
        f"the change of {date} touches {operation}, which looks like {other}: give that one an "
        "empty Touch"
        for date, operation in sorted(touched)
        for other in sorted(shadowed(operation, there) - named)
    ]


def shadowed(operation: str, there: set[str]) -> set[str]:
    """Other operations whose path the template of this one would match."""
    parts = re.split(r"\{\w+\}", operation)
    match = re.compile("[^/]+".join(re.escape(part) for part in parts)).fullmatch
    return {other for other in there if other != operation and match(other)}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
