"""How the processes find each other: every address follows from the ports, the operator wins."""

import stat
from pathlib import Path

import pytest
from msgspec import structs

from firmwire.platform import Platform, Ports


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    for name in ("FIRMWIRE_GATEWAY_PORT", "FIRMWIRE_PROCESS_PORT", "FIRMWIRE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Platform(home=tmp_path / "home", ports=Ports.free())


def test_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its own name; the others keep their defaults."""
    monkeypatch.setenv("FIRMWIRE_GATEWAY_PORT", "1234")
    monkeypatch.setenv("FIRMWIRE_GATEWAY_INTERNAL_PORT", "1235")
    monkeypatch.setenv("FIRMWIRE_SANDBOX_PORT", "1236")
    chosen = Ports.chosen()
    assert (chosen.gateway, chosen.internal, chosen.sandbox, chosen.process) == (
        1234, 1235, 1236, 8102,
    )  # fmt: skip


def test_everyone_is_told_where_the_others_are(platform: Platform) -> None:
    """Who calls whom, by the very ports the children listen on."""
    platform.prepare()
    told, ports = platform.environment(), platform.ports
    for name, port in {
        "FIRMWIRE_PROCESS_SYSTEM_URL": ports.system,
        "FIRMWIRE_EXPERIENCE_PROCESS_URL": ports.process,
        "FIRMWIRE_CONTROL_SYSTEM_URL": ports.system,
        "FIRMWIRE_CONTROL_PROCESS_URL": ports.process,
        "FIRMWIRE_CONTROL_EXPERIENCE_URL": ports.experience,
        "FIRMWIRE_GATEWAY_CONTROL_URL": ports.control,
    }.items():
        assert told[name] == f"http://127.0.0.1:{port}", name
    for vendor in ("KANTATA", "NETSUITE", "SALESFORCE", "WORKDAY", "FLOAT"):
        base = told[f"FIRMWIRE_SYSTEM_INSTANCE_{vendor}_BASE_URL"]
        assert base == f"{platform.sandbox_url}/{vendor.lower()}"


def test_only_with_the_sandbox_is_all_of_it_a_sandbox(platform: Platform) -> None:
    """Where real systems are connected a test key reaches nothing until somebody says where."""
    platform.prepare()
    assert platform.environment()["FIRMWIRE_CONTROL_SANDBOX"] == "true"
    real = structs.replace(platform, with_sandbox=False)
    assert "FIRMWIRE_CONTROL_SANDBOX" not in real.environment()


def test_what_the_operator_set_wins(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting in the environment is not overwritten by the composition."""
    monkeypatch.setenv("FIRMWIRE_PROCESS_ALLOW_SELF_RELEASE", "false")
    platform.prepare()
    assert platform.environment()["FIRMWIRE_PROCESS_ALLOW_SELF_RELEASE"] == "false"


def test_the_home_of_a_platform_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo never works in the folder of the installation that the environment names."""
    monkeypatch.setenv("FIRMWIRE_HOME", str(tmp_path / "installation"))
    platform = Platform(home=tmp_path / "demo", ports=Ports.free())
    assert platform.environment()["FIRMWIRE_HOME"] == str(tmp_path / "demo")


def test_nothing_of_the_sandbox_without_it(tmp_path: Path) -> None:
    """A real installation gets no simulator, no demo credentials and no self release."""
    platform = Platform(home=tmp_path / "home", ports=Ports.free(), with_sandbox=False)
    platform.prepare()
    told = platform.environment()
    assert platform.children()[0].name == "control"
    assert "FIRMWIRE_PROCESS_ALLOW_SELF_RELEASE" not in told
    assert not [name for name in told if name.startswith("FIRMWIRE_SYSTEM_INSTANCE")]


def test_children_start_after_what_they_need(platform: Platform) -> None:
    """The gateway last, so that its door opens onto something."""
    names = [child.name for child in platform.children()]
    assert names == ["sandbox", "control", "system", "process", "experience", "gateway"]


def test_secrets_are_for_the_owner_alone(platform: Platform) -> None:
    """The home folder and every private key are unreadable to others; again changes nothing."""
    platform.prepare()
    files = sorted((platform.home / "identity").glob("*.key.json"))
    before = [file.read_bytes() for file in files]
    assert len(files) == 4
    assert stat.S_IMODE(platform.home.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    platform.prepare()
    assert [file.read_bytes() for file in files] == before
