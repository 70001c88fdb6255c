"""Every setting is in docs/operations.md, under its own section and with its name."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from chassis.settings import unambiguous
from chassis.spans import TraceSettings
from experience_apis.app import ExperienceSettings
from gateway.settings import ControlSettings, GatewaySettings
from process_apis.settings import ProcessSettings
from sandbox.run import SandboxSettings
from system_apis.app import SystemSettings, connectors

SECTIONS: dict[str, type[Struct]] = {
    "gateway": GatewaySettings,
    "control": ControlSettings,
    "system": SystemSettings,
    "process": ProcessSettings,
    "experience": ExperienceSettings,
    "sandbox": SandboxSettings,
    "trace": TraceSettings,
}


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _all() -> dict[str, type[Struct]]:
    inner = {
        f"{name}.{field.name}": field.type
        for name, shape in SECTIONS.items()
        for field in msgspec.structs.fields(shape)
        if _is_section(field.type)
    }
    return SECTIONS | {name: kind for name, kind in inner.items() if kind.__name__ != "Secret"}


@pytest.fixture(scope="module")
def chapters(root: Path) -> dict[str, str]:
    text = (root / "docs" / "operations.md").read_text()
    found = re.split(r"^### \[([a-zA-Z.]+)\].*$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("section", sorted(_all()))
def test_a_sections_table_has_its_fields_and_no_others(section, chapters):
    """A setting that is not written down is not there for those who run this."""
    fields = {field.name for field in msgspec.structs.fields(_all()[section])}
    told = set(re.findall(r"^\| `(\w+)` \|", chapters[section], re.MULTILINE))
    assert sorted(told) == sorted(fields)


def test_a_variable_means_one_field():
    """Neither within a section, nor between two of them."""
    shapes = [connector.settings for connector in connectors().values()]
    for shape in (*SECTIONS.values(), *shapes):
        unambiguous(shape)
    assert [(a, b) for a in SECTIONS for b in SECTIONS if b.startswith(f"{a}_")] == []


def test_every_vendors_settings_are_told(chapters):
    """One row a vendor; required fields are named."""
    text = chapters["system.instance.NAME"]
    missing = [
        f"{vendor}.{field.name}"
        for vendor, connector in connectors().items()
        for field in msgspec.structs.fields(connector.settings)
        if f"`{field.name}`" not in next(
            line for line in text.splitlines() if line.startswith(f"| {vendor} |")
        )
    ]  # fmt: skip
    assert missing == []
