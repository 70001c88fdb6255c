"""Adding a plug is one new file or folder and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    "contracts", "chassis", "gateway", "system_apis", "process_apis", "experience_apis",
    "sandbox", "firmwire",
)  # fmt: skip
LOOK = """
import importlib, sys
from chassis.discovery import plugs
socket, name, home, shape, part = sys.argv[1:]
found = plugs(socket, name, getattr(importlib.import_module(home), shape), part=part)
print(" ".join(found))
"""


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    for package in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / package, tmp_path / package, ignore=skip)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("socket", "name", "home", "shape", "part"),
    [
        ("gateway.policies", "POLICY", "gateway.policy", "Policy", ""),
        ("system_apis.vendors", "CONNECTOR", "system_apis.connector", "Connector", "connector"),
        ("system_apis.vendors", "SIMULATOR", "system_apis.simulator", "Simulator", "simulator"),
        ("process_apis.journeys", "JOURNEY", "process_apis.journey", "Journey", "journey"),
        ("experience_apis.views", "VIEW", "experience_apis.view", "View", ""),
        ("contracts.changes", "CHANGE", "contracts.change", "Change", ""),
    ],
)
def test_a_copied_plug_is_found_without_another_edit(tree, socket, name, home, shape, part):
    """Every socket takes a newcomer: found beside the others, which stay as they were."""
    if not (tree / (home.replace(".", "/") + ".py")).exists():
        pytest.skip(f"{home} is not built yet")
    before = _found(tree, socket, name, home, shape, part)
    if not before:
        pytest.skip(f"{socket} is empty")
    child = before[0]
    _copy(tree / socket.replace(".", "/"), socket, child, f"toy_{child}")
    after = _found(tree, socket, name, home, shape, part)
    assert after == sorted([*before, f"toy_{child}"])


def _found(tree: Path, *what: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", LOOK, *what],
        cwd=tree, capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def _copy(folder: Path, socket: str, old: str, new: str) -> None:
    """The plug under another name; its own imports follow."""
    source = folder / old
    if source.is_dir():
        shutil.copytree(source, folder / new)
        files = list((folder / new).rglob("*.py"))
    else:
        files = [Path(shutil.copy(source.with_suffix(".py"), folder / f"{new}.py"))]
    for file in files:
        text = re.sub(rf"\b{re.escape(socket)}\.{old}\b", f"{socket}.{new}", file.read_text())
        file.write_text(text.replace(f'"{old}"', f'"{new}"'))
