"""Admin commands against a running control plane: tables, JSON, empty states, plain errors."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from chassis import clock
from firmwire.cli import main

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """A control plane as it is started for real."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "FIRMWIRE_HOME": str(home), "FIRMWIRE_CONTROL_PORT": str(port)}
    with (home / "control.log").open("wb") as said:
        program = [sys.executable, "-m", "firmwire", "serve", "control"]
        child = subprocess.Popen(program, env=environment, stdout=said, stderr=said)
    try:
        ends_s = clock.monotonic() + 20
        while not _answers(port):
            assert child.poll() is None, (home / "control.log").read_text()
            assert clock.monotonic() < ends_s
            a_moment()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(20)


def _answers(port: int) -> bool:
    """Ready, not only listening: the first plans are made after the port is open."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1).close()
    except OSError:
        return False
    return True


def a_moment() -> None:
    threading.Event().wait(0.05)


@pytest.fixture
def run(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FIRMWIRE_HOME", str(home))
    monkeypatch.setenv("FIRMWIRE_CONTROL_URL", url)
    monkeypatch.delenv("FIRMWIRE_ADMIN_TOKEN", raising=False)
    return lambda *words: CliRunner().invoke(main, words)


def data(result: Result):
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_a_key_from_first_to_last(run: Run):
    """Create, find, show, rotate, shorten, revoke, and what the record says of it."""
    made = run("keys", "create", "ben", "--plan", "partner", "--label", "nightly")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert secret.startswith("fw_live_")
    (key,) = data(run("keys", "search", "nightly", "--json"))["items"]
    assert (key["state"], key["consumer"]) == ("active", "ben")
    assert "nightly" in run("keys", "list", "--consumer", "ben").stdout
    assert "0 requests" in run("keys", "show", key["id"]).stdout
    successor = data(run("keys", "rotate", key["id"], "--overlap-hours", "2", "--json"))
    assert key["id"] == successor["key"]["replaces"]
    assert "expired" in run("keys", "expire", key["id"], "--reason", "early").stdout
    assert "revoked" in run("keys", "revoke", successor["key"]["id"], "--reason", "over").stdout
    seen = run("audit", "list", "--action", "key").stdout
    assert all(word in seen for word in ("key.created", "key.rotated", "key.revoked", "over"))
    assert secret not in seen
    assert "whole" in run("audit", "verify").stdout
    number = data(run("audit", "list", "--subject", key["id"], "--json"))["items"][0]["seq"]
    assert "before" in data(run("audit", "show", str(number)))


def test_nothing_to_show_says_what_to_do(run: Run):
    """On standard error, so that a program reading the table sees none."""
    empty = run("keys", "search", "no such thing")
    assert (empty.stdout, empty.exit_code) == ("", 0)
    assert "firmwire keys create" in empty.stderr
    assert "firmwire consumers set" in run("consumers", "search", "no such thing").stderr
    assert "Nothing was changed" in run("audit", "list", "--actor", "nobody").stderr


def test_errors_are_a_plain_line(run: Run):
    """Which field, which word, status 1; never a trace."""
    assert run("keys", "create", "carla", "--plan", "partner").exit_code == 0
    for words, said in (
        (("keys", "show", "key_no"), "There is no such key."),
        (("keys", "create", "dora", "--plan", "gone"), "there is no plan gone"),
        (("plans", "remove", "partner"), "consumers are on the plan"),
        (("plans", "set", "bad", "--scope", "nonsense"), "/scopes/0"),
        (("consumers", "set", "nobody"), "There is no consumer nobody"),
        (("audit", "show", "99999"), "There is no entry"),
    ):
        result = run(*words)
        assert (result.exit_code, said in result.stderr) == (1, True), result.output
        assert "Traceback" not in result.output


def test_plans_and_consumers(run: Run):
    """Made, changed in part, shown, removed."""
    assert run("plans", "set", "trial", "--scope", "process:time:read").exit_code == 0
    assert "process:time:read" in run("plans", "show", "trial").stdout
    assert "trial" in run("plans", "list").stdout
    run("consumers", "set", "zoe", "--plan", "trial", "--owner", "Zoe", "--contact", "z@f.example")
    seen = data(run("consumers", "set", "zoe", "--tenant", "lisbon", "--json"))
    assert (seen["plans"], seen["owner"], seen["tenant"]) == (["trial"], "Zoe", "lisbon")
    assert "Keys that work: none" in run("consumers", "show", "zoe").stdout
    assert "zoe" in run("consumers", "list", "--plan", "trial").stdout
    assert run("consumers", "remove", "zoe").exit_code == 0
    assert run("plans", "remove", "trial").exit_code == 0


def test_consumers_subscribe_to_plans(run: Run):
    """A key names one of them; what is in use is not taken away, and figures are by plan."""
    run("consumers", "set", "zoe", "--plan", "partner")
    refused = run("keys", "create", "zoe", "--plan", "internal")
    said = "zoe does not subscribe to the plan internal" in refused.stderr
    assert (refused.exit_code, said) == (1, True)
    seen = data(run("consumers", "subscribe", "zoe", "internal", "--reason", "asked", "--json"))
    assert seen["plans"] == ["partner", "internal"]
    made = data(run("keys", "create", "zoe", "--plan", "internal", "--json"))["key"]
    assert made["plan"] == "internal"
    shown = run("quotas", "show", "zoe")
    assert all(f"zoe on the plan {plan}:" in shown.stderr for plan in ("partner", "internal"))
    assert run("quotas", "reset", "zoe", "--plan", "internal").exit_code == 0
    assert [one["limits"][0]["resets"] for one in data(run("quotas", "show", "zoe", "--json"))] == [
        0, 1,
    ]  # fmt: skip
    kept = run("consumers", "unsubscribe", "zoe", "internal")
    assert (kept.exit_code, made["id"] in kept.stderr) == (1, True)
    run("keys", "revoke", made["id"])
    assert "internal" not in run("consumers", "unsubscribe", "zoe", "internal").stdout
    swapped = run("consumers", "set", "zoe", "--plan", "internal", "--plan", "partner", "--json")
    assert data(swapped)["plans"] == ["internal", "partner"]


def test_secrets_and_roles_are_changed(run: Run):
    """A client gets another secret, somebody another role; both are told in the record."""
    run("consumers", "set", "yan", "--plan", "partner")
    made = data(run("clients", "create", "yan", "--plan", "partner", "--json"))
    assert made["client"]["plan"] == "partner"
    again = run("clients", "rotate", made["client"]["id"])
    assert again.stdout.strip().startswith("fwcs_")
    assert again.stdout.strip() != made["secret"]
    run("admins", "create", "kim", "--role", "support")
    assert "auditor" in run("admins", "role", "kim", "auditor", "--reason", "moved").stdout
    assert "moved" in run("audit", "list", "--action", "admin").stdout
    unknown = run("issuers", "refresh", "https://nobody.example")
    assert (unknown.exit_code, "no trusted issuer" in unknown.stderr) == (1, True)


def test_why_denied_draws_a_tree(run: Run):
    """With the answer on the first line."""
    made = data(run("keys", "create", "ben", "--plan", "partner", "--json"))
    tree = run("keys", "why", made["key"]["id"], "GET", "/system/v1/x").stdout
    assert "It would be refused: rights." in tree
    assert "any scope of system is not held" in tree
    assert data(run("keys", "why", made["key"]["id"], "GET", "/process/v1/x", "--json"))["let_in"]


def test_files_make_it_so(run: Run, tmp_path: Path):
    """plan and diff tell and end with 2; apply does; then there is nothing to do."""
    file = tmp_path / "firm.toml"
    file.write_text('[plans.files]\nscopes = ["process:time:read"]\n'
                    '[consumers.filed]\nplans = ["files"]\nowner = "Ops"\n')  # fmt: skip
    told = run("gateway", "plan", str(file))
    assert (told.exit_code, "+ plan files" in told.stdout) == (2, True)
    fields = run("gateway", "diff", str(file))
    assert (fields.exit_code, '+ owner = "Ops"' in fields.stdout) == (2, True)
    assert "1 added" not in run("plans", "list").stdout
    done = run("gateway", "apply", str(file), "--reason", "as agreed")
    assert (done.exit_code, "2 added: done" in done.stdout) == (0, True)
    again = run("gateway", "apply", str(file))
    assert "Nothing to do" in again.stdout
    file.write_text(file.read_text().replace("Ops", "Desk"))
    assert '- owner = "Ops"\n    + owner = "Desk"' in run("gateway", "diff", str(file)).stdout
    exported = tmp_path / "exported.toml"
    exported.write_text(run("gateway", "export").stdout)
    assert (
        (same := run("gateway", "plan", str(exported), "--prune")).exit_code,
        "Nothing to do" in same.stdout,
    ) == (0, True), same.output


def test_a_mistake_in_a_file_has_its_line_and_nothing_is_done(run: Run, tmp_path: Path):
    """What is not TOML, what is not a plan, what only the whole shows."""
    file = tmp_path / "bad.toml"
    for text, said in (
        ("[plans.wrong]\nscopes = [\n", "bad.toml:"),
        ('[plans.wrong]\n\nscopes = ["process:*"]\nbrust = 3\n', "bad.toml:4: plans.wrong.brust"),
        ('[plans.wrong]\nscopes = ["process:*"]\n[consumers.zed]\nplans = ["gone"]\n',
         "bad.toml:4: consumers.zed.plans: there is no plan gone"),
        ('[plans.wrong]\nscopes = ["process:*"]\n[routes.a]\nprefix = "/a"\nupstream = "process"\n'
         "policies = {}\n", "bad.toml:6: routes.a.policies"),
    ):  # fmt: skip
        file.write_text(text)
        refused = run("gateway", "apply", str(file))
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output
        assert "what is in force stays" in refused.stderr
    assert "wrong" not in run("plans", "list").stdout


def test_quotas_are_shown_reset_and_raised(run: Run):
    """In words; what is wrong is a plain line."""
    run("consumers", "set", "ned", "--plan", "partner")
    assert "a calendar month" in run("quotas", "show", "ned").stdout
    assert run("quotas", "reset", "ned", "--reason", "a loop of ours").exit_code == 0
    raised = run("quotas", "raise", "ned", "month", "2000000", "--hours", "3")
    assert "2,000,000 until" in raised.stdout
    assert data(run("quotas", "show", "ned", "--json"))[0]["limits"][-1]["resets"] == 1
    wrong = run("quotas", "raise", "ned", "odd", "5")
    assert (wrong.exit_code, "has no limit odd" in wrong.stderr) == (1, True)
