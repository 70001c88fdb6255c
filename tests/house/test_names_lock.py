"""Names that lie in databases, keys and other people's code are never renamed or reused.

`docs/names.lock` lists them. A new name is added by `make contracts`; a name that is in the lock
and no longer in the code fails here: runs in flight, stored grants or dashboards still say it.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "docs" / "names.lock"
PACKAGES = (
    "contracts", "chassis", "gateway", "system_apis", "process_apis", "experience_apis",
)  # fmt: skip
_EVENT = re.compile(r"^firmwire\.[a-z_]+\.[a-z_]+\.v\d+$")
_SCOPE = re.compile(r"^(?:system|process|experience|gateway):[a-z_:-]+$")


def names() -> set[str]:
    """Every persisted name in the code, as `<kind> <name>`."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found |= _named(node)
    from contracts.problem import Fault

    return found | {f"fault {fault.code}" for fault in Fault}


def _named(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _EVENT.match(node.value):
        return {f"event {node.value}"}
    if not isinstance(node, ast.Call):
        return set()
    called = ast.unparse(node.func)
    given = {word.arg: word.value for word in node.keywords if word.arg}
    named = given.get("name") or (node.args[0] if node.args else None)
    text = named.value if isinstance(named, ast.Constant) else None
    if called in ("DBOS.step", "DBOS.workflow", "Queue") and isinstance(text, str):
        return {f"{called.rpartition('.')[2].lower()} {text}"}
    if called == "Metric" and isinstance(text, str):
        return {f"metric firmwire_{text}"}
    scope = given.get("scope")
    if isinstance(scope, ast.Constant) and _SCOPE.match(str(scope.value)):
        return {f"scope {scope.value}"}
    return set()


def locked() -> set[str]:
    return {line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")}


def test_no_persisted_name_is_lost():
    """Rename it back, or keep the old one beside the new one."""
    assert sorted(locked() - names()) == []


def test_every_persisted_name_is_locked():
    """Run `make contracts` and commit docs/names.lock: from then on the name is for good."""
    assert sorted(names() - locked()) == []


if __name__ == "__main__":
    before = locked() if LOCK.exists() else set()
    head = (
        "# Persisted names. Grows by `make contracts`, never shrinks; reviewed like a migration.\n"
    )
    LOCK.write_text(head + "\n".join(sorted(before | names())) + "\n")
