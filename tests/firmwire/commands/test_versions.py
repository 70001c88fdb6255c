"""`firmwire versions` against a running control plane: a version ends by four short commands."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chassis import clock, versions
from contracts.change import FIRST
from firmwire.cli import main
from firmwire.supervisor import free_ports

Run = Callable[..., Result]
LINK = "https://firm.example/moving"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    own = {"FIRMWIRE_HOME": str(tmp_path), "FIRMWIRE_CONTROL_PORT": str(port)}
    with (tmp_path / "control.log").open("wb") as said:
        program = [sys.executable, "-m", "firmwire", "serve", "control"]
        child = subprocess.Popen(program, env=os.environ | own, stdout=said, stderr=said)
    try:
        ends_s = clock.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{url}/ready", timeout=1).close()
                break
            except OSError:
                assert child.poll() is None, (tmp_path / "control.log").read_text()
                assert clock.monotonic() < ends_s
        env = own | {"FIRMWIRE_CONTROL_URL": url}
        yield lambda *words: CliRunner().invoke(main, words, env=env)
    finally:
        child.terminate()
        child.wait(20)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_version_from_announcement_to_end(run: Run) -> None:
    """Deprecate, sunset, rehearse, think better of it; each step in the list."""
    assert run("keys", "create", "acme", "--plan", "partner", "--version", FIRST).exit_code == 0
    shown = run("versions", "list")
    assert shown.exit_code == 0
    assert "the first publication" in shown.stdout
    (view,) = told(run("versions", "deprecate", FIRST, "--link", LINK, "--json"))
    assert (view["state"], view["link"], view["keys"]) == ("deprecated", LINK, 1)
    (view,) = told(run("versions", "sunset", FIRST, "2099-03-01", "--json", "--reason", "old"))
    assert view["sunset_at"] == "2099-03-01T00:00:00Z"
    for start in ("2099-02-01T09:00:00Z", "2099-02-02T09:00:00+01:00"):
        seen = run("versions", "brownout", FIRST, start, "--minutes", "15", "--json")
        (view,) = told(seen)
    assert [(b["start"], b["end"]) for b in view["brownouts"]] == [
        ("2099-02-01T09:00:00Z", "2099-02-01T09:15:00Z"),
        ("2099-02-02T08:00:00Z", "2099-02-02T08:15:00Z"),
    ]
    (view,) = told(run("versions", "keep", FIRST, "--json"))
    assert (view["state"], view["sunset_at"], view["brownouts"]) == ("current", None, [])


def test_who_is_to_be_asked(run: Run) -> None:
    """The report names consumers; a key moves on by one command."""
    made = told(run("keys", "create", "acme", "--plan", "partner", "--version", FIRST, "--json"))
    (caller,) = told(run("versions", "report", "--json"))
    assert (caller["version"], caller["consumer"], caller["keys"]) == (FIRST, "acme", 1)
    assert "acme" in run("versions", "report", FIRST).stdout
    moved = told(run("keys", "pin", made["key"]["id"], versions.head(), "--json"))
    assert moved["version"] == versions.head()
    assert told(run("versions", "report", FIRST, "--json")) == []
    assert run("versions", "report", FIRST).exit_code == 0


def test_what_cannot_be_is_one_plain_line(run: Run) -> None:
    """Status 1 from the control plane, 2 for words nobody can read; never a trace."""
    for words, status in (
        (("deprecate", versions.head(), "--link", LINK), 1),
        (("sunset", FIRST, "2099-01-01"), 1),
        (("sunset", "2020-01-01", "2099-01-01"), 1),
        (("sunset", FIRST, "tomorrow"), 2),
        (("deprecate", FIRST), 2),
    ):
        shown = run("versions", *words)
        assert shown.exit_code == status, (words, shown.output)
        assert shown.stderr.strip()
        assert "Traceback" not in shown.output
