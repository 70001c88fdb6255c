"""`firmwire clients|admins|issuers|signing-keys` against a running control plane."""

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

from chassis import clock
from firmwire.cli import main
from firmwire.supervisor import free_ports

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    own = {"FIRMWIRE_HOME": str(tmp_path), "FIRMWIRE_CONTROL_PORT": str(port)}
    with (tmp_path / "control.log").open("wb") as said:
        program = [sys.executable, "-m", "firmwire", "serve", "control"]
        child = subprocess.Popen(program, env=os.environ | own, stdout=said, stderr=said)
    try:
        ends_s = clock.monotonic() + 60
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


def test_clients_people_and_keys_from_the_terminal(run: Run) -> None:
    """Secrets alone on standard output, once; what is wrong is said plainly, with status 1."""
    made = run("clients", "create", "operator", "--scope", "system:read", "--name", "Nightly")
    assert made.exit_code == 0, made.output
    assert made.stdout.splitlines()[0].startswith("fwcs_")
    portal = told(
        run(
            "clients", "create", "operator", "--by", "none", "--for", "person",
            "--redirect", "https://portal.example/back", "--json",
        )
    )  # fmt: skip
    assert portal["secret"] == ""
    assert portal["client"]["grants"] == ["authorization_code", "refresh_token"]
    (first, second) = told(run("clients", "list", "--json"))["items"]
    assert (first["name"], second["id"]) == ("Nightly", portal["client"]["id"])
    assert "fwcs_" not in run("clients", "list").stdout
    gone = told(run("clients", "revoke", first["id"], "--reason", "left", "--json"))
    assert gone["revoked_at"] is not None

    made = run("admins", "create", "kim", "--role", "auditor")
    assert (made.exit_code, len(made.stdout.splitlines()[0]) >= 20) == (0, True)
    assert "kim" in run("admins", "list").stdout
    assert run("admins", "disable", "kim").exit_code == 0
    assert told(run("admins", "list", "--json"))["items"][0]["disabled_at"] is not None

    (before,) = told(run("signing-keys", "list", "--json"))["items"]
    after = told(run("signing-keys", "rotate", "--reason", "yearly", "--json"))
    listed = [key["kid"] for key in told(run("signing-keys", "list", "--json"))["items"]]
    assert listed == [after["kid"], before["kid"]]

    refused = run(
        "issuers", "add", "http://169.254.169.254", "--audience", "a", "--consumer", "operator"
    )
    assert (refused.exit_code, "only https is asked" in refused.output) == (1, True)
    assert told(run("issuers", "list", "--json"))["items"] == []
