"""What is published stays as it is, and what would break an older caller does not get through."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chassis import versions
from firmwire import freezing
from firmwire.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "openapi", tmp_path / "openapi")
    return tmp_path


def edit(file: Path, work: Callable[[Any], None]) -> None:
    body = json.loads(file.read_text())
    work(body)
    file.write_text(json.dumps(body))


def test_an_altered_publication_is_found(tree: Path) -> None:
    """One byte in a document that somebody may rely on."""
    file = tree / "openapi" / "process" / "2026-11-01.json"
    file.write_bytes(file.read_bytes() + b"\n")
    assert freezing.findings(tree) == [
        "openapi/process/2026-11-01.json was published and has been altered: take the change back"
    ]


def test_a_publication_cannot_go(tree: Path) -> None:
    """It is missed by the lock."""
    (tree / "openapi" / "process" / "2026-11-08.json").unlink()
    assert "openapi/process/2026-11-08.json was published and is gone" in freezing.findings(tree)


def test_a_break_without_a_change_is_named(tree: Path) -> None:
    """Head against the newest publication: as if the code had lost a field since."""
    newest = tree / "openapi" / "process" / "2026-11-22.json"

    def more(body: Any) -> None:
        schema = body["components"]["schemas"]["WorkItem"]
        schema["properties"]["colour"] = {"type": "string"}
        schema["required"].append("colour")

    edit(newest, more)
    found = freezing.findings(tree)
    assert any(
        "process head: breaks  GET /process/v1/exceptions/{id}  reply.200/colour  "
        "response-property-removed" in line
        for line in found
    )
    shown = CliRunner().invoke(main, ["contracts", "--check", "--into", str(tree)])
    assert shown.exit_code == 1
    assert "colour" in shown.output


def test_a_break_that_its_change_does_not_touch_is_named(tree: Path) -> None:
    """A dated change is no licence for other operations."""
    first, next_one = (
        freezing.read(tree, "process", name) for name in ("2026-11-01", "2026-11-08")
    )
    assert freezing.uncovered(first, next_one, "2026-11-01", "2026-11-08") == []
    del next_one["paths"]["/process/v1/invoices"]
    (missed,) = freezing.uncovered(first, next_one, "2026-11-01", "2026-11-08")
    assert (missed.operation, missed.rule) == ("GET /process/v1/invoices", "api-removed")


def test_publishing_writes_once(tree: Path) -> None:
    """What is there already is not touched; what is missing is written and locked."""
    assert freezing.publish(tree) == []
    for name in ("published.lock", "process/2026-11-22.json"):
        (tree / "openapi" / name).unlink()
    lines = (ROOT / "openapi" / "published.lock").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "2026-11-22" not in line]
    (tree / "openapi" / "published.lock").write_text("".join(kept))
    assert any("is not published" in line for line in freezing.findings(tree))
    shown = CliRunner().invoke(main, ["contracts", "--publish", "--into", str(tree)])
    assert (shown.exit_code, "openapi/process/2026-11-22.json" in shown.output) == (0, True)
    assert freezing.findings(tree) == []


def test_the_lock_is_read_by_sha256sum(tree: Path) -> None:
    """Anybody can check it without us."""
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("no sha256sum here")
    run = subprocess.run(
        [tool, "--quiet", "-c", "published.lock"],
        cwd=tree / "openapi", timeout=20, check=False, capture_output=True,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, b"")


def test_the_differences_between_two_versions_are_told() -> None:
    """`contracts diff`: by operation, with where; status 1 when an older caller breaks."""
    words = ["contracts", "--into", str(ROOT), "diff", "2026-11-01", "2026-11-08"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 1
    assert "POST /process/v1/time-entries  reply.202/refused/*/field" in shown.output
    same = CliRunner().invoke(main, ["contracts", "--into", str(ROOT), "diff"])
    assert same.exit_code == 0
    unknown = CliRunner().invoke(main, ["contracts", "--into", str(ROOT), "diff", "2020-01-01"])
    assert unknown.exit_code == 2
    assert "2026-11-01" in unknown.output


def test_every_version_has_its_document() -> None:
    """The process tier was changed by each, so far."""
    assert freezing.published(ROOT, "process") == versions.versions()


def test_a_template_that_takes_in_another_operation_is_named() -> None:
    """`/things/{id}` also matches `/things/progress`; the gateway must know of both."""
    there = {"GET /a/{id}", "GET /a/progress", "POST /a/progress", "GET /a/{id}/b", "GET /a"}
    assert freezing.shadowed("GET /a/{id}", there) == {"GET /a/progress"}
    assert freezing.shadowed("GET /a/progress", there) == set()
