"""What is deployed is what there is: every process, only settings that exist, no default secret."""

import re
from pathlib import Path
from typing import Any

import pytest

from chassis import settings
from experience_apis.app import ExperienceSettings
from firmwire.commands.serve import PROCESSES
from gateway.settings import ControlSettings, GatewaySettings
from process_apis.settings import ProcessSettings
from sandbox.run import SandboxSettings
from system_apis.app import SystemSettings

yaml = pytest.importorskip("yaml")

SHAPES: dict[str, Any] = {
    "control": ControlSettings,
    "experience": ExperienceSettings,
    "gateway": GatewaySettings,
    "process": ProcessSettings,
    "sandbox": SandboxSettings,
    "system": SystemSettings,
}
TIERS = sorted(set(PROCESSES) - {"sandbox"})
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY|DATABASE_URL|DURABLE_URL")
_GIVEN = re.compile(r"\$\{(\w+)(:?[-?])?([^}]*)\}")


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "deploy" / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def manifests(root: Path) -> list[dict[str, Any]]:
    files = sorted((root / "deploy" / "kubernetes").glob("*.yaml"))
    return [part for file in files for part in yaml.safe_load_all(file.read_text())]


def container(manifests: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for each in manifests:
        if each["kind"] == "Deployment" and each["metadata"]["name"] == name:
            (found,) = each["spec"]["template"]["spec"]["containers"]
            return found
    raise AssertionError(f"no Deployment {name}")


def test_every_process_is_in_compose(compose):
    """A new process that nobody deploys is a process nobody has."""
    served = {
        name: each["command"] for name, each in compose["services"].items() if "command" in each
    }
    assert served == {name: ["serve", name] for name in PROCESSES}


def test_every_tier_is_in_kubernetes(manifests):
    """Each with its own Deployment and Service; simulators are not deployed."""
    kinds = {kind: sorted(m["metadata"]["name"] for m in manifests if m["kind"] == kind)
             for kind in ("Deployment", "Service")}  # fmt: skip
    assert kinds == {"Deployment": TIERS, "Service": TIERS}
    assert [container(manifests, name)["args"] for name in TIERS] == [["serve", n] for n in TIERS]


def _default(given):
    """What stands there when nobody says anything."""
    return given[3] if given[2] == ":-" else "given"


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_composes_environment_is_taken(compose, name):
    """Settings refuse what they do not know; so does this test, earlier."""
    told = compose["services"][name].get("environment", {})
    env = {variable: _GIVEN.sub(_default, str(value)) for variable, value in told.items()}
    env.pop("FIRMWIRE_SETTINGS_FILE", None)
    settings.load(SHAPES[name], name, env=env)


@pytest.mark.parametrize("name", TIERS)
def test_kubernetes_environment_is_taken(manifests, name):
    """The same for the manifests."""
    told = container(manifests, name)["env"]
    env = {each["name"]: each.get("value", "given") for each in told}
    env.pop("FIRMWIRE_SETTINGS_FILE", None)
    settings.load(SHAPES[name], name, env=env)


def test_no_secret_has_a_default(root, compose, manifests):
    """Whoever forgets one is told, and does not run with ours."""
    text = (root / "deploy" / "compose.yaml").read_text()
    defaults = [
        name for name, how, _ in _GIVEN.findall(text) if SECRET.search(name) and how != ":?"
    ]
    plain = [
        f"{service}: {variable}"
        for service, each in compose["services"].items()
        for variable, value in each.get("environment", {}).items()
        if SECRET.search(variable) and ":?" not in str(value)
    ]
    here = [
        f"{name}: {each['name']}"
        for name in TIERS
        for each in container(manifests, name)["env"]
        if SECRET.search(each["name"]) and "secretKeyRef" not in each.get("valueFrom", {})
    ]
    assert (defaults, plain, here) == ([], [], [])
    assert "Secret" not in {each["kind"] for each in manifests}


def test_only_the_gateway_is_reachable(compose, manifests):
    """One published port on a host; one policy without `from` in a cluster."""
    published = [name for name, each in compose["services"].items() if "ports" in each]
    policies = [each for each in manifests if each["kind"] == "NetworkPolicy"]
    closed = [p for p in policies if p["spec"]["podSelector"] == {} and "ingress" not in p["spec"]]
    opened = [
        p["metadata"]["name"] for p in policies
        for rule in p["spec"].get("ingress", []) if "from" not in rule
    ]  # fmt: skip
    kinds = {each["spec"].get("type") for each in manifests if each["kind"] == "Service"}
    assert (published, len(closed), opened, kinds) == (["gateway"], 1, ["gateway"], {None})


def test_the_control_plane_may_ask_the_system_tier(manifests):
    """It shows admins the vendors' quotas: with the gateway's key, through the system's policy."""
    (control,) = (
        m["spec"]["template"]["spec"] for m in manifests
        if (m["kind"], m["metadata"]["name"]) == ("Deployment", "control")
    )  # fmt: skip
    assert "gateway.key.json" in control["initContainers"][0]["args"][0]
    (policy,) = (
        m["spec"] for m in manifests
        if (m["kind"], m["metadata"]["name"]) == ("NetworkPolicy", "system")
    )  # fmt: skip
    let_in = {each["podSelector"]["matchLabels"]["tier"] for each in policy["ingress"][0]["from"]}
    assert let_in == {"gateway", "process", "control"}
