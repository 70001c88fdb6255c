"""The contract gate: published documents never change, and head breaks nobody.

A breaking difference is a file under contracts/changes, or it is undone: CONTRIBUTING.md,
`An API change`. There is no list of exceptions.
"""

from pathlib import Path

from firmwire import freezing
from firmwire.documents import TIERS, described

ROOT = Path(__file__).parents[2]


def test_the_contracts_hold() -> None:
    """Every line names what is wrong and where."""
    assert freezing.findings(ROOT) == []


def test_head_is_what_the_code_says() -> None:
    """Run `make contracts` and commit what it writes."""
    stale = [
        tier
        for tier in TIERS
        if (ROOT / "openapi" / tier / "head.json").read_bytes() != described(tier)
    ]
    assert stale == []
