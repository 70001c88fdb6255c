"""Plugs: each exports its one constant, and nobody else imports from inside it."""

import ast
import importlib
from importlib.util import find_spec

import pytest

from chassis.discovery import plugs

# socket, the constant, the shape's module and name, the part of the child that exports it
SOCKETS = [
    ("gateway.policies", "POLICY", "gateway.policy", "Policy", ""),
    ("system_apis.vendors", "CONNECTOR", "system_apis.connector", "Connector", "connector"),
    ("system_apis.vendors", "SIMULATOR", "system_apis.simulator", "Simulator", "simulator"),
    ("process_apis.journeys", "JOURNEY", "process_apis.journey", "Journey", "journey"),
    ("experience_apis.views", "VIEW", "experience_apis.view", "View", ""),
    ("contracts.changes", "CHANGE", "contracts.change", "Change", ""),
]


@pytest.mark.parametrize(("socket", "name", "home", "shape", "part"), SOCKETS)
def test_every_plug_exports_its_shape(socket, name, home, shape, part):
    """A child that cannot be found by its constant would silently not be there."""
    if find_spec(home) is None:
        pytest.skip(f"{home} is not built yet")
    found = plugs(socket, name, getattr(importlib.import_module(home), shape), part=part)
    assert list(found) == sorted(found)


def test_nobody_imports_from_inside_a_plug(sources):
    """One name a plug is known outside it, and discovery fetches that.

    A journey's rules are words of its tier: the tier's own engine runs them in bulk.
    """
    sockets = {socket for socket, *_ in SOCKETS}
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            for module in _modules(node):
                plug = next((s for s in sockets if module.startswith(f"{s}.")), None)
                if plug is None:
                    continue
                own = ".".join(module.split(".")[: plug.count(".") + 2])
                if not (source.module == own or source.module.startswith(f"{own}.")):
                    engine = own.startswith("process_apis.journeys.") and (
                        source.module.startswith("process_apis.")
                    )
                    if engine or source.escaped(node, "plug"):
                        continue
                    found.append(f"{source.where(node)}: {module} is inside a plug; discover it")
    assert found == []


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
