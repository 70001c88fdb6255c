"""This file exists to say whether this machine and its settings are fit to run the platform.

Owns   nothing; it looks and does not touch, but for a file it makes and removes in the home folder.
Fails  status 1 when something stands in the way; each finding says what to do.
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

FREE_BYTES = 500_000_000


@click.command()
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the installation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def doctor(home: Path | None, as_json: bool) -> None:
    """Check Python, disk, ports, settings, keys and databases."""
    import msgspec

    from chassis import settings

    place = (home or settings.home()).absolute()
    findings = list(_findings(place))
    if as_json:
        rows = [{"check": c, "ok": ok, "seen": s, "do": d} for c, ok, s, d in findings]
        click.echo(msgspec.json.encode(rows).decode())
    else:
        for check, ok, seen, advice in findings:
            mark = click.style("ok  ", fg="green") if ok else click.style("FAIL", fg="red")
            click.echo(f"{mark} {check}: {seen}" + ("" if ok else f" - {advice}"))
    sys.exit(0 if all(ok for _, ok, _, _ in findings) else 1)


def _findings(home: Path) -> Iterator[tuple[str, bool, str, str]]:
    version = sys.version_info
    text = f"{version.major}.{version.minor}.{version.micro}"
    yield "python", version >= (3, 11), text, "Install Python 3.11 or newer."
    lite = sqlite3.sqlite_version_info
    yield "sqlite", lite >= (3, 35), sqlite3.sqlite_version, "SQLite 3.35 is needed (RETURNING)."
    parent = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(parent).free
    yield "disk", free > FREE_BYTES, f"{free // 1_000_000:,} MB free", "Make room for databases."
    yield "home folder", *_writable(parent, home)
    yield from _ports()
    yield from _settings()
    yield "identity keys", *_keys(home)


def _writable(parent: Path, home: Path) -> tuple[bool, str, str]:
    probe = parent / ".firmwire-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return False, f"{home}: {error.strerror}", "Choose another with FIRMWIRE_HOME or --home."
    return True, str(home), ""


def _ports() -> Iterator[tuple[str, bool, str, str]]:
    from firmwire.platform import Ports
    from firmwire.supervisor import port_free

    ports = Ports.chosen()
    taken = [
        f"{name} {getattr(ports, name)}"
        for name in ports.__struct_fields__
        if not port_free(getattr(ports, name))
    ]
    seen = f"taken: {', '.join(taken)}" if taken else "all free"
    yield (
        "ports",
        not taken,
        seen,
        "Stop what holds them, set FIRMWIRE_<NAME>_PORT, or --free-ports.",
    )


def _settings() -> Iterator[tuple[str, bool, str, str]]:
    from chassis.settings import BadSettings, load
    from experience_apis.app import ExperienceSettings
    from gateway.settings import ControlSettings, GatewaySettings
    from process_apis.settings import ProcessSettings
    from sandbox.run import SandboxSettings
    from system_apis.app import SystemSettings

    shapes: dict[str, Any] = {
        "gateway": GatewaySettings,
        "control": ControlSettings,
        "system": SystemSettings,
        "process": ProcessSettings,
        "experience": ExperienceSettings,
        "sandbox": SandboxSettings,
    }
    for section, shape in shapes.items():
        try:
            load(shape, section)
        except BadSettings as bad:
            wrong = "; ".join(f"{w.field} {w.reason}" for w in bad.wrongs)
            yield f"settings [{section}]", False, wrong, bad.wrongs[0].hint
        else:
            yield f"settings [{section}]", True, "fit", ""


def _keys(home: Path) -> tuple[bool, str, str]:
    folder = home / "identity"
    if not folder.exists():
        return True, "none yet; made at the first start", ""
    open_to_all = [f.name for f in folder.glob("*.key.json") if f.stat().st_mode & 0o077]
    if open_to_all:
        return False, f"readable by others: {', '.join(open_to_all)}", "chmod 600 them."
    return True, "private", ""
