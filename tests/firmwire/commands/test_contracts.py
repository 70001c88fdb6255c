"""Published documents are what the code says; a machine is looked over; keys by command line."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmwire.cli import main
from firmwire.supervisor import free_ports

ROOT = Path(__file__).parents[3]


def test_what_is_checked_in_is_what_the_code_generates() -> None:
    """Interfaces are frozen: a change of them is a change of these files, seen by everybody."""
    shown = CliRunner().invoke(main, ["contracts", "--check", "--into", str(ROOT)])
    assert (shown.exit_code, shown.output) == (
        0, "nothing to write: all generated files are up to date\n",
    )  # fmt: skip


def test_what_is_out_of_date_is_named_and_written(tmp_path: Path) -> None:
    """--check writes nothing and fails; without it the files are written, once."""
    run = CliRunner().invoke
    stale = run(main, ["contracts", "--check", "--into", str(tmp_path)])
    assert stale.exit_code == 1
    assert "out of date: openapi/process/head.json" in stale.output
    assert list(tmp_path.iterdir()) == []
    shutil.copytree(ROOT / "openapi", tmp_path / "openapi")
    (tmp_path / "openapi" / "process" / "head.json").unlink()
    written = run(main, ["contracts", "--into", str(tmp_path)])
    assert written.exit_code == 0
    assert "written: openapi/process/head.json" in written.output
    assert run(main, ["contracts", "--check", "--into", str(tmp_path)]).exit_code == 0


def test_documents_are_the_same_every_time() -> None:
    """Another interpreter with another hash seed generates the same bytes."""
    program = (
        "import hashlib; from firmwire.documents import generated\n"
        "print([(str(p), hashlib.sha256(b).hexdigest()) for p, b in generated().items()])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            timeout=60, cwd=ROOT, env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> tuple[int, ...]:
    """All ports told to be free ones."""
    names = ("GATEWAY", "GATEWAY_INTERNAL", "CONTROL", "SYSTEM", "PROCESS", "EXPERIENCE", "SANDBOX")
    ports = free_ports(len(names))
    for name, port in zip(names, ports, strict=True):
        monkeypatch.setenv(f"FIRMWIRE_{name}_PORT", str(port))
    return ports


def _doctor(home: Path) -> tuple[int, dict[str, Any]]:
    shown = CliRunner().invoke(main, ["doctor", "--json", "--home", str(home)])
    return shown.exit_code, {row["check"]: row for row in json.loads(shown.output)}


def test_a_fit_machine(tmp_path: Path, free: tuple[int, ...]) -> None:
    """Every check is there and fine; the doctor leaves nothing behind."""
    status, found = _doctor(tmp_path)
    assert {"python", "sqlite", "disk", "home folder", "ports", "identity keys"} <= found.keys()
    assert [name for name, row in found.items() if not row["ok"]] == []
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_named_with_what_to_do(
    tmp_path: Path, free: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting and a key that others can read: both are found, with advice, status 1."""
    monkeypatch.setenv("FIRMWIRE_PROCESS_MASTER_POLL_S", "soon")
    key = tmp_path / "identity" / "gateway.key.json"
    key.parent.mkdir()
    key.write_text("{}")
    key.chmod(0o644)
    status, found = _doctor(tmp_path)
    wrong = {name: row for name, row in found.items() if not row["ok"]}
    assert wrong.keys() == {"settings [process]", "identity keys"}
    assert "master_poll_s" in wrong["settings [process]"]["seen"]
    assert all(row["do"] for row in wrong.values())
    assert status == 1


def test_a_taken_port_is_named(tmp_path: Path, free: tuple[int, ...]) -> None:
    """Which one, and by what name it can be told otherwise."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free[0]))
        taken.listen()
        status, found = _doctor(tmp_path)
    assert status == 1
    assert found["ports"]["seen"] == f"taken: gateway {free[0]}"


class Control:
    """The `firmwire keys` command against a running control plane."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home

    def keys(self, *words: str) -> Any:
        return CliRunner().invoke(
            main, ["keys", "--url", self.url, *words], env={"FIRMWIRE_HOME": str(self.home)}
        )


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    port = free_ports(1)[0]
    env = {**os.environ, "FIRMWIRE_HOME": str(tmp_path), "FIRMWIRE_CONTROL_PORT": str(port)}
    command = [sys.executable, "-m", "firmwire", "serve", "control"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        end_s = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{url}/ready", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end_s
                time.sleep(0.05)
        yield Control(url, tmp_path)
    finally:
        process.terminate()
        process.wait(20)


def test_the_life_of_a_key(control: Control) -> None:
    """Made, listed without its secret, rotated, revoked; the secret alone is standard output."""
    made = control.keys("create", "acme", "--plan", "partner", "--label", "first")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert secret.startswith("fw_live_")
    assert "\n" not in secret
    listed = json.loads(control.keys("list", "--json").stdout)
    assert [(k["consumer"], k["label"], k["state"]) for k in listed["items"]] == [
        ("acme", "first", "active")
    ]
    assert secret not in json.dumps(listed)
    id = listed["items"][0]["id"]
    turned = control.keys("rotate", id, "--overlap-hours", "1")
    assert turned.exit_code == 0, turned.output
    assert turned.stdout.strip() != secret
    revoked = json.loads(control.keys("revoke", id, "--json", "--reason", "lost").stdout)
    assert revoked["state"] == "revoked"


def test_what_the_control_plane_refuses_is_one_clear_line(control: Control) -> None:
    """No trace, the reason, and status 1."""
    for words in (
        ("create", "nobody"),
        ("create", "acme", "--plan", "no-such-plan"),
        ("revoke", "key_nobody"),
        ("list", "--cursor", "nobody-gave-this"),
    ):
        shown = control.keys(*words)
        if words[0] == "list" and shown.exit_code == 0:
            continue
        assert shown.exit_code == 1, (words, shown.output)
        assert shown.stderr.strip()
        assert "Traceback" not in shown.output


def test_without_a_control_plane(tmp_path: Path) -> None:
    """It cannot be reached: said in words, at once."""
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "admin.token").write_text("t" * 40)
    shown = Control(f"http://127.0.0.1:{free_ports(1)[0]}", tmp_path).keys("list")
    assert shown.exit_code == 1
    assert "Traceback" not in shown.output
    assert shown.stderr.strip()
