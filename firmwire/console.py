"""This file exists to be what people see on the terminal: one coloured log, tables, progress.

Owns   the terminal, through rich.
Fails  never.
"""

import json
from typing import Any

from rich.console import Console as Terminal
from rich.markup import escape
from rich.table import Table

from firmwire.platform import Platform

COLOURS = {
    "control": "magenta",
    "experience": "cyan",
    "gateway": "green",
    "process": "yellow",
    "sandbox": "bright_black",
    "system": "blue",
}
_LEVELS = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
_QUIET = frozenset({"request.answered", "settings.read"})


class Console:
    """quiet: children's words are kept to warnings and worse."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.terminal = Terminal(highlight=False)
        self.quiet = quiet

    def child_said(self, name: str, line: str) -> None:
        """One line of a child, shortened for the eye when it is a structured event."""
        try:
            event: dict[str, Any] = json.loads(line)
            level, words = str(event.get("level", "info")), _told(event)
        except (ValueError, AttributeError):
            level, words = "info", line
            event = {}
        if event.get("event") in _QUIET or (self.quiet and level in ("info", "debug")):
            return
        style = _LEVELS.get(level, "default")
        prefix = f"[{COLOURS.get(name, 'white')}]{name:>10}[/]"
        self.terminal.print(f"{prefix} [{style}]{escape(words)}[/]", soft_wrap=True)

    def note(self, words: str) -> None:
        """A line of our own."""
        self.terminal.print(f"[bold]{'firmwire':>10}[/] {escape(words)}")

    def trouble(self, words: str) -> None:
        """A line that says why something did not work."""
        self.terminal.print(f"[bold red]{'firmwire':>10}[/] {escape(words)}")

    def up(self, platform: Platform) -> None:
        """Where everything is."""
        table = Table(title="Firmwire is up", show_header=False, title_justify="left")
        page = f"{platform.gateway_url}/experience/v1/pages/operations"
        table.add_row("gateway", platform.gateway_url)
        table.add_row("admin API", platform.control_url)
        table.add_row("dashboard", f"{page} (user: any, password: an API key)")
        if platform.with_sandbox:
            table.add_row("sandbox", f"{platform.sandbox_url}/_sandbox")
        table.add_row("home", str(platform.home))
        table.add_row("a key", "firmwire keys create partner-1 --plan partner")
        self.terminal.print(table)


def _told(event: dict[str, Any]) -> str:
    known = ("at", "level", "event", "service", "room", "request_id", "correlation_id", "trace_id")
    rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in known)
    return f"{event.get('event', '')} {rest}".strip()
