"""The house's own source as data for the tests that hold its rules."""

import ast
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "contracts", "chassis", "gateway", "system_apis", "process_apis", "experience_apis",
    "sandbox", "firmwire",
)  # fmt: skip
_ESCAPE = re.compile(r"# house: (?P<rule>[a-z-]+) (?P<why>\S.{9,})")


class Source(NamedTuple):
    """One Python file. module: dotted name. lines: numbered from 1 by `line`."""

    path: Path
    module: str
    text: str
    tree: ast.Module

    def where(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"

    def escaped(self, node: ast.AST, rule: str) -> bool:
        """`# house: <rule> <why>` on the line itself or the one above."""
        lines = self.text.splitlines()
        at = getattr(node, "lineno", 1)
        near = lines[max(0, at - 2) : at]
        return any((found := _ESCAPE.search(line)) and found["rule"] == rule for line in near)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every source file of the packages, tests left out."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.append(Source(path, module.removesuffix(".__init__"), text, ast.parse(text)))
    return found


@pytest.fixture(scope="session")
def committed() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if listed.returncode:  # an archive without git: everything there is
        skip = {".venv", ".git", "__pycache__", ".firmwire"}
        paths = [p for p in ROOT.rglob("*") if p.is_file() and not skip & set(p.parts)]
    else:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file()]
